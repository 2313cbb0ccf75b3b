//! What operators and monitors ask: health, readiness, metrics, the API's description.

use std::sync::Arc;

use actix_web::{HttpResponse, http::Method, web::Data};
use identity::http::{Public, PublicReason, Routes};
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

/// A monitor asks without an account; the answer names no tenant.
pub(crate) struct Monitoring;
impl PublicReason for Monitoring {
    const REASON: &'static str = "monitors ask without an account; the answer names no tenant";
    const ACTION: &'static str = "system.monitor";
}

/// A description of the API is the same for everyone.
pub(crate) struct Description;
impl PublicReason for Description {
    const REASON: &'static str = "the description of the API is the same for everyone";
    const ACTION: &'static str = "system.describe";
}

/// One backend, and how to ask whether it serves.
pub(crate) struct Probe {
    /// What it serves, such as `control`.
    pub(crate) name: &'static str,
    /// `Ok`, or why it does not serve.
    pub(crate) check: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// What this node does in it at this moment, if nodes do different things in it.
    pub(crate) role: Option<Arc<dyn Fn() -> &'static str + Send + Sync>>,
    /// What an acknowledgement of it means, if it is a store.
    pub(crate) durability: Option<&'static str>,
    /// Whether requests are better sent elsewhere while it does not serve.
    pub(crate) vital: bool,
}

/// What was found last of the backends of one name.
pub(crate) struct BackendState {
    /// Their name.
    pub(crate) name: &'static str,
    /// The kinds of resources that they serve for everyone.
    pub(crate) serves: Vec<&'static str>,
    /// What an acknowledgement of them means.
    pub(crate) durability: Vec<String>,
    /// Why they do not serve.
    pub(crate) faults: Vec<String>,
    /// Whether requests are better sent elsewhere while they do not.
    pub(crate) vital: bool,
}

impl BackendState {
    /// Backends of which nothing is known yet.
    pub(crate) const fn of(name: &'static str) -> Self {
        Self {
            name,
            serves: Vec::new(),
            durability: Vec::new(),
            faults: Vec::new(),
            vital: false,
        }
    }
}

/// The backends in the network.
pub(crate) struct BackendStates(pub(crate) Mutex<Vec<BackendState>>);

/// How one backend is told.
struct Told {
    answer: Result<(), String>,
    role: Option<&'static str>,
    durability: Option<String>,
    serves: Vec<&'static str>,
    vital: bool,
}

impl Told {
    fn is_ready(&self) -> bool {
        self.answer.is_ok() || !self.vital
    }

    fn to_json(&self) -> Value {
        let status = match &self.answer {
            Ok(()) => "ok",
            Err(_) if self.vital => "failed",
            Err(_) => "degraded",
        };
        let mut told = Map::from_iter([("status".to_owned(), status.into())]);
        if let Err(why) = &self.answer {
            told.insert("detail".to_owned(), why.as_str().into());
        }
        if let Some(role) = self.role {
            told.insert("role".to_owned(), role.into());
        }
        if let Some(durability) = &self.durability {
            told.insert("durability".to_owned(), durability.as_str().into());
        }
        if !self.serves.is_empty() {
            told.insert("serves".to_owned(), json!(self.serves));
        }
        told.into()
    }
}

impl From<&Probe> for Told {
    fn from(probe: &Probe) -> Self {
        Self {
            answer: (probe.check)(),
            role: probe.role.as_ref().map(|role| role()),
            durability: probe.durability.map(str::to_owned),
            serves: Vec::new(),
            vital: probe.vital,
        }
    }
}

impl From<&BackendState> for Told {
    fn from(state: &BackendState) -> Self {
        let why = state.faults.join("; ");
        Self {
            answer: if why.is_empty() { Ok(()) } else { Err(why) },
            role: None,
            durability: Some(state.durability.join("; ")).filter(|told| !told.is_empty()),
            serves: state.serves.clone(),
            vital: state.vital,
        }
    }
}

/// Whether this server should be sent requests.
pub(crate) struct Readiness {
    /// What is asked directly.
    pub(crate) probes: Vec<Probe>,
    /// What is asked now and then.
    pub(crate) backends: Arc<BackendStates>,
    /// Whether it is stopping.
    pub(crate) draining: Arc<std::sync::atomic::AtomicBool>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tenantry",
        description = "The guarded spine of a multi-tenant backend"
    ),
    paths(healthz, readyz, metrics, openapi_json)
)]
struct SystemApi;

/// The description of the whole API.
pub(crate) struct ApiDescription(pub(crate) String);

impl ApiDescription {
    /// Joins the descriptions of all crates.
    #[must_use]
    pub(crate) fn collect() -> Self {
        let mut api = SystemApi::openapi();
        api.merge(audit::openapi());
        api.merge(crate::audit_tail::openapi());
        api.merge(canvas::openapi());
        api.merge(control::openapi());
        api.merge(flags::openapi());
        api.merge(crate::flag_tail::openapi());
        api.merge(gatechain::http::openapi());
        api.merge(nexus::asset_openapi());
        api.merge(nexus::openapi());
        api.merge(nexus::search_openapi());
        api.merge(privacy::openapi());
        api.merge(realtime::openapi());
        api.info.version = env!("CARGO_PKG_VERSION").to_owned();
        Self(api.to_pretty_json().unwrap_or_default())
    }
}

/// Mounts the routes.
pub(crate) fn routes(routes: &mut Routes) {
    routes.public(Method::GET, "/healthz", healthz);
    routes.public(Method::GET, "/readyz", readyz);
    routes.public(Method::GET, "/metrics", metrics);
    routes.public(Method::GET, "/openapi.json", openapi_json);
}

/// Says that the process runs.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "The process runs")))]
async fn healthz(_: Public<Monitoring>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// Says of each backend whether it serves.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "Every backend serves that is vital; the audit log's part says what this node does for it: \
        `role` is `sole`, `leads` or `follows`"),
    (status = 503, description = "A backend does not serve, or the server is stopping")
))]
async fn readyz(_: Public<Monitoring>, readiness: Data<Readiness>) -> HttpResponse {
    let draining = readiness
        .draining
        .load(std::sync::atomic::Ordering::Relaxed);
    let mut told: Vec<(&str, Told)> = Vec::new();
    told.extend(readiness.probes.iter().map(|it| (it.name, it.into())));
    let states = readiness.backends.0.lock();
    told.extend(states.iter().map(|it| (it.name, it.into())));
    drop(states);
    let ready = !draining && told.iter().all(|(_, backend)| backend.is_ready());
    let backends: Map<String, Value> = told
        .iter()
        .map(|(name, backend)| ((*name).to_owned(), backend.to_json()))
        .collect();
    let status = if ready {
        "ready"
    } else if draining {
        "draining"
    } else {
        "failed"
    };
    let body = json!({"status": status, "backends": backends});
    if ready {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}

/// Metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "Prometheus text format", content_type = "text/plain")))]
async fn metrics(_: Public<Monitoring>, prometheus: Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(prometheus.render())
}

/// The description of this API.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "OpenAPI 3.1")))]
async fn openapi_json(_: Public<Description>, description: Data<ApiDescription>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(description.0.clone())
}
