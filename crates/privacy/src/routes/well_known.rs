//! `/.well-known/gpc.json` (W3C Global Privacy Control, "GPC Support Resource").

use actix_web::HttpResponse;
use identity::http::{Public, PublicReason};
use serde::Serialize;
use utoipa::ToSchema;

/// The day on which this statement was last changed; change it with what `Sec-GPC` does.
const LAST_UPDATE: &str = "2026-11-21";

/// Whoever sends the signal may know that it is obeyed.
pub(crate) struct Statement;
impl PublicReason for Statement {
    const REASON: &'static str = "Global Privacy Control is declared to everyone";
    const ACTION: &'static str = "privacy.gpc.read";
}

/// What this site says of Global Privacy Control; the names are W3C's.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GpcView {
    gpc: bool,
    last_update: &'static str,
}

/// Says that `Sec-GPC: 1` is obeyed.
#[utoipa::path(get, path = "/.well-known/gpc.json", tag = "privacy",
    responses((status = 200, body = GpcView)))]
pub(crate) async fn gpc(_: Public<Statement>) -> HttpResponse {
    HttpResponse::Ok().json(GpcView {
        gpc: true,
        last_update: LAST_UPDATE,
    })
}
