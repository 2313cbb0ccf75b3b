//! What the process tells of itself: logs on standard error, metrics for Prometheus, and, where the
//! configuration names a collector, traces and the same metrics over OTLP.
//!
//! Start at [`Telemetry::start`].
//!
//! **Invariant:** nothing that is asked of the server waits for telemetry, or fails with it.

mod catalogue;
mod collector;
pub(crate) mod context;
mod continuing;
mod figures;
mod queue;
mod sending;
mod words;

use control::Secrets;
use identity::{TRACE, http::Manifest};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider, SpanData},
};
use tokio::sync::mpsc::Receiver;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    ambient,
    config::{Config, LogConfig, LogFormat, TelemetryConfig},
    startup::Missing,
};
use collector::Address;
use continuing::{Continuing, OfTraces};
use sending::Sending;

/// Upper bounds of latency buckets, in seconds.
const LATENCY_BUCKETS_S: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Upper bounds of the buckets of how many commits share a sync.
const GROUP_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Attributes of a span, at most.
const ATTRIBUTES_MAX: u32 = 16;

/// Notes what is wrong with the configuration of telemetry.
pub(crate) fn check(config: &Config, secrets: &Secrets, missing: &mut Missing) {
    if let Some(telemetry) = &config.telemetry {
        Address::lay(telemetry, secrets, missing);
    }
}

/// Telemetry of this process.
pub(crate) struct Telemetry {
    prometheus: PrometheusHandle,
    config: Option<TelemetryConfig>,
    spans: Option<Receiver<SpanData>>,
    sending: Option<Sending>,
}

impl Telemetry {
    /// Starts to log, to count and to trace; nothing is sent yet. Comes before all that counts.
    ///
    /// # Errors
    /// A filter that cannot be read, or a second start in one process.
    pub(crate) fn start(config: &Config) -> anyhow::Result<Self> {
        let prometheus = start_metrics()?;
        let (traces, spans) = match &config.telemetry {
            Some(telemetry) => {
                let (queue, spans) = queue::queue();
                let ratio = Sampler::TraceIdRatioBased(telemetry.sample_ratio.into());
                // Everything that the SDK would otherwise read from the environment is said here.
                let provider = SdkTracerProvider::builder()
                    .with_sampler(Sampler::ParentBased(Box::new(ratio)))
                    .with_id_generator(queue::Ids)
                    .with_resource(Resource::builder_empty().build())
                    .with_max_attributes_per_span(ATTRIBUTES_MAX)
                    .with_max_events_per_span(0)
                    .with_max_links_per_span(0)
                    .with_span_processor(queue)
                    .build();
                let traces = Continuing::new(provider.tracer("tenantry"));
                (Some(traces.with_filter(OfTraces)), Some(spans))
            }
            None => (None, None),
        };
        let registry = tracing_subscriber::registry().with(lines(&config.log)?);
        if registry.with(traces).try_init().is_err() {
            tracing::debug!("logging was started before");
        }
        Ok(Self {
            prometheus,
            config: config.telemetry.clone(),
            spans,
            sending: None,
        })
    }

    /// What is measured.
    pub(crate) fn prometheus(&self) -> PrometheusHandle {
        self.prometheus.clone()
    }

    /// Begins to send, if there is a collector; of texts, only what these routes are called leaves.
    ///
    /// # Errors
    /// When the configuration does not hold any more what it held at the start.
    pub(crate) fn send(&mut self, manifest: &Manifest) -> anyhow::Result<()> {
        let (Some(config), Some(spans)) = (&self.config, self.spans.take()) else {
            return Ok(());
        };
        let mut missing = Missing::default();
        let address = Address::lay(config, &Secrets::new(ambient::environment), &mut missing);
        missing.finish()?;
        let words = words::Words::of(manifest);
        self.sending = match address {
            Some(address) => {
                let prometheus = self.prometheus.clone();
                Some(Sending::start(address, words, spans, prometheus)?)
            }
            None => None,
        };
        Ok(())
    }

    /// Sends what waits, within a few seconds.
    pub(crate) async fn close(self) {
        if let Some(sending) = self.sending {
            sending.flush().await;
        }
    }
}

/// Lines on standard error. Spans of traces are none of their business.
fn lines<S>(config: &LogConfig) -> anyhow::Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let filter = EnvFilter::try_new(&config.filter)?;
    let events = filter_fn(|meta| meta.target() != TRACE);
    let filter = filter.and(events.with_max_level_hint(LevelFilter::TRACE));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    Ok(match config.format {
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Text => layer.with_target(false).with_filter(filter).boxed(),
    })
}

fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS_S)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &GROUP_BUCKETS)?
        .install_recorder()?;
    catalogue::describe();
    Ok(prometheus)
}
