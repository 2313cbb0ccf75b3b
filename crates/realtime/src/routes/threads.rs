//! Threads: registered, listed, shown.

use actix_web::{HttpResponse, http::header, web::Data};
use identity::{
    Problem, Remarks, ThreadId,
    http::{Admitted, Json, Query, remarked},
};
use serde::{Deserialize, Serialize};

use super::{GovernedThread, OwnThread, PageQuery};
use crate::{
    KeepSnippets, NewThread, ReadThread, Realtime, RegisterThread, TITLE_BYTES_MAX, Thread,
};

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
    /// Whether its messages are kept as snippets, which the search finds.
    snippets: bool,
}

impl std::convert::From<Thread> for ThreadView {
    fn from(thread: Thread) -> Self {
        Self {
            thread_id: thread.thread_id.to_string(),
            project_id: thread.project_id.to_string(),
            title: thread.title,
            created_by: thread.created_by.to_string(),
            created_at: thread.created_at.to_string(),
            snippets: thread.snippets,
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
    let place = format!("/chat/threads/{}", thread.thread_id);
    response.insert_header((header::LOCATION, place));
    let remarks = Remarks::default().with("thread_id", &thread.thread_id);
    let response = response.json(ThreadView::from(thread));
    Ok(remarked(response, remarks))
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

/// Whether messages are kept.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct SnippetsBody {
    /// From now on.
    keep: bool,
}

/// Says whether the messages of a thread are kept as snippets, which the search finds: by who
/// registered it, and by admins.
#[utoipa::path(put, path = "/chat/threads/{thread_id}/snippets", tag = "chat",
    params(("thread_id" = String, Path)), request_body = SnippetsBody,
    responses((status = 200, body = ThreadView),
        (status = 403, description = "Foreign or unknown, or somebody else's")))]
pub(crate) async fn keep_snippets(
    admitted: Admitted<KeepSnippets, Json<SnippetsBody>, GovernedThread>,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let Json(SnippetsBody { keep }) = admitted.body;
    let (scope, id) = (&admitted.scope, &admitted.object.0.thread.thread_id);
    let thread = realtime.registry.keep_snippets(scope, id, keep).await?;
    let remarks = Remarks::default().with("snippets", keep);
    let response = HttpResponse::Ok().json(ThreadView::from(thread));
    Ok(remarked(response, remarks))
}
