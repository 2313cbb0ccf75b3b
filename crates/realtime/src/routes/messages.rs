//! Messages: posted, and read again.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use bytes::BytesMut;
use identity::{
    Problem, Scope,
    http::{Admitted, Json, Query, remarked},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use store::Cursor;

use super::{OwnThread, PageQuery};
use crate::{
    InvalidMessage, Message, PostMessage, ReadThread, Realtime, RouteKey, envelope::WithId,
    record::remarks_on, wire::GapNotice,
};

/// A message.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct MessageBody {
    /// `chat.message` by default, on a canvas `tool.event`.
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
    let route = &admitted.object.route;
    post_on(&admitted.scope, route, admitted.body, &req, &realtime).await
}

/// Posts to the stream of `route`, which was found in the scope.
pub(super) async fn post_on(
    scope: &Scope,
    route: &RouteKey,
    Json(MessageBody { r#type, data }): Json<MessageBody>,
    req: &HttpRequest,
    realtime: &Realtime,
) -> Result<HttpResponse, Problem> {
    let key = idempotency_key(req)?;
    let message = Message::new(r#type.as_deref(), data, key)?;
    let appended = realtime.post(scope, route, &message).await?;
    let response = HttpResponse::Created().json(Posted {
        id: appended.cursor.to_string(),
        duplicate: appended.duplicate,
    });
    Ok(remarked(response, remarks_on(&appended)))
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
        Some(text) => Some(
            text.parse()
                .map_err(|_| Problem::query("after", "is no cursor of this list"))?,
        ),
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
