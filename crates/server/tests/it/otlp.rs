//! A collector that speaks OTLP over gRPC, for tests of any number of servers: what they send is kept.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::any_value::Value,
    metrics::v1::{Metric, metric::Data},
    trace::v1::Span,
};
use tokio::{net::TcpListener, sync::Notify};
use tonic::{Request, Response, Status, transport::Server};

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was received.
#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    metrics: BTreeMap<String, Metric>,
    headers: Vec<(String, String)>,
    /// Everything, as text: to look for what must not be in it.
    text: String,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    came: Notify,
}

/// The collector; it ends with the runtime of its test.
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Service(Arc<Shared>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let message = request.into_inner();
        {
            let mut kept = self.0.kept.lock().unwrap();
            kept.text.push_str(&format!("{message:?}"));
            let headers = headers.iter().map(|(name, value)| {
                (
                    name.to_string(),
                    value.to_str().unwrap_or_default().to_owned(),
                )
            });
            kept.headers.extend(headers);
            let scopes = message
                .resource_spans
                .into_iter()
                .flat_map(|of| of.scope_spans);
            kept.spans.extend(scopes.flat_map(|of| of.spans));
        }
        self.0.came.notify_waiters();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let message = request.into_inner();
        {
            let mut kept = self.0.kept.lock().unwrap();
            kept.text.push_str(&format!("{message:?}"));
            let scopes = message
                .resource_metrics
                .into_iter()
                .flat_map(|of| of.scope_metrics);
            for metric in scopes.flat_map(|of| of.metrics) {
                kept.metrics.insert(metric.name.clone(), metric);
            }
        }
        self.0.came.notify_waiters();
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let service = Service(Arc::clone(&shared));
        let serving = Server::builder()
            .add_service(TraceServiceServer::new(service.clone()))
            .add_service(MetricsServiceServer::new(service));
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tokio::spawn(serving.serve_with_incoming(incoming));
        Self {
            endpoint: format!("http://{address}"),
            shared,
        }
    }

    /// Waits until `found` finds what it looks for in what came.
    async fn wait<T>(&self, found: impl Fn(&Kept) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let came = self.shared.came.notified();
                tokio::pin!(came);
                came.as_mut().enable();
                if let Some(found) = found(&self.shared.kept.lock().unwrap()) {
                    return found;
                }
                came.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("it did not come; {:?} came", self.names()),
        }
    }

    /// The spans of a trace (32 hexadecimal digits), once all of these names are among them.
    pub(crate) async fn trace(&self, id: &str, names: &[&str]) -> Trace {
        self.wait(|kept| {
            let spans = kept.spans.iter().filter(|span| hex(&span.trace_id) == id);
            let trace = Trace(spans.cloned().collect());
            names
                .iter()
                .all(|name| trace.0.iter().any(|span| span.name == *name))
                .then_some(trace)
        })
        .await
    }

    /// The sum of a counter's points, once the metric was sent.
    pub(crate) async fn counted(&self, name: &str) -> f64 {
        use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
        self.wait(|kept| match &kept.metrics.get(name)?.data {
            Some(Data::Sum(sum)) => Some(
                sum.data_points
                    .iter()
                    .map(|point| match point.value {
                        Some(Value::AsDouble(value)) => value,
                        _ => 0.0,
                    })
                    .sum(),
            ),
            _ => None,
        })
        .await
    }

    /// Everything that came, as text.
    pub(crate) fn text(&self) -> String {
        self.shared.kept.lock().unwrap().text.clone()
    }

    /// The values of a header of the exports.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let kept = self.shared.kept.lock().unwrap();
        let found = kept.headers.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).collect()
    }

    /// Whether a span of this trace came.
    pub(crate) fn came(&self, id: &str) -> bool {
        let kept = self.shared.kept.lock().unwrap();
        kept.spans.iter().any(|span| hex(&span.trace_id) == id)
    }

    /// The names of all spans that came.
    pub(crate) fn names(&self) -> Vec<String> {
        let kept = self.shared.kept.lock().unwrap();
        kept.spans.iter().map(|span| span.name.clone()).collect()
    }
}

/// The spans of one trace.
#[derive(Debug)]
pub(crate) struct Trace(pub(crate) Vec<Span>);

impl Trace {
    /// The only span of that name.
    pub(crate) fn only(&self, name: &str) -> &Span {
        let mut found = self.0.iter().filter(|span| span.name == name);
        let one = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert!(found.next().is_none(), "two {name} in {self:?}");
        one
    }

    /// The names of a span and of those that it is in, the innermost first.
    pub(crate) fn path(&self, from: &Span) -> Vec<&str> {
        let mut names = Vec::new();
        let mut at = Some(from.span_id.clone());
        while let Some(id) = at {
            let span = self.0.iter().find(|span| span.span_id == id);
            at = span.map(|span| span.parent_span_id.clone());
            names.extend(span.map(|span| span.name.as_str()));
        }
        names
    }
}

/// The text of an attribute.
pub(crate) fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|kv| kv.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
