//! Runs of agents.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};
use gatechain::http::{FromRequest, Gated, Sent};
use identity::{
    Problem, Remarks, Scope,
    http::{Admitted, Object, Query, remarked},
};
use nexus::RunStatus;
use realtime::CanvasKey;
use serde::Serialize;

use super::{
    OwnCanvas,
    read::ListQuery,
    wire::{PageView, RunBody},
};
use crate::{CancelRun, Failed, Mode, ReadCanvas, Run, RunId, RunOf, Runs, model::AgentName};

/// A run of a canvas that the path names.
pub(crate) struct OwnRun {
    key: CanvasKey,
    id: RunId,
}

impl Object for OwnRun {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let OwnCanvas(key) = OwnCanvas::locate(scope, req).await?;
        let id = req.match_info().get("run_id").unwrap_or_default();
        let id = id.parse().map_err(|_| Problem::not_found())?;
        Ok(Self { key, id })
    }
}

impl FromRequest for RunOf {
    type Body = RunBody;
    type Object = OwnCanvas;

    fn from_request(
        _: &Scope,
        OwnCanvas(key): &OwnCanvas,
        sent: Sent<RunBody>,
    ) -> Result<Self, Problem> {
        let plan = sent.body.try_into()?;
        Ok(Self::new(key.clone(), plan, sent.sha256))
    }
}

/// A run.
#[derive(Serialize)]
struct RunView<'a> {
    canvas_id: &'a str,
    run_id: &'a RunId,
    name: &'a str,
    agent: &'a AgentName,
    status: RunStatus,
    mode: Mode,
    base_rev: u64,
    steps: Vec<StepView>,
    created_by: String,
    created_at: String,
    finished_at: Option<String>,
    error: Option<&'a Failed>,
    asset_id: Option<String>,
    cancel_requested: bool,
}

/// A step of it.
#[derive(Serialize)]
struct StepView {
    status: RunStatus,
    /// The revision that it made.
    rev: Option<u64>,
}

impl<'a> RunView<'a> {
    fn of(key: &'a CanvasKey, run: &'a Run) -> Self {
        Self {
            canvas_id: key.canvas().as_str(),
            run_id: &run.run_id,
            name: &run.name,
            agent: &run.agent,
            status: run.status,
            mode: run.mode,
            base_rev: run.base_rev,
            steps: (0..run.steps).map(|at| StepView::of(run, at)).collect(),
            created_by: run.created_by.to_string(),
            created_at: run.created_at.to_string(),
            finished_at: run.finished_at.map(|at| at.to_string()),
            error: run.error.as_ref(),
            asset_id: run.asset_id.as_ref().map(ToString::to_string),
            cancel_requested: run.cancel_requested,
        }
    }
}

impl StepView {
    fn of(run: &Run, at: usize) -> Self {
        let rev = run.revs.get(at).copied();
        let failed = run.error.as_ref().and_then(|error| error.step);
        let status = match (rev, run.status) {
            (Some(_), _) => RunStatus::Succeeded,
            (None, RunStatus::Failed) if failed == Some(at + 1) => RunStatus::Failed,
            (None, status) if status.is_final() => RunStatus::Cancelled,
            (None, _) => RunStatus::Queued,
        };
        Self { status, rev }
    }
}

/// Begins a run of an agent, behind the gates, or finds it again.
#[utoipa::path(post, path = "/canvas/{canvas_id}/runs", tag = "canvas",
    params(("canvas_id" = String, Path), ("x-approval-id" = Option<String>, Header)),
    request_body = RunBody,
    responses((status = 201, description = "It has begun, and goes on after the answer"),
        (status = 200, description = "It was begun before; this is how far it is"),
        (status = 403, description = "Foreign or unknown"),
        (status = 409, description = "As for commands: its first step would be refused, and there is no run"),
        (status = 422, description = "`command_invalid`, `idempotency_conflict`, or a plan that is none")))]
pub(crate) async fn start(gated: Gated<RunOf>, runs: Data<Runs>) -> Result<HttpResponse, Problem> {
    let key = gated.object.0;
    let runs = runs.into_inner();
    let (run, is_new) = runs.start(gated.scope, gated.passed).await?;
    let (canvas, id) = (key.canvas(), &run.run_id);
    let remarks = Remarks::default()
        .with("run_id", id)
        .with("canvas_id", canvas)
        .with("agent", &run.agent);
    let mut response = if is_new {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    response.insert_header((header::LOCATION, format!("/canvas/{canvas}/runs/{id}")));
    let response = response.json(RunView::of(&key, &run));
    Ok(remarked(response, remarks))
}

/// Lists the runs of the canvas, by id.
#[utoipa::path(get, path = "/canvas/{canvas_id}/runs", tag = "canvas",
    params(("canvas_id" = String, Path), ("after" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, description = "`items` and `next`")))]
pub(crate) async fn list(
    admitted: Admitted<ReadCanvas, (), OwnCanvas>,
    query: Query<ListQuery>,
    runs: Data<Runs>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let OwnCanvas(key) = admitted.object;
    let found = runs.list(&key, &query.page()?).await?;
    Ok(HttpResponse::Ok().json(PageView {
        items: found
            .items
            .iter()
            .map(|run| RunView::of(&key, run))
            .collect(),
        next: found.next(),
    }))
}

/// Shows how far a run is, or how it ended.
#[utoipa::path(get, path = "/canvas/{canvas_id}/runs/{run_id}", tag = "canvas",
    params(("canvas_id" = String, Path), ("run_id" = String, Path)),
    responses((status = 200, description = "`status`, `steps`, `error`, `asset_id`"),
        (status = 404, description = "There is no such run, or it was more than 30 days ago")))]
pub(crate) async fn show(
    admitted: Admitted<ReadCanvas, (), OwnRun>,
    runs: Data<Runs>,
) -> Result<HttpResponse, Problem> {
    let OwnRun { key, id } = admitted.object;
    let run = runs.find(&key, &id).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(RunView::of(&key, &run)))
}

/// Calls a run off; it ends before its next step, and the replay of what it did is kept.
#[utoipa::path(post, path = "/canvas/{canvas_id}/runs/{run_id}/cancel", tag = "canvas",
    params(("canvas_id" = String, Path), ("run_id" = String, Path)),
    responses((status = 200, description = "The run, called off or as it had ended"),
        (status = 404, description = "There is no such run")))]
pub(crate) async fn cancel(
    admitted: Admitted<CancelRun, (), OwnRun>,
    runs: Data<Runs>,
) -> Result<HttpResponse, Problem> {
    let OwnRun { key, id } = admitted.object;
    let run = runs.cancel(&key, &id).await?;
    let remarks = Remarks::default().with("canvas_id", key.canvas());
    let response = HttpResponse::Ok().json(RunView::of(&key, &run));
    Ok(remarked(response, remarks))
}
