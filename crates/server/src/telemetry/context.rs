//! Trace contexts, between W3C's text and OpenTelemetry's types.

use std::str::FromStr;

use identity::Traceparent;
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};

/// Longest `tracestate` that is taken, in bytes: what W3C asks everyone to pass on.
const TRACESTATE_BYTES_MAX: usize = 512;

/// The context of a span elsewhere, which spans made in it continue.
pub(crate) fn remote(parent: &Traceparent, state: Option<&str>) -> Context {
    let span = span_context(parent.as_str(), state);
    span.map_or_else(Context::new, |span| {
        Context::new().with_remote_span_context(span)
    })
}

fn span_context(parent: &str, state: Option<&str>) -> Option<SpanContext> {
    let mut parts = parent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let state = state.filter(|state| state.len() <= TRACESTATE_BYTES_MAX);
    let state = state.and_then(|state| TraceState::from_str(state).ok());
    Some(SpanContext::new(
        trace,
        span,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        state.unwrap_or_default(),
    ))
}

/// Names the span that is current; a name that is recorded later than its beginning is not heard.
pub(crate) fn rename(name: String) {
    Context::current().span().update_name(name);
}

/// The span that is current, as a `traceparent`.
pub(crate) fn current() -> Option<Traceparent> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    let text = format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags()
    );
    Traceparent::parse(&text).filter(|_| span.is_valid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str, state: Option<&str>) -> (Option<String>, String) {
        let parent = Traceparent::parse(text).unwrap();
        let context = remote(&parent, state);
        let kept = context.span().span_context().trace_state().header();
        let _current = context.attach();
        (current().map(|told| told.as_str().to_owned()), kept)
    }

    #[test]
    fn a_parent_elsewhere_is_read_and_told_alike() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let told = Some(text.to_owned());
        assert_eq!(round(text, None), (told.clone(), String::new()));
        assert_eq!(
            round(text, Some("a=1,b=2")),
            (told.clone(), "a=1,b=2".to_owned())
        );
        for bad in ["no state", &format!("a={}", "x".repeat(600))] {
            assert_eq!(
                round(text, Some(bad)),
                (told.clone(), String::new()),
                "{bad}"
            );
        }
        assert_eq!(current(), None);
    }
}
