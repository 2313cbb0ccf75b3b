//! Streams: followed over SSE or WebSocket.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Payload},
};
use identity::{
    Problem, Scope,
    http::{Admitted, Query},
};
use serde::Deserialize;

use super::StreamThread;
use crate::{OpenStream, Realtime, RouteKey, hub::From, meters::Transport, sse, ws};

/// Where a client was, as its query says it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SseQuery {
    last_event_id: Option<String>,
}

impl SseQuery {
    /// Where the stream begins for `req`.
    pub(crate) fn from(&self, req: &HttpRequest) -> From {
        From::parse(last_event_id(req).or(self.last_event_id.as_deref()))
    }
}

/// Follows a thread with server-sent events.
#[utoipa::path(get, path = "/sse/chat/{thread_id}", tag = "chat",
    params(("thread_id" = String, Path), ("Last-Event-ID" = Option<String>, Header),
        ("last_event_id" = Option<String>, Query), ("ticket" = Option<String>, Query)),
    responses((status = 200, content_type = "text/event-stream",
        description = "`message`, `gap`, `drain` and `unauthorized` events"),
        (status = 429, description = "Too many streams are open"), (status = 503, description = "The server is stopping")))]
pub(crate) async fn follow(
    admitted: Admitted<OpenStream, (), StreamThread>,
    query: Query<SseQuery>,
    req: HttpRequest,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let route = &admitted.object.0.route;
    follow_on(admitted.scope, route, &query, &req, realtime).await
}

/// Answers with the stream of `route`, which was found in the scope.
pub(super) async fn follow_on(
    scope: Scope,
    route: &RouteKey,
    query: &SseQuery,
    req: &HttpRequest,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let from = query.from(req);
    let live = from == From::Live;
    let realtime = realtime.into_inner();
    let stream = realtime.open(scope, route, from, Transport::Sse).await?;
    Ok(sse::respond(stream, live))
}

/// The header, which an `EventSource` sends when it reconnects by itself. It is
/// newer than the query, which is still that of the first connection.
fn last_event_id(req: &HttpRequest) -> Option<&str> {
    let header = req
        .headers()
        .get(header::HeaderName::from_static("last-event-id"))?;
    // What is no text is no cursor either: a gap, not a live start.
    Some(header.to_str().unwrap_or("?")).filter(|text| !text.is_empty())
}

#[derive(Deserialize)]
pub(crate) struct WsQuery {
    last_id: Option<String>,
}

/// Follows and posts over a WebSocket, subprotocol `tenantry.v1`.
#[utoipa::path(get, path = "/ws/chat/{thread_id}", tag = "chat",
    params(("thread_id" = String, Path), ("last_id" = Option<String>, Query), ("ticket" = Option<String>, Query)),
    responses((status = 101, description = "JSON text frames; see the HTTP API document"),
        (status = 426, description = "Not a WebSocket handshake"),
        (status = 429, description = "Too many streams are open"), (status = 503, description = "The server is stopping")))]
pub(crate) async fn converse(
    admitted: Admitted<OpenStream, (), StreamThread>,
    query: Query<WsQuery>,
    req: HttpRequest,
    payload: Payload,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let (scope, route) = (admitted.scope, admitted.object.0.route);
    converse_on(scope, route, &query.0, &req, payload, realtime).await
}

/// Answers with a socket on the stream of `route`, which was found in the scope.
pub(super) async fn converse_on(
    scope: Scope,
    route: RouteKey,
    query: &WsQuery,
    req: &HttpRequest,
    payload: Payload,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let handshake = ws::handshake(req)?;
    let from = From::parse(query.last_id.as_deref());
    let realtime = realtime.into_inner();
    let opened = realtime.open(scope, &route, from.clone(), Transport::Ws);
    ws::respond(handshake, payload, opened.await?, route, &from)
}
