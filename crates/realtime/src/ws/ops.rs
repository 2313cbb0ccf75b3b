//! What clients say and hear, as JSON.

use std::borrow::Cow;

use identity::Recorded;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Longest `ref`, in bytes of JSON.
const REF_BYTES_MAX: usize = 130;

/// Why an op is not understood that is none, or none of its rail.
pub(super) const NO_SUCH_OP: &str = "there is no such op here";

/// Something to do; the contract's frames.
pub(super) enum Op {
    Publish(Publish),
    Resume { last_id: String },
    Presence { state: Box<RawValue> },
    Gesture { kind: String, data: Box<RawValue> },
    Refresh { token: String },
    Ping,
}

/// A message to publish.
pub(super) struct Publish {
    pub(super) kind: Option<String>,
    pub(super) data: Box<RawValue>,
    pub(super) idempotency_key: Option<String>,
}

/// What a client named its frame; comes back in the answer.
pub(super) type Ref = Option<Box<RawValue>>;

/// A frame that cannot be understood.
pub(super) struct Misunderstood {
    pub(super) reference: Ref,
    pub(super) why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientFrame<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    r#ref: Option<Box<RawValue>>,
    r#type: Option<String>,
    kind: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    data: Option<Box<RawValue>>,
    idempotency_key: Option<String>,
    last_id: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    state: Option<Box<RawValue>>,
    token: Option<String>,
}

/// `null` is a value here, and not absence.
fn even_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// Reads a frame.
pub(super) fn parse(text: &str) -> Result<(Ref, Op), Misunderstood> {
    let frame: ClientFrame<'_> = serde_json::from_str(text).map_err(|error| Misunderstood {
        reference: None,
        why: error.to_string(),
    })?;
    let reference = frame.r#ref;
    if reference.as_ref().is_some_and(|named| !is_ref(named.get())) {
        return Err(Misunderstood {
            reference: None,
            why: "a ref is a short string or a number".to_owned(),
        });
    }
    let missing = |name: &str| format!("`{name}` is missing");
    let op = match &*frame.op {
        "publish" => frame.data.ok_or(missing("data")).map(|data| {
            Op::Publish(Publish {
                kind: frame.r#type,
                data,
                idempotency_key: frame.idempotency_key,
            })
        }),
        "resume" => frame
            .last_id
            .ok_or(missing("last_id"))
            .map(|last_id| Op::Resume { last_id }),
        "presence" => frame
            .state
            .ok_or(missing("state"))
            .map(|state| Op::Presence { state }),
        "gesture" => match (frame.kind, frame.data) {
            (Some(kind), Some(data)) => Ok(Op::Gesture { kind, data }),
            (None, _) => Err(missing("kind")),
            (_, None) => Err(missing("data")),
        },
        "refresh" => frame
            .token
            .ok_or(missing("token"))
            .map(|token| Op::Refresh { token }),
        "ping" => Ok(Op::Ping),
        _ => Err(NO_SUCH_OP.to_owned()),
    };
    match op {
        Ok(op) => Ok((reference, op)),
        Err(why) => Err(Misunderstood { reference, why }),
    }
}

fn is_ref(json: &str) -> bool {
    json.len() <= REF_BYTES_MAX
        && json.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

/// Frames of the server, but for events and presence, which are shared.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(super) enum Reply<'a, P: Serialize> {
    Ready {
        head: String,
        presence: &'a P,
        count: usize,
    },
    Refreshed {
        expires_at: String,
    },
    Pong,
    Drain {
        retry_ms: u64,
    },
}

/// The answer to a publish. Not in [`Reply`]: raw JSON cannot be in a tagged enum.
#[derive(Serialize)]
pub(super) struct Ack<'a> {
    pub(super) op: &'static str,
    pub(super) r#ref: &'a Ref,
    pub(super) id: String,
    pub(super) duplicate: bool,
    /// `degraded`, when the message is durable but its audit record is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) audit_status: Option<&'static str>,
}

/// What an acknowledgement says of its record: only when it is not as it should be.
pub(super) fn degraded(recorded: Recorded) -> Option<&'static str> {
    matches!(recorded, Recorded::Degraded { .. }).then_some("degraded")
}

/// A refusal.
#[derive(Serialize)]
pub(super) struct Fault<'a> {
    pub(super) op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#ref: &'a Ref,
    pub(super) problem: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        match parse(text) {
            Ok(_) => panic!("{text} was understood"),
            Err(misunderstood) => misunderstood.why,
        }
    }

    #[test]
    fn frames_are_strict() {
        assert!(parse(r#"{"op":"publish","ref":"a","data":null}"#).is_ok());
        assert!(parse(r#"{"op":"publish","ref":-1,"data":{"a":1}}"#).is_ok());
        assert!(parse(r#"{"op":"ping"}"#).is_ok());
        assert_eq!(why(r#"{"op":"publish"}"#), "`data` is missing");
        assert!(parse(r#"{"op":"gesture","kind":"pointer","data":null}"#).is_ok());
        assert_eq!(why(r#"{"op":"gesture","data":1}"#), "`kind` is missing");
        assert_eq!(why(r#"{"op":"gesture","kind":"a"}"#), "`data` is missing");
        assert_eq!(why(r#"{"op":"dance"}"#), NO_SUCH_OP);
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"op":1}"#,
            r#"{"op":"ping","tenant_id":"t_b"}"#,
            r#"{"op":"ping","op":"ping"}"#,
            r#"{"op":"ping"} x"#,
            r#"{"op":"ping","ref":{}}"#,
            r#"{"op":"resume","last_id":1}"#,
        ] {
            assert!(!why(bad).is_empty(), "{bad}");
        }
    }
}
