//! From whoever ends a span to the thread that sends it: a bounded queue that nobody waits for.

use std::time::Duration;

use identity::Entropy;
use metrics::{Counter, counter};
use opentelemetry::{
    Context,
    trace::{SpanId, TraceId},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{IdGenerator, Span, SpanData, SpanProcessor},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::ambient::SystemEntropy;

/// Spans that wait to be sent; more are dropped.
const SPANS_MAX: usize = 8192;

/// The end of the queue into which spans go.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Sender<SpanData>,
}

/// A queue, and its other end.
pub(super) fn queue() -> (Queue, Receiver<SpanData>) {
    let (spans, waiting) = channel(SPANS_MAX);
    (Queue { spans }, waiting)
}

/// What became of spans.
pub(super) fn counted(outcome: &'static str) -> Counter {
    counter!("tenantry_telemetry_spans_total", "outcome" => outcome)
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            counted("dropped_full").increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Ids of traces and spans, from the chance that the process has.
#[derive(Debug)]
pub(super) struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let mut bytes = [0; 16];
        SystemEntropy.fill(&mut bytes);
        // All zeros would be no id.
        TraceId::from(u128::from_be_bytes(bytes).max(1))
    }

    fn new_span_id(&self) -> SpanId {
        let mut bytes = [0; 8];
        SystemEntropy.fill(&mut bytes);
        SpanId::from(u64::from_be_bytes(bytes).max(1))
    }
}
