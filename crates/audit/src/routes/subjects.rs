//! Erasure and legal hold.

use actix_web::{HttpResponse, web::Data};
use identity::{
    Problem, Recorded, UserId,
    http::{Admitted, Json},
};
use serde::{Deserialize, Serialize};

use super::{EraseSubject, ReadHold, SetHold, of_store};
use crate::service::Audit;

/// Whom to erase.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct ErasureBody {
    /// In the body and not in the path, because paths are recorded.
    #[schema(value_type = String)]
    user_id: UserId,
}

/// What an erasure did.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ErasureView {
    /// How many keys were destroyed; 0 when nothing was recorded of the user.
    destroyed: usize,
    /// The record `subject.erased`; absent when it waits in the spool.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

/// Makes everything personal that was recorded of a user unreadable, in all
/// environments of the tenant. The records and their proofs stay.
#[utoipa::path(post, path = "/audit/erasures", tag = "audit", request_body = ErasureBody,
    responses((status = 201, body = ErasureView),
        (status = 409, description = "A legal hold forbids it")))]
pub(crate) async fn erase(
    admitted: Admitted<EraseSubject, Json<ErasureBody>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let Json(ErasureBody { user_id }) = admitted.body;
    let audit = audit.into_inner();
    let erased = audit.erase(&admitted.scope, &user_id).await?;
    let seq = match erased.recorded {
        Recorded::Durable { seq } => Some(seq),
        Recorded::Degraded { .. } => None,
    };
    Ok(HttpResponse::Created().json(ErasureView {
        destroyed: erased.keys,
        seq,
    }))
}

/// Whether erasure is forbidden.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct HoldView {
    held: bool,
}

/// Tells whether the log of this environment is under legal hold.
#[utoipa::path(get, path = "/audit/hold", tag = "audit", responses((status = 200, body = HoldView)))]
pub(crate) async fn show_hold(
    admitted: Admitted<ReadHold>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let scope = admitted.scope;
    let held = audit.hold(&scope, scope.env()).await;
    let held = held.map_err(|error| of_store(&error))?;
    Ok(HttpResponse::Ok().json(HoldView { held }))
}

/// Puts the log of this environment under legal hold: nobody can be erased in the tenant.
#[utoipa::path(put, path = "/audit/hold", tag = "audit", responses((status = 200, body = HoldView)))]
pub(crate) async fn set_hold(
    admitted: Admitted<SetHold>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let set = audit.set_hold(&admitted.scope, true).await;
    set.map_err(|error| of_store(&error))?;
    Ok(HttpResponse::Ok().json(HoldView { held: true }))
}

/// Lifts the legal hold of this environment.
#[utoipa::path(delete, path = "/audit/hold", tag = "audit", responses((status = 204)))]
pub(crate) async fn lift_hold(
    admitted: Admitted<SetHold>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let set = audit.set_hold(&admitted.scope, false).await;
    set.map_err(|error| of_store(&error))?;
    Ok(HttpResponse::NoContent().finish())
}
