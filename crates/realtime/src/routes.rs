//! Everything this crate serves.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web::{Data, Payload},
};
use bytes::BytesMut;
use identity::{
    Code, Problem, Scope, ThreadId,
    http::{Admitted, Json, Object, Query, Routes},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use store::Cursor;

use crate::{
    InvalidMessage, IssueTicket, Message, NewThread, OpenStream, PostMessage, ReadThread, Realtime,
    RealtimeError, RegisterThread, RouteKey, TICKET_LIFE, TITLE_BYTES_MAX, Thread,
    envelope::WithId, hub::From, meters::Transport, registry::CHAT, sse, wire::GapNotice, ws,
};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;
const THREAD_PART: &str = "thread_id";

/// Mounts the chat rail; the server mounts it, and so can you. The application
/// needs `Data<Realtime>` besides what `identity` needs.
pub fn routes(routes: &mut Routes) {
    routes.tenant(Method::POST, "/chat/threads", register);
    routes.tenant(Method::GET, "/chat/threads", list);
    routes.tenant(Method::GET, "/chat/threads/{thread_id}", show);
    routes.tenant(Method::POST, "/chat/threads/{thread_id}/messages", post);
    routes.tenant(Method::GET, "/chat/threads/{thread_id}/messages", history);
    routes.tenant(Method::POST, "/sse/chat/{thread_id}", post_to_stream);
    routes.tenant(Method::GET, "/sse/chat/{thread_id}", follow);
    routes.tenant(Method::GET, "/ws/chat/{thread_id}", converse);
    routes.tenant(Method::POST, "/realtime/tickets", issue);
}

/// The thread that the path names.
pub(crate) struct OwnThread {
    route: RouteKey,
    thread: Thread,
}

impl Object for OwnThread {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let Some(realtime) = req.app_data::<Data<Realtime>>() else {
            return Err(Problem::unavailable(&"the realtime service is not mounted"));
        };
        let id = req.match_info().get(THREAD_PART).unwrap_or_default();
        let (route, thread) = realtime.registry.verify_thread_access(scope, id).await?;
        Ok(Self { route, thread })
    }
}

/// The thread whose stream is opened: the route takes tickets.
pub(crate) struct StreamThread(OwnThread);

impl Object for StreamThread {
    const STREAM: Option<(&'static str, &'static str)> = Some((CHAT, THREAD_PART));

    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        OwnThread::locate(scope, req).await.map(Self)
    }
}

/// A thread to register.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct RegisterBody {
    /// `th_…`; made by the server when absent.
    #[schema(value_type = Option<String>)]
    thread_id: Option<ThreadId>,
    /// What people call it.
    title: Option<String>,
}

/// A thread.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ThreadView {
    thread_id: String,
    project_id: String,
    title: Option<String>,
    created_by: String,
    created_at: String,
}

impl std::convert::From<Thread> for ThreadView {
    fn from(thread: Thread) -> Self {
        Self {
            thread_id: thread.thread_id.to_string(),
            project_id: thread.project_id.to_string(),
            title: thread.title,
            created_by: thread.created_by.to_string(),
            created_at: thread.created_at.to_string(),
        }
    }
}

/// Registers a thread, or finds it again.
#[utoipa::path(post, path = "/chat/threads", tag = "chat", request_body = RegisterBody,
    responses((status = 201, body = ThreadView), (status = 200, description = "It was there", body = ThreadView),
        (status = 409, description = "It has another title")))]
pub(crate) async fn register(
    admitted: Admitted<RegisterThread, Json<RegisterBody>>,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let Json(RegisterBody { thread_id, title }) = admitted.body;
    if title
        .as_ref()
        .is_some_and(|title| title.len() > TITLE_BYTES_MAX)
    {
        let why = format!("a title has at most {TITLE_BYTES_MAX} bytes");
        return Err(Problem::invalid("/title", why));
    }
    let new = NewThread { thread_id, title };
    let (thread, created) = realtime.registry.register(&admitted.scope, new).await?;
    let mut response = if created {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(response.json(ThreadView::from(thread)))
}

/// Which part of a list.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    after: Option<String>,
    limit: Option<usize>,
}

