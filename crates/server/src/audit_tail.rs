//! The live tail of the audit log: records of `audit`, on the rails of `realtime`.
//!
//! Neither of the two knows the other, so that they meet here.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::Method, web::Data};
use audit::service::Audit;
use identity::{
    Problem, Scope,
    http::{Admitted, Object, Query, Routes},
};
use realtime::{Rail, Realtime, SseQuery};
use utoipa::OpenApi;

identity::action!(
    /// Following what is done by everyone in the tenant; for whom may read it as well.
    FollowAudit, "audit.stream.open", Admin
);
const CLOSE: &str = "audit.stream.close";
const RAIL: &str = "audit";
const PATH: &str = "/sse/audit";

/// The audit logs, to be followed.
pub(crate) struct AuditTail {
    audit: Arc<Audit>,
    rail: Rail,
}

impl AuditTail {
    /// A tail of the logs of `audit`, with the limits and the drain of `realtime`.
    pub(crate) fn new(audit: Arc<Audit>, realtime: &Arc<Realtime>) -> Self {
        let rail = Rail::new::<FollowAudit>(realtime, audit.as_json(), RAIL, CLOSE);
        Self { audit, rail }
    }
}

/// Mounts the route; the application needs `Data<AuditTail>`.
pub(crate) fn routes(routes: &mut Routes) {
    routes.tenant(Method::GET, PATH, follow);
}

/// The log of the scope: every tenant and environment has one. Its stream is one of those
/// for which tickets are taken, and none is given yet.
struct OwnLog;

impl Object for OwnLog {
    const STREAM: Option<(&'static str, &'static str)> = Some((RAIL, ""));

    async fn locate(_: &Scope, _: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self)
    }
}

/// Follows the records of the tenant's environment with server-sent events.
#[utoipa::path(get, path = PATH, tag = "audit",
    params(("Last-Event-ID" = Option<String>, Header), ("last_event_id" = Option<String>, Query)),
    responses((status = 200, content_type = "text/event-stream",
        description = "`message` events with the items of `GET /audit/events`; `gap`, `drain` and `unauthorized` events"),
        (status = 429, description = "Too many streams are open"), (status = 503, description = "The server is stopping")))]
async fn follow(
    admitted: Admitted<FollowAudit, (), OwnLog>,
    query: Query<SseQuery>,
    req: HttpRequest,
    tail: Data<AuditTail>,
) -> Result<HttpResponse, Problem> {
    let stream = tail.audit.stream(&admitted.scope);
    let Query(query) = query;
    let answer = tail
        .rail
        .follow(admitted.scope, &stream, PATH, &req, &query);
    Ok(answer.await?)
}

#[derive(OpenApi)]
#[openapi(paths(follow))]
struct Api;

/// Describes the route.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
