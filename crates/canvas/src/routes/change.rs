//! Changing canvases.

use actix_web::{HttpResponse, http::header, web::Data};
use identity::{
    Problem, Remarks,
    http::{Admitted, Json, remarked},
};
use realtime::{NewCanvas, TITLE_BYTES_MAX};

use super::{
    OwnCanvas,
    wire::{AppliedView, CommandsBody, CreateBody, CreatedView, RestoreBody, UndoBody},
};
use crate::{
    Applied, CanvasService, CommandBatch, CreateCanvas, RestoreCanvas, SendCommands, UndoBatch,
};

/// Registers a canvas, or finds it again.
#[utoipa::path(post, path = "/canvas", tag = "canvas", request_body = CreateBody,
    responses((status = 201, body = CreatedView), (status = 200, description = "It was there", body = CreatedView),
        (status = 409, description = "It has another title")))]
pub(crate) async fn create(
    admitted: Admitted<CreateCanvas, Json<CreateBody>>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let Json(CreateBody { canvas_id, title }) = admitted.body;
    if title.as_ref().is_some_and(|t| t.len() > TITLE_BYTES_MAX) {
        let why = format!("a title has at most {TITLE_BYTES_MAX} bytes");
        return Err(Problem::invalid("/title", why));
    }
    let new = NewCanvas { canvas_id, title };
    let (canvas, view, created) = canvases.create(&admitted.scope, new).await?;
    let mut response = if created {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    response.insert_header((header::LOCATION, format!("/canvas/{}", canvas.canvas_id)));
    let remarks = Remarks::default().with("canvas_id", &canvas.canvas_id);
    let response = response.json(CreatedView::new(canvas, &view));
    Ok(remarked(response, remarks))
}

/// Carries out a batch of commands, once.
#[utoipa::path(post, path = "/canvas/{canvas_id}/commands", tag = "canvas",
    params(("canvas_id" = String, Path)), request_body = CommandsBody,
    responses((status = 200, description = "`rev`, `epoch`, `state_hash`, `effective`, `rebased_over`, `duplicate`"),
        (status = 409, description = "`rev_mismatch`, `rev_ahead` or `epoch_mismatch`, with the way to the head"),
        (status = 422, description = "`command_invalid`, or `idempotency_conflict`")))]
pub(crate) async fn send(
    admitted: Admitted<SendCommands, Json<CommandsBody>, OwnCanvas>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let Json(body) = admitted.body;
    let OwnCanvas(key) = admitted.object;
    let batch = CommandBatch::try_from(body)?;
    let applied = canvases.submit(&admitted.scope, &key, &batch).await?;
    let remarks = remarks_on(&applied).with("commands", batch.len());
    Ok(remarked(answer(applied), remarks))
}

/// Takes a batch back, where the canvas is still as it left it.
#[utoipa::path(post, path = "/canvas/{canvas_id}/undo", tag = "canvas",
    params(("canvas_id" = String, Path)), request_body = UndoBody,
    responses((status = 200, description = "As for commands; `skipped` names what was left alone"),
        (status = 404, description = "The client sent no such batch, or it is not kept any more"),
        (status = 409, description = "`undo_conflict`: everything was changed since")))]
pub(crate) async fn undo(
    admitted: Admitted<UndoBatch, Json<UndoBody>, OwnCanvas>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let Json(body) = admitted.body;
    let OwnCanvas(key) = admitted.object;
    let applied = canvases.undo(&admitted.scope, &key, &body.into()).await?;
    let remarks = remarks_on(&applied);
    Ok(remarked(answer(applied), remarks))
}

/// Goes back to an earlier revision; begins an epoch.
#[utoipa::path(post, path = "/canvas/{canvas_id}/restore", tag = "canvas",
    params(("canvas_id" = String, Path)), request_body = RestoreBody,
    responses((status = 200, description = "As for commands"),
        (status = 404, description = "The revision is not kept")))]
pub(crate) async fn restore(
    admitted: Admitted<RestoreCanvas, Json<RestoreBody>, OwnCanvas>,
    canvases: Data<CanvasService>,
) -> Result<HttpResponse, Problem> {
    let Json(body) = admitted.body;
    let OwnCanvas(key) = admitted.object;
    let restore = body.into();
    let applied = canvases.restore(&admitted.scope, &key, &restore).await?;
    let remarks = remarks_on(&applied).with("restores", restore.rev);
    Ok(remarked(answer(applied), remarks))
}

/// What a change's record says of its commit.
fn remarks_on(applied: &Applied) -> Remarks {
    let remarks = Remarks::default().with("rev", applied.rev);
    if applied.duplicate {
        remarks.with("duplicate", true)
    } else {
        remarks
    }
}

fn answer(applied: Applied) -> HttpResponse {
    HttpResponse::Ok().json(AppliedView::from(applied))
}
