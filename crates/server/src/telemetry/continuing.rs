//! The layer that turns spans into OpenTelemetry's.
//!
//! **Invariant:** events never leave: a line of the log, which may name what it is about, is no
//! part of a trace. Spans leave only if they begin what this server adds to a trace, or are inside
//! of one that is kept.

use identity::{TRACE, Traceparent};
use opentelemetry::Context as Remote;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::context::remote;

/// The field that names the trace which a span continues.
const PARENT: &str = "traceparent";

/// Spans that name a `traceparent` continue that trace; all others the span that they are in.
pub(super) struct Continuing<S>(OpenTelemetryLayer<S, SdkTracer>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Continuing<S> {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(true);
        Self(layer)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Continuing<S> {
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut parent = Parent(None);
        attrs.record(&mut parent);
        let _elsewhere = parent.0.map(Remote::attach);
        self.0.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.0.on_record(id, values, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.0.on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.0.on_exit(id, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.0.on_close(id, ctx);
    }
}

/// Finds the trace that a span names.
struct Parent(Option<Remote>);

impl Visit for Parent {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == PARENT {
            self.0 = Traceparent::parse(value).map(|parent| remote(&parent, None));
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// Spans of traces: those that begin, and those inside of another.
pub(super) struct OfTraces;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for OfTraces {
    fn enabled(&self, meta: &Metadata<'_>, ctx: &Context<'_, S>) -> bool {
        meta.target() == TRACE
            && !meta.is_event()
            && (meta.fields().field(PARENT).is_some() || ctx.lookup_current().is_some())
    }

    fn callsite_enabled(&self, meta: &'static Metadata<'static>) -> Interest {
        match meta.target() == TRACE && !meta.is_event() {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }
}
