//! Artifacts of canvases, behind the gates.

use actix_web::{HttpResponse, web::Data};
use gatechain::http::{FromRequest, Gated, Sent};
use identity::{Problem, Scope};

use super::{
    OwnCanvas,
    wire::{PreviewBody, ReplayBody},
};
use crate::{Exports, PreviewOf, ReplayOf};

impl FromRequest for ReplayOf {
    type Body = ReplayBody;
    type Object = OwnCanvas;

    fn from_request(
        _: &Scope,
        OwnCanvas(key): &OwnCanvas,
        sent: Sent<ReplayBody>,
    ) -> Result<Self, Problem> {
        let range = sent.body.range()?;
        Ok(Self::new(key.clone(), range, sent.sha256))
    }
}

impl FromRequest for PreviewOf {
    type Body = PreviewBody;
    type Object = OwnCanvas;

    fn from_request(
        _: &Scope,
        OwnCanvas(key): &OwnCanvas,
        sent: Sent<PreviewBody>,
    ) -> Result<Self, Problem> {
        Ok(Self::new(key.clone(), sent.body.rev, sent.sha256))
    }
}

/// Makes a picture of a revision, behind the gates.
#[utoipa::path(post, path = "/canvas/{canvas_id}/previews", tag = "canvas",
    params(("canvas_id" = String, Path), ("x-approval-id" = Option<String>, Header)),
    request_body = PreviewBody,
    responses((status = 201, description = "The artifact, as `GET /artifacts/{asset_id}` shows it"),
        (status = 403, description = "Foreign or unknown"),
        (status = 404, description = "The revision is not kept")))]
pub(crate) async fn preview(
    gated: Gated<PreviewOf>,
    exports: Data<Exports>,
) -> Result<HttpResponse, Problem> {
    let asset = exports.preview(&gated.scope, gated.passed).await?;
    nexus::artifact_made(&gated.scope, asset)
}

/// Makes a replay of the canvas, behind the gates: a file that can be sought, and that a stranger
/// can check.
#[utoipa::path(post, path = "/canvas/{canvas_id}/replays", tag = "canvas",
    params(("canvas_id" = String, Path), ("x-approval-id" = Option<String>, Header)),
    request_body = ReplayBody,
    responses((status = 201, description = "The artifact, as `GET /artifacts/{asset_id}` shows it"),
        (status = 403, description = "Foreign or unknown"),
        (status = 404, description = "Not all of these revisions are kept"),
        (status = 422, description = "It would be too large; `fits_to` is the last revision that fits")))]
pub(crate) async fn replay(
    gated: Gated<ReplayOf>,
    exports: Data<Exports>,
) -> Result<HttpResponse, Problem> {
    let asset = exports.replay(&gated.scope, gated.passed).await?;
    nexus::artifact_made(&gated.scope, asset)
}