impl PageQuery {
    fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            Some(0) => Err(bad_query("limit is 1 at least")),
            limit => Ok(limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX)),
        }
    }
}

fn bad_query(why: &str) -> Problem {
    Problem::new(Code::QueryInvalid, why)
}

/// A page of threads.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ThreadPage {
    items: Vec<ThreadView>,
    next: Option<String>,
}

/// Lists the project's threads.
#[utoipa::path(get, path = "/chat/threads", tag = "chat",
    params(("after" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = ThreadPage)))]
pub(crate) async fn list(
    admitted: Admitted<ReadThread>,
    query: Query<PageQuery>,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let limit = query.limit()?;
    let after = query.after.as_deref();
    let threads = realtime
        .registry
        .list(&admitted.scope, after, limit)
        .await?;
    let last = threads.last().filter(|_| threads.len() == limit);
    let page = ThreadPage {
        next: last.map(|thread| thread.thread_id.to_string()),
        items: threads.into_iter().map(ThreadView::from).collect(),
    };
    Ok(HttpResponse::Ok().json(page))
}

/// Shows one thread.
#[utoipa::path(get, path = "/chat/threads/{thread_id}", tag = "chat",
    params(("thread_id" = String, Path)), responses((status = 200, body = ThreadView),
        (status = 403, description = "Foreign or unknown")))]
pub(crate) async fn show(admitted: Admitted<ReadThread, (), OwnThread>) -> HttpResponse {
    HttpResponse::Ok().json(ThreadView::from(admitted.object.thread))
}

/// A message.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct MessageBody {
    /// `chat.message` by default.
    r#type: Option<String>,
    /// Any JSON, kept as it is.
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "present")]
    data: Box<RawValue>,
}

/// Read by hand, so that `null` counts as data and absence does not.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Box<RawValue>, D::Error> {
    Box::<RawValue>::deserialize(from)
}

/// Where a message is.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Posted {
    id: String,
    duplicate: bool,
}

/// Posts a message; answers when it is durable.
#[utoipa::path(post, path = "/chat/threads/{thread_id}/messages", tag = "chat",
    params(("thread_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = MessageBody,
    responses((status = 201, body = Posted), (status = 413, description = "data is too large"),
        (status = 422, description = "The idempotency key was used for another message"),
        (status = 429, description = "A rate of the tenant is used up")))]
pub(crate) async fn post(
    admitted: Admitted<PostMessage, Json<MessageBody>, OwnThread>,
    req: HttpRequest,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let Json(MessageBody { r#type, data }) = admitted.body;
    let key = idempotency_key(&req)?;
    let message = Message::new(r#type.as_deref(), data, key)?;
    let route = &admitted.object.route;
    let appended = realtime.publish(&admitted.scope, route, &message).await?;
    Ok(HttpResponse::Created().json(Posted {
        id: appended.cursor.to_string(),
        duplicate: appended.duplicate,
    }))
}

/// Posts a message where its stream is; the same as to the thread's messages.
#[utoipa::path(post, path = "/sse/chat/{thread_id}", tag = "chat",
    params(("thread_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = MessageBody,
    responses((status = 201, body = Posted)))]
pub(crate) async fn post_to_stream(
    admitted: Admitted<PostMessage, Json<MessageBody>, OwnThread>,
    req: HttpRequest,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    post(admitted, req, realtime).await
}

fn idempotency_key(req: &HttpRequest) -> Result<Option<&str>, Problem> {
    let mut all = req.headers().get_all("idempotency-key");
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        // What is no text is refused as an empty key is.
        (Some(value), None) => Ok(Some(value.to_str().unwrap_or_default())),
        _ => Err(InvalidMessage::IdempotencyKey.into()),
    }
}

impl std::convert::From<InvalidMessage> for Problem {
    fn from(invalid: InvalidMessage) -> Self {
        match invalid {
            InvalidMessage::Type => Self::invalid("/type", invalid.to_string()),
            InvalidMessage::TooLarge => Self::new(Code::BodyTooLarge, invalid.to_string()),
            InvalidMessage::IdempotencyKey => Self::new(Code::HeaderInvalid, invalid.to_string()),
        }
    }
}

/// Reads a thread's events.
#[utoipa::path(get, path = "/chat/threads/{thread_id}/messages", tag = "chat",
    params(("thread_id" = String, Path), ("after" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, description = "`items` are envelopes; `gap` says what is missing before them")))]
