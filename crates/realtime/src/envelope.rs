//! Envelopes: what an event looks like, the same on SSE, WebSocket, replay and REST.
//!
//! An envelope is serialised once, stored without its `id` (which only the log
//! can give) and rendered once per event and transport, for all subscribers.
//!
//! **Invariant:** an [`Envelope`] is made from a [`RouteKey`] and a [`Scope`]; what it says about place
//! and actor was verified. Its type is one that clients may say on its rail.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use identity::{Scope, Timestamp, UserId};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use store::{Cursor, Idempotency, StoreError, StoredEvent};

use crate::{RealtimeError, RouteKey};

/// Largest `data`, in bytes.
pub const DATA_BYTES_MAX: usize = 64 * 1024 - 2048;
/// Longest `type`, in bytes.
pub const TYPE_BYTES_MAX: usize = 64;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// The type has another form.
    #[error("a type is [a-z][a-z0-9_]*(.[a-z0-9_]+)* of at most {TYPE_BYTES_MAX} bytes")]
    Type,
    /// Clients do not say such on this rail.
    #[error("the types of clients' messages begin with `{0}` here")]
    Rail(&'static str),
    /// The data is too large.
    #[error("data has at most {DATA_BYTES_MAX} bytes")]
    TooLarge,
    /// The idempotency key has another form.
    #[error("an idempotency key is 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters")]
    IdempotencyKey,
}

/// A message as a client sends it, valid from birth.
#[derive(Debug, Clone)]
pub struct Message {
    kind: Option<SmolStr>,
    data: Box<RawValue>,
    idempotency_key: Option<SmolStr>,
}

impl Message {
    /// Checks the parts of a message; without a `kind` it has that of its rail: `chat.message`,
    /// `tool.event`.
    ///
    /// # Errors
    /// [`InvalidMessage`] names the part.
    pub fn new(
        kind: Option<&str>,
        data: Box<RawValue>,
        idempotency_key: Option<&str>,
    ) -> Result<Self, InvalidMessage> {
        if kind.is_some_and(|kind| !is_type(kind)) {
            return Err(InvalidMessage::Type);
        }
        if data.get().len() > DATA_BYTES_MAX {
            return Err(InvalidMessage::TooLarge);
        }
        if idempotency_key.is_some_and(|key| !is_idempotency_key(key)) {
            return Err(InvalidMessage::IdempotencyKey);
        }
        Ok(Self {
            kind: kind.map(SmolStr::new),
            data: on_one_line(data),
            idempotency_key: idempotency_key.map(SmolStr::new),
        })
    }

    /// What it says.
    pub(crate) fn data(&self) -> &RawValue {
        &self.data
    }

    /// The size of that.
    pub(crate) fn bytes(&self) -> usize {
        self.data.get().len()
    }

    /// How the log notices that a user sends it again, with this type.
    fn idempotency(&self, scope: &Scope, kind: &str) -> Option<Idempotency> {
        let key = self.idempotency_key.as_ref()?;
        Some(Idempotency {
            key: digest(&[scope.user().as_str(), key]),
            fingerprint: digest(&[kind, self.data.get()]),
        })
    }
}

fn is_type(text: &str) -> bool {
    let part = |part: &str| {
        let mut bytes = part.bytes();
        bytes.len() > 0 && bytes.all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    text.len() <= TYPE_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('.').all(part)
}

fn is_idempotency_key(text: &str) -> bool {
    (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The same JSON without line ends, which SSE cannot carry. In JSON they occur
/// between tokens alone, so that blanks mean the same.
fn on_one_line(data: Box<RawValue>) -> Box<RawValue> {
    if !data.get().contains(['\n', '\r']) {
        return data;
    }
    let flat = data.get().replace(['\n', '\r'], " ");
    RawValue::from_string(flat).unwrap_or(data)
}

/// The first half of a SHA-256 over parts that cannot run into each other.
fn digest(parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut half = [0; 16];
    half.iter_mut()
        .zip(hash.finalize())
        .for_each(|(to, from)| *to = from);
    half
}

#[derive(Serialize)]
struct Sealed<'a> {
    r#type: &'a str,
    ts: Timestamp,
    routing: Routing<'a>,
    meta: Meta<'a>,
    data: &'a RawValue,
}

/// Whose the event is, and of what.
struct Routing<'a> {
    route: &'a RouteKey,
    actor: &'a UserId,
}

impl Serialize for Routing<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { route, actor } = self;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("tenant_id", route.tenant().as_str())?;
        map.serialize_entry("env", route.env().as_str())?;
        map.serialize_entry("project_id", route.project().as_str())?;
        map.serialize_entry("rail", route.rail())?;
        map.serialize_entry(route.rules().object, route.object())?;
        let user_id = actor.as_str();
        map.serialize_entry("actor", &Actor { user_id })?;
        map.end()
    }
}

#[derive(Serialize)]
struct Actor<'a> {
    user_id: &'a str,
}

#[derive(Serialize)]
struct Meta<'a> {
    request_id: &'a str,
    trace_id: &'a str,
    traceparent: &'a str,
}

/// The parts of an envelope but its `id`. Made in this crate alone, where each part was verified.
pub(crate) struct Sealing<'a> {
    pub(crate) route: &'a RouteKey,
    pub(crate) kind: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) actor: &'a UserId,
    pub(crate) request_id: &'a str,
    pub(crate) traceparent: &'a str,
    pub(crate) data: &'a RawValue,
}

