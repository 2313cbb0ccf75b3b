//! An event in traces: published, and told to all who follow.
//!
//! The event itself names its trace, so that it is the same one on whichever node the event is told.

use identity::{TRACE, Traceparent};
use serde::Deserialize;
use store::{StoredEvent, StreamKey};
use tracing::{Level, Span, debug_span};

use crate::envelope::Bodies;

/// The span in which an envelope is published: in the request, or, over a socket, in the trace of
/// the request that opened it.
pub(crate) fn publish(rail: &'static str, envelope: &[u8]) -> Span {
    if !Span::current().is_none() {
        let name = format_args!("publish {rail}");
        return debug_span!(target: TRACE, "publish", otel.name = name, otel.kind = "producer");
    }
    let wanted = tracing::span_enabled!(target: TRACE, Level::DEBUG, traceparent);
    let trace = wanted.then(|| published_in(envelope)).flatten();
    match trace.filter(Traceparent::is_sampled) {
        Some(trace) => debug_span!(
            target: TRACE,
            "publish",
            otel.name = format_args!("publish {rail}"),
            otel.kind = "producer",
            traceparent = trace.as_str(),
        ),
        None => Span::none(),
    }
}

#[derive(Deserialize)]
struct Traced<'a> {
    #[serde(borrow)]
    meta: Meta<'a>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    traceparent: &'a str,
}

/// The spans of events that are told now; they end when dropped. None but where traces are
/// exported, and of events whose trace is kept: nothing else is worth reading an envelope for.
pub(crate) fn fan_out(stream: &StreamKey, bodies: Bodies, events: &[StoredEvent]) -> Vec<Span> {
    let wanted = tracing::span_enabled!(target: TRACE, Level::DEBUG, traceparent);
    if !wanted || bodies == Bodies::Whole {
        return Vec::new();
    }
    let sampled = events
        .iter()
        .filter_map(|event| published_in(&event.body).filter(Traceparent::is_sampled));
    let rail = stream.rail();
    let span = |trace: Traceparent| {
        debug_span!(
            target: TRACE,
            "fan_out",
            otel.name = format_args!("fan_out {rail}"),
            otel.kind = "consumer",
            traceparent = trace.as_str(),
        )
    };
    sampled.map(span).collect()
}

/// The trace that an envelope names.
fn published_in(envelope: &[u8]) -> Option<Traceparent> {
    let traced: Traced<'_> = serde_json::from_slice(envelope).ok()?;
    Traceparent::parse(traced.meta.traceparent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_names_its_trace() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let found = |body: String| published_in(body.as_bytes());
        let envelope = |trace: &str| {
            format!(
                r#"{{"type":"a","meta":{{"request_id":"r","traceparent":"{trace}"}},"data":{{"meta":1}}}}"#
            )
        };
        assert_eq!(found(envelope(trace)), Traceparent::parse(trace));
        assert_eq!(found(envelope("00-0-0-01")), None);
        assert_eq!(found(String::from("{}")), None);
    }
}
