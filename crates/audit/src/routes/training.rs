//! Records as training data.

use actix_web::{HttpResponse, http::header, web::Data};
use identity::{
    Problem,
    http::{Admitted, Json},
};
use serde::Deserialize;

use super::ExportTraining;
use crate::{Seq, service::Audit};

/// Which records.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingBody {
    /// The first seq; 1 when absent.
    from: Option<u64>,
    /// The last seq; the last there is when absent.
    to: Option<u64>,
}

/// Exports the records that their actors allow to be used for training, without ids
/// and personal data, as JSON lines. The last line is `{"kind":"end",…}`.
#[utoipa::path(post, path = "/audit/training-export", tag = "audit", request_body = TrainingBody,
    responses((status = 200, description = "JSON lines", content_type = "application/jsonl")))]
pub(crate) async fn export(
    admitted: Admitted<ExportTraining, Json<TrainingBody>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let Json(TrainingBody { from, to }) = admitted.body;
    let seq = |at: &'static str, number: Option<u64>| {
        let seq = number.map(Seq::try_from).transpose();
        seq.map_err(|_| Problem::invalid(at, "is a seq, 1 or more"))
    };
    let (from, to) = (seq("/from", from)?, seq("/to", to)?);
    let audit = audit.into_inner();
    let from = from.unwrap_or(Seq::FIRST);
    let lines = audit.training_export(&admitted.scope, from, to).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/jsonl")
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"training.jsonl\"",
        ))
        .streaming(lines))
}
