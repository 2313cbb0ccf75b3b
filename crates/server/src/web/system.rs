//! What operators and monitors ask: health, readiness, metrics, the API's description.

use std::sync::Arc;

use actix_web::{HttpResponse, http::Method, web::Data};
use identity::http::{Public, PublicReason, Routes};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
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
    /// Whether requests are better sent elsewhere while it does not serve.
    pub(crate) vital: bool,
}

/// Whether this server should be sent requests.
pub(crate) struct Readiness {
    /// The backends that it needs.
    pub(crate) probes: Vec<Probe>,
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
    (status = 200, description = "Every backend serves"),
    (status = 503, description = "A backend does not serve, or the server is stopping")
))]
async fn readyz(_: Public<Monitoring>, readiness: Data<Readiness>) -> HttpResponse {
    let draining = readiness
        .draining
        .load(std::sync::atomic::Ordering::Relaxed);
    let mut ready = !draining;
    let mut backends = serde_json::Map::new();
    for probe in &readiness.probes {
        let answer = (probe.check)();
        ready &= answer.is_ok() || !probe.vital;
        let failed = if probe.vital { "failed" } else { "degraded" };
        backends.insert(
            probe.name.to_owned(),
            answer.map_or_else(
                |why| json!({"status": failed, "detail": why}),
                |()| json!({"status": "ok"}),
            ),
        );
    }
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
