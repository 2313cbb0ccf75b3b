//! Everything this crate serves.

pub(crate) mod canvases;
pub(crate) mod messages;
pub(crate) mod streams;
pub(crate) mod threads;
pub(crate) mod tickets;

use actix_web::{HttpRequest, http::Method, web::Data};
use identity::{
    Code, Problem, Role, Scope,
    http::{Object, Routes},
};
use serde::Deserialize;

use crate::{Realtime, RealtimeError, RouteKey, Thread, rules::CHAT};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;
const THREAD_PART: &str = "thread_id";

/// Mounts the chat rail and the streams of canvases; the server mounts it, and so can you. The application
/// needs `Data<Realtime>` besides what `identity` needs.
pub fn routes(routes: &mut Routes) {
    routes.tenant(Method::POST, "/chat/threads", threads::register);
    routes.tenant(Method::GET, "/chat/threads", threads::list);
    routes.tenant(Method::GET, "/chat/threads/{thread_id}", threads::show);
    routes.tenant(
        Method::PUT,
        "/chat/threads/{thread_id}/snippets",
        threads::keep_snippets,
    );
    routes.tenant(
        Method::POST,
        "/chat/threads/{thread_id}/messages",
        messages::post,
    );
    routes.tenant(
        Method::GET,
        "/chat/threads/{thread_id}/messages",
        messages::history,
    );
    routes.tenant(
        Method::POST,
        "/sse/chat/{thread_id}",
        messages::post_to_stream,
    );
    routes.tenant(Method::GET, "/sse/chat/{thread_id}", streams::follow);
    routes.tenant(Method::GET, "/ws/chat/{thread_id}", streams::converse);
    routes.tenant(Method::POST, "/sse/canvas/{canvas_id}", canvases::post);
    routes.tenant(Method::GET, "/sse/canvas/{canvas_id}", canvases::follow);
    routes.tenant(Method::GET, "/ws/canvas/{canvas_id}", canvases::converse);
    routes.tenant(Method::POST, "/realtime/tickets", tickets::issue);
}

/// The thread that the path names.
pub(crate) struct OwnThread {
    route: RouteKey,
    thread: Thread,
}

impl Object for OwnThread {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let realtime = realtime_of(req)?;
        let id = req.match_info().get(THREAD_PART).unwrap_or_default();
        let (route, thread) = realtime.registry.verify_thread_access(scope, id).await?;
        Ok(Self { route, thread })
    }
}

fn realtime_of(req: &HttpRequest) -> Result<&Realtime, Problem> {
    let mounted = req.app_data::<Data<Realtime>>().map(Data::get_ref);
    mounted.ok_or_else(|| Problem::unavailable(&"the realtime service is not mounted"))
}

/// The thread that the path names, which is the caller's to govern.
pub(crate) struct GovernedThread(OwnThread);

impl Object for GovernedThread {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let own = OwnThread::locate(scope, req).await?;
        if own.thread.created_by == *scope.user() || scope.auth().role() >= Role::Admin {
            return Ok(Self(own));
        }
        let why = "Only who registered the thread, and admins, say this of it.";
        Err(Problem::new(Code::RoleForbidden, why))
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

/// Which part of a list.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    pub(super) after: Option<String>,
    limit: Option<usize>,
}

impl PageQuery {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            Some(0) => Err(Problem::query("limit", "must be 1 at least")),
            limit => Ok(limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX)),
        }
    }
}

impl std::convert::From<RealtimeError> for actix_web::Error {
    fn from(error: RealtimeError) -> Self {
        Problem::from(error).into()
    }
}