impl Sealing<'_> {
    /// The envelope without its `id`, as it is stored.
    pub(crate) fn seal(&self) -> Result<Bytes, serde_json::Error> {
        let sealed = Sealed {
            r#type: self.kind,
            ts: self.at,
            routing: Routing {
                route: self.route,
                actor: self.actor,
            },
            meta: Meta {
                request_id: self.request_id,
                trace_id: self.request_id,
                traceparent: self.traceparent,
            },
            data: self.data,
        };
        Ok(serde_json::to_vec(&sealed)?.into())
    }
}

/// A message, sealed with who sent it, where and when; ready to be appended.
pub struct Envelope {
    body: Bytes,
    idempotency: Option<Idempotency>,
}

impl Envelope {
    /// Seals `message`.
    ///
    /// # Errors
    /// [`InvalidMessage::Rail`] when clients do not say such on the rail.
    pub fn seal(
        route: &RouteKey,
        scope: &Scope,
        message: &Message,
        at: Timestamp,
    ) -> Result<Self, RealtimeError> {
        let ids = scope.ids();
        let kind = route.rules().type_of(message.kind.as_deref())?;
        let sealing = Sealing {
            route,
            kind,
            at,
            actor: scope.user(),
            request_id: ids.request_id.as_str(),
            traceparent: ids.traceparent.as_str(),
            data: &message.data,
        };
        let sealed = sealing.seal();
        Ok(Self {
            body: sealed.map_err(|error| StoreError::Corrupt(error.to_string()))?,
            idempotency: message.idempotency(scope, kind),
        })
    }

    /// What is stored: the envelope without its `id`.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    pub(crate) fn idempotency(&self) -> Option<Idempotency> {
        self.idempotency
    }
}

/// The envelope of a stored event, with its `id`.
pub(crate) struct WithId<'a>(pub(crate) Cursor, pub(crate) &'a [u8]);

impl WithId<'_> {
    /// Writes it after what `out` holds.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        put(out, format_args!("{{\"id\":\"{}\",", self.0));
        // The stored object, from its first member on.
        out.put_slice(self.1.get(1..).unwrap_or_default());
    }
}

/// Appends formatted text; writing to a buffer that grows cannot fail.
pub(crate) fn put(out: &mut BytesMut, text: fmt::Arguments<'_>) {
    let _ = fmt::Write::write_fmt(out, text);
}

/// An event as SSE block, and where in it the envelope lies.
pub(crate) struct Rendered {
    /// The whole block, for SSE.
    pub(crate) sse: Bytes,
    /// The envelope in it: shares its memory.
    pub(crate) envelope: Bytes,
}

/// What the bodies of a log are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Envelopes that lack their `id`.
    Envelopes,
    /// JSON on one line, told as it is.
    Whole,
}

/// Renders an event, once for all who will get it.
pub(crate) fn render(event: &StoredEvent, bodies: Bodies) -> Rendered {
    let mut out = BytesMut::with_capacity(event.body.len() + 96);
    put(
        &mut out,
        format_args!("id: {}\nevent: message\ndata: ", event.cursor),
    );
    let start = out.len();
    match bodies {
        Bodies::Envelopes => WithId(event.cursor, &event.body).write(&mut out),
        Bodies::Whole => out.put_slice(&event.body),
    }
    let end = out.len();
    out.put_slice(b"\n\n");
    let sse = out.freeze();
    Rendered {
        envelope: sse.slice(start..end),
        sse,
    }
}

#[cfg(test)]
mod tests {
    use store::Epoch;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn types_have_one_form() {
        for good in ["a", "chat.message", "a_1.b.0", &"a".repeat(64)] {
            assert!(is_type(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "A",
            "1a",
            "_a",
            "a-b",
            "a b",
            &"a".repeat(65),
        ] {
            assert!(!is_type(bad), "{bad}");
        }
    }

    #[test]
    fn data_stays_as_it_was_but_for_line_ends() {
        let exact = r#"{"b":1.00,"a":[1e3,"\n\u2028"],"b":2}"#;
        let message = Message::new(None, raw(exact), None).unwrap();
        assert_eq!(message.data.get(), exact);
        let message = Message::new(None, raw("{\r\n \"a\":\n1}"), None).unwrap();
        assert_eq!(message.data.get(), "{   \"a\": 1}");
    }

    #[test]
    fn large_data_and_odd_keys_are_refused() {
        let large = raw(&format!("\"{}\"", "x".repeat(DATA_BYTES_MAX - 1)));
        let refused = Message::new(None, large, None).unwrap_err();
        assert_eq!(refused, InvalidMessage::TooLarge);
        for bad in ["", "a b", "ä", "\u{7f}", &"k".repeat(256)] {
            let refused = Message::new(None, raw("1"), Some(bad)).unwrap_err();
            assert_eq!(refused, InvalidMessage::IdempotencyKey, "{bad:?}");
        }
    }

    #[test]
    fn parts_of_a_digest_cannot_run_into_each_other() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }

    #[test]
    fn an_event_is_rendered_as_one_block_with_its_id() {
        let cursor = Cursor {
            epoch: Epoch(0x3f),
            seq: 7,
        };
        let body = Bytes::from_static(br#"{"type":"chat.message","data":1}"#);
        let event = StoredEvent { cursor, body };
        let rendered = render(&event, Bodies::Envelopes);
        assert_eq!(
            rendered.sse,
            "id: 3f-7\nevent: message\ndata: {\"id\":\"3f-7\",\"type\":\"chat.message\",\"data\":1}\n\n"
        );
        assert_eq!(
            rendered.envelope,
            r#"{"id":"3f-7","type":"chat.message","data":1}"#
        );
        let whole = render(&event, Bodies::Whole);
        assert_eq!(whole.envelope, event.body);
        assert!(
            whole
                .sse
                .starts_with(b"id: 3f-7\nevent: message\ndata: {\"type\"")
        );
    }
}
