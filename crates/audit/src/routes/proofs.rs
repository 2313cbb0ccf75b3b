//! Receipts, checkpoints and exports.

use actix_web::{HttpResponse, HttpResponseBuilder, http::header, web::Data};
use identity::{
    Code, Problem,
    http::{Admitted, Json, Public, Query},
};
use serde::Deserialize;

use super::{Checkpoints, ExportAudit, ReadAudit, events::Place};
use crate::{Seq, service::Audit};

/// What a reader knows already.
#[derive(Deserialize)]
pub(crate) struct ReceiptQuery {
    since: Option<u64>,
}

/// Proves one record: its leaf, its place in the log, the log's head, the epoch and
/// the signed checkpoint. Waits up to five seconds for the epoch that covers it.
#[utoipa::path(get, path = "/audit/events/{seq}/receipt", tag = "audit",
    params(("seq" = u64, Path),
        ("since" = Option<u64>, Query, description = "The size of a checkpoint that you know")),
    responses((status = 200, description = "The receipt, as docs/audit-format.md describes it"),
        (status = 404, description = "There is no such record"),
        (status = 410, description = "Retention has removed it"),
        (status = 503, description = "No checkpoint covers it yet")))]
pub(crate) async fn receipt(
    admitted: Admitted<ReadAudit, (), Place>,
    query: Query<ReceiptQuery>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let Place(seq) = admitted.object;
    let receipt = audit.receipt(&admitted.scope, seq, query.0.since).await?;
    Ok(HttpResponse::Ok().json(receipt))
}

/// The signed checkpoint that covers every tenant's log.
#[utoipa::path(get, path = "/audit/checkpoint", tag = "audit",
    responses((status = 200, description = "A C2SP signed note", content_type = "text/plain"),
        (status = 404, description = "Nothing was signed yet")))]
pub(crate) async fn checkpoint(
    _: Public<Checkpoints>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let note = audit.checkpoint();
    let note = note.ok_or_else(|| Problem::new(Code::NotFound, "Nothing was signed yet."))?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(note.to_string()))
}

/// In what form records are exported.
#[derive(Clone, Copy, Default, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExportFormat {
    /// With all proofs; it verifies offline.
    #[default]
    Proven,
    /// As OCSF events of class 6003, without proofs.
    Ocsf,
}

/// Which records to export.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct ExportBody {
    /// `proven` when absent.
    #[serde(default)]
    format: ExportFormat,
    /// The first seq; the first that retention has not removed when absent.
    from: Option<u64>,
    /// The last seq; when absent the last that a checkpoint covers, or, for `ocsf`, the last.
    to: Option<u64>,
    /// The size of a checkpoint that you know; for `proven` alone.
    since: Option<u64>,
}

/// Exports records as JSON lines: with all proofs, so that they verify offline, or as OCSF events.
#[utoipa::path(post, path = "/audit/export", tag = "audit", request_body = ExportBody,
    responses((status = 200, description = "JSON lines, as docs/audit-format.md describes them",
        content_type = "application/jsonl"),
        (status = 410, description = "Retention has removed the first of them")))]
pub(crate) async fn export(
    admitted: Admitted<ExportAudit, Json<ExportBody>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let Json(body) = admitted.body;
    let ExportBody {
        from, to, since, ..
    } = body;
    let from = match from {
        Some(from) => {
            Seq::try_from(from).map_err(|_| Problem::invalid("/from", "is a seq, 1 or more"))?
        }
        None => audit.oldest(&admitted.scope).await?,
    };
    if to.is_some_and(|to| to < from.index()) {
        return Err(Problem::invalid("/to", "is not before from"));
    }
    let audit = audit.into_inner();
    match body.format {
        ExportFormat::Proven => {
            let lines = audit.export(&admitted.scope, from, to, since).await?;
            Ok(download("audit.jsonl").streaming(lines))
        }
        ExportFormat::Ocsf if since.is_some() => {
            Err(Problem::invalid("/since", "is for the format proven"))
        }
        ExportFormat::Ocsf => {
            let lines = audit.ocsf_export(&admitted.scope, from, to).await?;
            Ok(download("audit.ocsf.jsonl").streaming(lines))
        }
    }
}

fn download(name: &str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.content_type("application/jsonl").insert_header((
        header::CONTENT_DISPOSITION,
        format!("attachment; filename=\"{name}\""),
    ));
    answer
}
