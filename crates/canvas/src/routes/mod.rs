//! Everything this crate serves: admit, call one service, answer.

mod change;
mod export;
mod read;
mod runs;
mod wire;

use actix_web::{HttpRequest, http::Method, web::Data};
use identity::{
    Problem, Scope,
    http::{Object, Routes},
};
use realtime::CanvasKey;
use serde::Deserialize;
use utoipa::OpenApi;

use crate::{CanvasError, CanvasService};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

pub use wire::{PreviewBody, ReplayBody, RunBody};

/// Mounts the canvases; the server mounts them, and so can you. The application needs
/// `Data<CanvasService>`, `Data<Exports>`, `Data<Runs>`, `Data<GateChain>` and `Data<Audit>` besides what `identity` needs.
pub fn routes(routes: &mut Routes) {
    routes.tenant(Method::POST, "/canvas", change::create);
    routes.tenant(Method::GET, "/canvas", read::list);
    routes.tenant(Method::GET, "/canvas/{canvas_id}", read::show);
    routes.tenant(Method::GET, "/canvas/{canvas_id}/commits", read::commits);
    routes.tenant(Method::GET, "/canvas/{canvas_id}/player", read::play);
    routes.tenant(Method::GET, "/canvas/{canvas_id}/audit", read::audit_trail);
    routes.tenant(Method::GET, "/canvas/{canvas_id}/versions", read::versions);
    routes.tenant(
        Method::GET,
        "/canvas/{canvas_id}/versions/{rev}",
        read::version,
    );
    routes.tenant(Method::POST, "/canvas/{canvas_id}/commands", change::send);
    routes.tenant(Method::POST, "/canvas/{canvas_id}/undo", change::undo);
    routes.tenant(Method::POST, "/canvas/{canvas_id}/restore", change::restore);
    routes.tenant(Method::POST, "/canvas/{canvas_id}/replays", export::replay);
    routes.tenant(
        Method::POST,
        "/canvas/{canvas_id}/previews",
        export::preview,
    );
    routes.tenant(Method::POST, "/canvas/{canvas_id}/runs", runs::start);
    routes.tenant(Method::GET, "/canvas/{canvas_id}/runs", runs::list);
    let run = "/canvas/{canvas_id}/runs/{run_id}";
    routes.tenant(Method::GET, run, runs::show);
    let cancel = "/canvas/{canvas_id}/runs/{run_id}/cancel";
    routes.tenant(Method::POST, cancel, runs::cancel);
}

#[derive(OpenApi)]
#[openapi(paths(
    change::create,
    read::list,
    read::show,
    read::commits,
    read::play,
    read::audit_trail,
    read::versions,
    read::version,
    change::send,
    change::undo,
    change::restore,
    export::preview,
    export::replay,
    runs::start,
    runs::list,
    runs::show,
    runs::cancel,
))]
struct Api;

/// Describes what [`routes`] mounts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// The canvas that the path names.
pub struct OwnCanvas(CanvasKey);

impl Object for OwnCanvas {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let Some(canvases) = req.app_data::<Data<CanvasService>>() else {
            return Err(Problem::unavailable(&"the canvas service is not mounted"));
        };
        let id = req.match_info().get("canvas_id").unwrap_or_default();
        let (key, _) = canvases.registry().verify_canvas_access(scope, id).await?;
        Ok(Self(key))
    }
}

/// The revision of a canvas that the path names.
pub(crate) struct OwnRevision {
    key: CanvasKey,
    rev: u64,
}

impl Object for OwnRevision {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let OwnCanvas(key) = OwnCanvas::locate(scope, req).await?;
        let rev = req.match_info().get("rev").unwrap_or_default();
        let rev = rev.parse().map_err(|_| Problem::not_found())?;
        Ok(Self { key, rev })
    }
}

/// Which part of a list that is numbered.
#[derive(Deserialize)]
pub(crate) struct NumberedQuery {
    after: Option<String>,
    limit: Option<usize>,
}

impl NumberedQuery {
    fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            Some(0) => Err(Problem::query("limit", "must be 1 at least")),
            limit => Ok(limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX)),
        }
    }

    fn after(&self) -> Result<u64, Problem> {
        let text = self.after.as_deref().unwrap_or("0");
        text.parse()
            .map_err(|_| Problem::query("after", "is a number, or what next said"))
    }
}

impl From<CanvasError> for actix_web::Error {
    fn from(error: CanvasError) -> Self {
        Problem::from(error).into()
    }
}
