//! What a span may say when it leaves the process.
//!
//! **Invariant:** a text leaves only if it is a word of the program, known before the first request
//! came: the template of a route, the name of a gate, a rail, an engine or an operation. Whatever
//! callers sent, and whatever is stored, is none. So nobody's opt-out is passed over: about people
//! nothing leaves at all.

use std::collections::HashSet;

use gatechain::Gate;
use identity::http::Manifest;
use opentelemetry::{KeyValue, Value, trace::Status};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// Attributes that leave; others are dropped.
const KEYS: &[&str] = &[
    "engine",
    "http.request.method",
    "http.response.status_code",
    "http.route",
];
/// Names of spans and of what they are about, but for routes and gates.
const WORDS: &[&str] = &[
    // Requests, and what happens in them.
    "CONNECT",
    "DELETE",
    "GET",
    "HEAD",
    "HTTP",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "guard",
    "gates",
    "gate",
    "publish",
    "fan_out", // Rails.
    "audit",
    "audit-changes",
    "canvas",
    "chat",
    "flags", // Ports and their operations.
    "documents",
    "events",
    "blobs",
    "throttle",
    "bus",
    "append",
    "bounds",
    "commit",
    "delete",
    "get",
    "list",
    "presign",
    "put_if_absent",
    "read",
    "tail",
    "subscribe",
    "take",
    "trim",
    "head",
];
/// Engines.
const ENGINES: &[&str] = &["embedded", "firestore", "redis", "s3"];
/// What stands for a text that may not leave.
const OTHER: &str = "other";

/// The words that may leave.
pub(super) struct Words(HashSet<&'static str>);

impl Words {
    /// The words of a server with these routes.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let routes = manifest.entries().iter().map(|entry| entry.path);
        let gates = Gate::ALL.into_iter().map(Gate::as_str);
        let words = WORDS.iter().chain(ENGINES).copied();
        Self(words.chain(gates).chain(routes).collect())
    }

    /// The span, with what may leave of it.
    pub(super) fn keep(&self, span: SpanData) -> SpanData {
        let known = self.knows_name(&span.name);
        SpanData {
            name: if known { span.name } else { OTHER.into() },
            attributes: span
                .attributes
                .into_iter()
                .filter_map(|kept| self.attribute(kept))
                .collect(),
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match span.status {
                Status::Error { .. } => Status::error(""),
                status => status,
            },
            ..span
        }
    }

    /// One word, or two.
    fn knows_name(&self, name: &str) -> bool {
        let (first, second) = name.split_once(' ').unwrap_or((name, name));
        self.0.contains(first) && self.0.contains(second)
    }

    fn attribute(&self, pair: KeyValue) -> Option<KeyValue> {
        let allowed = KEYS.contains(&pair.key.as_str());
        let value = match pair.value {
            number @ (Value::I64(_) | Value::Bool(_)) => number,
            Value::String(text) if self.0.contains(text.as_str()) => Value::String(text),
            _ => Value::String(OTHER.into()),
        };
        allowed.then(|| KeyValue::new(pair.key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use identity::Recording;
    use opentelemetry::{
        InstrumentationScope,
        trace::{SpanContext, SpanId, SpanKind},
    };

    use super::*;

    fn kept(name: &'static str, attributes: &[(&'static str, Value)]) -> SpanData {
        let routes = crate::routes::mounted(Recording::Nothing { reason: "a test" }).unwrap();
        let attributes = attributes.iter().cloned();
        Words::of(&routes.manifest()).keep(SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: attributes
                .map(|(key, value)| KeyValue::new(key, value))
                .collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::error("the row of ada@example.com"),
            instrumentation_scope: InstrumentationScope::default(),
        })
    }

    #[test]
    fn words_of_the_program_leave_and_nothing_else() {
        for good in [
            "GET /chat/threads/{thread_id}/messages",
            "guard",
            "gate kill_switch",
            "documents commit",
            "fan_out chat",
        ] {
            assert_eq!(kept(good, &[]).name, good);
        }
        for bad in [
            "",
            "t_1",
            "GET /chat/threads/th_1",
            "guard t_1",
            "guard guard guard",
        ] {
            assert_eq!(kept(bad, &[]).name, OTHER, "{bad:?}");
        }
        let span = kept(
            "guard",
            &[
                ("http.route", "/chat/threads".into()),
                ("http.request.method", "ada@example.com".into()),
                ("http.response.status_code", 403.into()),
                ("engine", "t_1".into()),
                ("tenant", "t_1".into()),
                ("traceparent", "00-1-2-01".into()),
            ],
        );
        let told: Vec<_> = span
            .attributes
            .iter()
            .map(|kv| (kv.key.as_str(), kv.value.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("http.route", "/chat/threads".into()),
                ("http.request.method", OTHER.into()),
                ("http.response.status_code", "403".into()),
                ("engine", OTHER.into()),
            ]
        );
        assert_eq!(span.status, Status::error(""));
    }
}