pub(crate) async fn history(
    admitted: Admitted<ReadThread, (), OwnThread>,
    query: Query<PageQuery>,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let limit = query.limit()?;
    let after: Option<Cursor> = match query.after.as_deref() {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| bad_query("after is no cursor"))?),
    };
    let route = &admitted.object.route;
    let history = realtime.history(route, after, limit).await?;
    let mut out = BytesMut::from(&b"{\"items\":["[..]);
    for (at, event) in history.events.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b",");
        }
        WithId(event.cursor, &event.body).write(&mut out);
    }
    let last = history.events.last().map(|event| event.cursor);
    let next = last.filter(|last| last.seq < history.bounds.head);
    let next = next.map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
    out.extend_from_slice(format!("],\"next\":{next}").as_bytes());
    if let Some(reason) = history.gap {
        let requested = query.after.as_deref().unwrap_or_default();
        let gap = GapNotice::because(reason, requested, history.bounds).to_json();
        out.extend_from_slice(format!(",\"gap\":{gap}").as_bytes());
    }
    out.extend_from_slice(b"}");
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(out.freeze()))
}

#[derive(Deserialize)]
pub(crate) struct SseQuery {
    last_event_id: Option<String>,
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
    let from = From::parse(last_event_id(&req).or(query.last_event_id.as_deref()));
    let live = from == From::Live;
    let route = &admitted.object.0.route;
    let realtime = realtime.into_inner();
    let (watch, subscription) = realtime
        .open(admitted.scope, route, from, Transport::Sse)
        .await?;
    Ok(sse::respond(watch, subscription, live))
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
    let handshake = ws::handshake(&req)?;
    let Query(query) = query;
    let from = From::parse(query.last_id.as_deref());
    let OwnThread { route, .. } = admitted.object.0;
    let realtime = realtime.into_inner();
    let (watch, subscription) = realtime
        .open(admitted.scope, &route, from.clone(), Transport::Ws)
        .await?;
    ws::respond(handshake, payload, watch, subscription, route, &from)
}

/// A stream to give a ticket for.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct TicketBody {
    /// `chat`.
    rail: String,
    /// The thread.
    id: String,
}

/// A ticket, and where to use it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TicketView {
    ticket: String,
    expires_in: u64,
    sse_url: String,
    ws_url: String,
}

/// Gives a ticket for one stream, good once and for 30 seconds.
#[utoipa::path(post, path = "/realtime/tickets", tag = "realtime", request_body = TicketBody,
    responses((status = 201, body = TicketView), (status = 403, description = "Foreign or unknown"),
        (status = 422, description = "There is no such rail")))]
pub(crate) async fn issue(
    admitted: Admitted<IssueTicket, Json<TicketBody>>,
    req: HttpRequest,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let Json(TicketBody { rail, id }) = admitted.body;
    if rail != CHAT {
        return Err(Problem::invalid("/rail", "there is no such rail"));
    }
    let scope = &admitted.scope;
    let (route, _) = realtime.registry.verify_thread_access(scope, &id).await?;
    let origin = req.headers().get(header::ORIGIN);
    let origin = origin.and_then(|origin| origin.to_str().ok());
    let ticket = realtime.tickets.issue(scope, &route, origin).await?;
    let base = realtime.config.public_url.as_deref().unwrap_or_default();
    let thread = route.thread();
    Ok(HttpResponse::Created().json(TicketView {
        expires_in: TICKET_LIFE.as_secs(),
        sse_url: format!("{base}/sse/chat/{thread}?ticket={ticket}"),
        // http and https become ws and wss.
        ws_url: format!(
            "{}/ws/chat/{thread}?ticket={ticket}",
            base.replacen("http", "ws", 1)
        ),
        ticket,
    }))
}

impl std::convert::From<RealtimeError> for actix_web::Error {
    fn from(error: RealtimeError) -> Self {
        Problem::from(error).into()
    }
}
