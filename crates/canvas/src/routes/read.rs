//! Reading canvases.

use actix_web::{HttpResponse, web::Data};
use audit::{
    EntryView,
    service::{Audit, Filter},
};
use identity::{
    Code, Problem,
    http::{Admitted, Query},
};
use serde::Deserialize;
use store::PageRequest;

use super::{
    NumberedQuery, OwnCanvas, OwnRevision,
    wire::{CanvasView, CommitsView, PageView, PlayedView, StateView, VersionsView},
};
use crate::{CanvasService, ReadCanvas, ReadCanvasAudit, Seek};

/// Which part of a list.
#[derive(Deserialize)]
pub(crate) struct ListQuery {
    after: Option<String>,
    limit: Option<usize>,
}

impl ListQuery {
    pub(super) fn page(&self) -> Result<PageRequest, Problem> {
        Ok(PageRequest::parse(self.after.as_deref(), self.limit)?)
    }
}

/// Lists the project's canvases.
#[utoipa::path(get, path = "/canvas", tag = "canvas",
    params(("after" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, description = "`items` and `next`", body = Vec<CanvasView>)))]
pub(crate) async fn list(
    admitted: Admitted<ReadCanvas>,
    query: Query<ListQuery>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let page = query.page()?;
    let found = canvases.registry().list(&admitted.scope, &page).await?;
    Ok(HttpResponse::Ok().json(PageView {
        items: found.items.iter().map(CanvasView::from).collect(),
        next: found.next(),
    }))
}

/// Shows the canvas as it is.
#[utoipa::path(get, path = "/canvas/{canvas_id}", tag = "canvas", params(("canvas_id" = String, Path)),
    responses((status = 200, description = "`rev`, `epoch`, `state`, `state_hash`, and `resume_id` for its stream"),
        (status = 403, description = "Foreign or unknown")))]
pub(crate) async fn show(
    admitted: Admitted<ReadCanvas, (), OwnCanvas>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let OwnCanvas(key) = admitted.object;
    let view = canvases.view(&key).await?;
    Ok(HttpResponse::Ok().json(StateView::new(key.canvas().as_str(), &view)))
}

/// Lists the canvas's commits, in order.
#[utoipa::path(get, path = "/canvas/{canvas_id}/commits", tag = "canvas",
    params(("canvas_id" = String, Path), ("after" = Option<u64>, Query, description = "A revision"),
        ("limit" = Option<u32>, Query)),
    responses((status = 200, description = "`items`, `next`, and `oldest_rev`, the oldest commit that is kept")))]
pub(crate) async fn commits(
    admitted: Admitted<ReadCanvas, (), OwnCanvas>,
    query: Query<NumberedQuery>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let OwnCanvas(key) = admitted.object;
    let (after, limit) = (query.after()?, query.limit()?);
    let page = canvases.commits(&key, after, limit).await?;
    Ok(HttpResponse::Ok().json(CommitsView {
        items: page.items,
        next: page.next.map(|rev| rev.to_string()),
        oldest_rev: page.oldest_rev,
    }))
}

/// Lists what was done to the canvas, and what was refused, from the audit log.
#[utoipa::path(get, path = "/canvas/{canvas_id}/audit", tag = "canvas",
    params(("canvas_id" = String, Path), ("after" = Option<u64>, Query, description = "A seq"),
        ("limit" = Option<u32>, Query)),
    responses((status = 200, description = "`items` and `next`, as of the audit log; a page may be short and go on")))]
pub(crate) async fn audit_trail(
    admitted: Admitted<ReadCanvasAudit, (), OwnCanvas>,
    query: Query<NumberedQuery>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let OwnCanvas(key) = admitted.object;
    let (after, limit) = (query.after()?, query.limit()?);
    let filter = Filter {
        target: Some(key.canvas().to_string()),
        ..Filter::default()
    };
    let page = audit.query(&admitted.scope, &filter, after, limit).await?;
    // Another project of the tenant may have a canvas of the same id.
    let own = page.entries.iter();
    let own = own.filter(|entry| entry.leaf.project.as_ref() == Some(key.project()));
    Ok(HttpResponse::Ok().json(PageView {
        items: own.map(EntryView::from).collect(),
        next: page.next.map(|seq| seq.to_string()),
    }))
}

/// Lists the canvas's versions, the newest first: one for every five minutes in which it was changed.
#[utoipa::path(get, path = "/canvas/{canvas_id}/versions", tag = "canvas",
    params(("canvas_id" = String, Path), ("after" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, description = "`items` and `next`")))]
pub(crate) async fn versions(
    admitted: Admitted<ReadCanvas, (), OwnCanvas>,
    query: Query<ListQuery>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let OwnCanvas(key) = admitted.object;
    let found = canvases.versions(&key, &query.page()?).await?;
    let next = found.next();
    Ok(HttpResponse::Ok().json(VersionsView {
        items: found.items,
        next,
    }))
}

/// Shows the canvas as it was at a revision, any that is kept.
#[utoipa::path(get, path = "/canvas/{canvas_id}/versions/{rev}", tag = "canvas",
    params(("canvas_id" = String, Path), ("rev" = u64, Path)),
    responses((status = 200, description = "As of the canvas"), (status = 404, description = "It is not kept")))]
pub(crate) async fn version(
    admitted: Admitted<ReadCanvas, (), OwnRevision>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let OwnRevision { key, rev } = admitted.object;
    let view = canvases.view_at(&key, rev).await?;
    Ok(HttpResponse::Ok().json(StateView::new(key.canvas().as_str(), &view)))
}

/// Where a player begins.
#[derive(Deserialize)]
pub(crate) struct SeekQuery {
    rev: Option<String>,
    at: Option<String>,
}

impl SeekQuery {
    fn seek(&self) -> Result<Seek, Problem> {
        let why = "say rev, a number, or at, a time of RFC 3339, and not both";
        let bad = || Problem::new(Code::QueryInvalid, why);
        match (&self.rev, &self.at) {
            (None, None) => Ok(Seek::Oldest),
            (Some(rev), None) => rev.parse().map(Seek::Rev).map_err(|_| bad()),
            (None, Some(at)) => at.parse().map(Seek::Time).map_err(|_| bad()),
            (Some(_), Some(_)) => Err(bad()),
        }
    }
}

/// Shows a part of the log as a replay has it: a keyframe, and the commits after it.
#[utoipa::path(get, path = "/canvas/{canvas_id}/player", tag = "canvas",
    params(("canvas_id" = String, Path), ("rev" = Option<u64>, Query, description = "Begin at this revision"),
        ("at" = Option<String>, Query, description = "Begin with what was there at this time")),
    responses((status = 200, description = "`keyframe`, `commits`, and `next`, the revision at which to go on; at the head `resume_id`, the cursor of its stream"),
        (status = 404, description = "The revision is not kept")))]
pub(crate) async fn play(
    admitted: Admitted<ReadCanvas, (), OwnCanvas>,
    query: Query<SeekQuery>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let OwnCanvas(key) = admitted.object;
    let played = canvases.play(&key, query.seek()?).await?;
    Ok(HttpResponse::Ok().json(PlayedView::new(key.canvas().as_str(), &played)))
}
