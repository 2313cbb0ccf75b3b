//! The collector, as one who sends to it sees it.

use std::time::Duration;

use control::{SecretRef, Secrets};
use identity::Entropy;
use metrics::Counter;
use opentelemetry::KeyValue;
use opentelemetry_proto::{
    tonic::{
        collector::{
            metrics::v1::{
                ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
            },
            trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
        },
        metrics::v1::ResourceMetrics,
    },
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use tokio::time::timeout;
use tonic::{
    Code, Request,
    metadata::{Ascii, MetadataKey, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::{queue::counted, words::Words};
use crate::{ambient::SystemEntropy, config::TelemetryConfig, startup::Missing};

/// A connection is made within this time.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// An export is over after this time; what it held is lost, and counted.
pub(super) const EXPORT_MAX: Duration = Duration::from_secs(5);

/// What every export carries.
type Headers = Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>;

/// A collector that can be sent to.
pub(super) struct Collector {
    traces: TraceServiceClient<Channel>,
    metrics: MetricsServiceClient<Channel>,
    headers: Headers,
    resource: ResourceAttributesWithSchema,
    words: Words,
    exported: Counter,
    failed: Counter,
    reachable: bool,
}

/// Where the collector is, and what it is shown.
pub(crate) struct Address {
    endpoint: Endpoint,
    headers: Headers,
}

impl Address {
    /// Reads the configuration, and notes everything that is wrong with it.
    pub(crate) fn lay(
        config: &TelemetryConfig,
        secrets: &Secrets,
        missing: &mut Missing,
    ) -> Option<Self> {
        let endpoint = endpoint(&config.endpoint);
        let endpoint =
            missing.collect(endpoint.map_err(|why| format!("telemetry.endpoint: {why}")));
        let headers = config.headers.iter().map(|(name, reference)| {
            let header = header(name, reference, secrets);
            missing.collect(header.map_err(|why| format!("telemetry.headers.{name}: {why}")))
        });
        let headers: Vec<_> = headers.collect();
        Some(Self {
            headers: headers.into_iter().collect::<Option<_>>()?,
            endpoint: endpoint?,
        })
    }
}

fn endpoint(url: &str) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from_shared(url.to_owned())?;
    let endpoint = match endpoint.uri().scheme_str() {
        Some("http") => endpoint,
        Some("https") => endpoint.tls_config(ClientTlsConfig::new().with_enabled_roots())?,
        _ => anyhow::bail!("it begins with http:// or https://"),
    };
    Ok(endpoint.connect_timeout(CONNECT_MAX))
}

fn header(
    name: &str,
    reference: &str,
    secrets: &Secrets,
) -> anyhow::Result<(MetadataKey<Ascii>, MetadataValue<Ascii>)> {
    let secret = secrets.resolve(&reference.parse::<SecretRef>()?)?;
    let mut value = MetadataValue::try_from(secret.expose())
        .map_err(|_| anyhow::anyhow!("its value is no text that a header can carry"))?;
    value.set_sensitive(true);
    let name = MetadataKey::from_bytes(name.as_bytes())
        .map_err(|_| anyhow::anyhow!("this is no name of a header"))?;
    Ok((name, value))
}

impl Collector {
    /// Connects when something is sent first. Needs a runtime.
    pub(super) fn at(address: Address, words: Words) -> Self {
        let channel = address.endpoint.connect_lazy();
        Self {
            traces: TraceServiceClient::new(channel.clone()),
            metrics: MetricsServiceClient::new(channel),
            headers: address.headers,
            resource: (&resource()).into(),
            words,
            exported: counted("exported"),
            failed: counted("dropped_failed"),
            reachable: true,
        }
    }

    /// Sends spans; those that it does not take are lost, and counted.
    pub(super) async fn take_spans(&mut self, spans: Vec<SpanData>) {
        let count = spans.len() as u64;
        let spans = spans
            .into_iter()
            .map(|span| self.words.keep(span))
            .collect();
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        let request = self.dress(ExportTraceServiceRequest { resource_spans });
        let answer = timeout(EXPORT_MAX, self.traces.export(request)).await;
        let refused = match self.heard(answer) {
            Some(answer) => answer.partial_success.map_or(0, |partial| {
                u64::try_from(partial.rejected_spans)
                    .unwrap_or(0)
                    .min(count)
            }),
            None => count,
        };
        self.failed.increment(refused);
        self.exported.increment(count - refused);
    }

    /// Sends figures; when it does not take them, the next ones hold all that they would have said.
    pub(super) async fn take_metrics(
        &mut self,
        scope_metrics: Vec<opentelemetry_proto::tonic::metrics::v1::ScopeMetrics>,
    ) {
        let resource = opentelemetry_proto::tonic::resource::v1::Resource {
            attributes: self.resource.attributes.0.clone(),
            ..Default::default()
        };
        let resource_metrics = vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics,
            schema_url: String::new(),
        }];
        let request = self.dress(ExportMetricsServiceRequest { resource_metrics });
        let answer = timeout(EXPORT_MAX, self.metrics.export(request)).await;
        let _ = self.heard(answer);
    }

    fn dress<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.headers {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        request
    }

    /// The answer, if there is one. That there is none is logged once, until there is one again.
    fn heard<T>(
        &mut self,
        answer: Result<Result<tonic::Response<T>, tonic::Status>, tokio::time::error::Elapsed>,
    ) -> Option<T> {
        let code = match answer {
            Ok(Ok(response)) => {
                if !std::mem::replace(&mut self.reachable, true) {
                    tracing::info!("the telemetry collector answers again");
                }
                return Some(response.into_inner());
            }
            Ok(Err(status)) => status.code(),
            Err(_) => Code::DeadlineExceeded,
        };
        if std::mem::replace(&mut self.reachable, false) {
            tracing::warn!(
                ?code,
                "the telemetry collector does not take what it is sent"
            );
        }
        None
    }
}

/// What is told of the process: its name, its version, and an id of this life of it.
fn resource() -> Resource {
    let mut id = [0; 16];
    SystemEntropy.fill(&mut id);
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "tenantry"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new(
                "service.instance.id",
                format!("{:032x}", u128::from_be_bytes(id)),
            ),
        ])
        .build()
}
