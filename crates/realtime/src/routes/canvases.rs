//! Canvases: their streams, and what tools say on them.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use identity::{
    Problem, Scope,
    http::{Admitted, Json, Object, Query},
};

use super::{
    messages::{MessageBody, Posted, post_on},
    streams::{SseQuery, WsQuery, converse_on, follow_on},
};
use crate::{CanvasKey, OpenCanvasStream, PostToolEvent, Realtime, rules::CANVAS};

const CANVAS_PART: &str = "canvas_id";

/// The canvas that the path names.
pub(crate) struct OwnCanvas(CanvasKey);

impl Object for OwnCanvas {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let realtime = super::realtime_of(req)?;
        let id = req.match_info().get(CANVAS_PART).unwrap_or_default();
        let (key, _) = realtime.canvases.verify_canvas_access(scope, id).await?;
        Ok(Self(key))
    }
}

/// The canvas whose stream is opened: the route takes tickets.
pub(crate) struct StreamCanvas(CanvasKey);

impl Object for StreamCanvas {
    const STREAM: Option<(&'static str, &'static str)> = Some((CANVAS, CANVAS_PART));

    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let OwnCanvas(key) = OwnCanvas::locate(scope, req).await?;
        Ok(Self(key))
    }
}

/// Follows a canvas with server-sent events: its commits, its artifacts, and what tools say.
#[utoipa::path(get, path = "/sse/canvas/{canvas_id}", tag = "canvas",
    params(("canvas_id" = String, Path), ("Last-Event-ID" = Option<String>, Header),
        ("last_event_id" = Option<String>, Query), ("ticket" = Option<String>, Query)),
    responses((status = 200, content_type = "text/event-stream",
        description = "`message`, `gap`, `drain` and `unauthorized` events"),
        (status = 403, description = "Foreign or unknown"),
        (status = 429, description = "Too many streams are open"), (status = 503, description = "The server is stopping")))]
pub(crate) async fn follow(
    admitted: Admitted<OpenCanvasStream, (), StreamCanvas>,
    query: Query<SseQuery>,
    req: HttpRequest,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let StreamCanvas(key) = admitted.object;
    realtime.settle(&key).await;
    let Query(query) = query;
    follow_on(admitted.scope, key.route(), &query, &req, realtime).await
}

/// Follows a canvas over a WebSocket, subprotocol `tenantry.v1`, with presence, gestures and the
/// events of tools.
#[utoipa::path(get, path = "/ws/canvas/{canvas_id}", tag = "canvas",
    params(("canvas_id" = String, Path), ("last_id" = Option<String>, Query), ("ticket" = Option<String>, Query)),
    responses((status = 101, description = "JSON text frames; see the HTTP API document"),
        (status = 403, description = "Foreign or unknown"),
        (status = 426, description = "Not a WebSocket handshake"),
        (status = 429, description = "Too many streams are open"), (status = 503, description = "The server is stopping")))]
pub(crate) async fn converse(
    admitted: Admitted<OpenCanvasStream, (), StreamCanvas>,
    query: Query<WsQuery>,
    req: HttpRequest,
    payload: Payload,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let StreamCanvas(key) = admitted.object;
    realtime.settle(&key).await;
    let (scope, route) = (admitted.scope, key.route().clone());
    converse_on(scope, route, &query.0, &req, payload, realtime).await
}

/// Posts an event of a tool where the canvas's stream is; answers when it is durable.
#[utoipa::path(post, path = "/sse/canvas/{canvas_id}", tag = "canvas",
    params(("canvas_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = MessageBody,
    responses((status = 201, body = Posted), (status = 403, description = "Foreign or unknown"),
        (status = 413, description = "data is too large"),
        (status = 422, description = "The type is not `tool.…`, or the idempotency key was used for another event"),
        (status = 429, description = "A rate of the tenant is used up")))]
pub(crate) async fn post(
    admitted: Admitted<PostToolEvent, Json<MessageBody>, OwnCanvas>,
    req: HttpRequest,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let OwnCanvas(key) = admitted.object;
    post_on(&admitted.scope, key.route(), admitted.body, &req, &realtime).await
}
