//! `/gates/approvals`: members ask, admins approve or reject.

use actix_web::{HttpResponse, http::header, web::Data};
use identity::{
    Problem, Remarks,
    http::{Admitted, Json, Query, remarked},
};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use store::PageRequest;
use utoipa::ToSchema;

use super::{
    Approve, ReadApprovals, Reject, RequestApproval,
    wire::{Asked, Items, PageQuery},
};
use crate::{
    Approval, ApprovalId, ApprovalRequest, ApprovalState, GateChain, PayloadHash, TargetName,
};

/// What is to be approved.
#[derive(Deserialize, ToSchema)]
pub(super) struct ApprovalBody {
    /// The action, such as `nexus.cards.create`.
    action: String,
    /// Binds it to one target; a write without a body needs that.
    #[schema(value_type = Option<String>)]
    target: Option<TargetName>,
    /// SHA-256 of the body's RFC 8785 form, 64 hex digits.
    #[schema(value_type = String)]
    payload_sha256: PayloadHash,
}

/// An approval.
#[derive(Serialize, ToSchema)]
pub(super) struct ApprovalView {
    approval_id: String,
    state: ApprovalState,
    action: String,
    target: Option<String>,
    payload_sha256: String,
    requester: String,
    requested_at: String,
    expires_at: String,
    quorum: u8,
    approvers: Vec<String>,
    rejected_by: Option<String>,
    /// The decision that it was used for.
    used_by: Option<String>,
}

impl ApprovalView {
    fn of(id: &ApprovalId, approval: &Approval, gates: &GateChain) -> Self {
        let target = approval.target.as_ref();
        Self {
            approval_id: id.to_string(),
            state: approval.state(gates.now()),
            action: approval.action.to_string(),
            target: target.map(|target| target.as_str().to_owned()),
            payload_sha256: approval.payload_sha256.to_string(),
            requester: approval.requester.to_string(),
            requested_at: approval.requested_at.to_string(),
            expires_at: approval.expires_at.to_string(),
            quorum: approval.quorum,
            approvers: approval.approvers.iter().map(ToString::to_string).collect(),
            rejected_by: approval.rejected_by.as_ref().map(ToString::to_string),
            used_by: approval.used_by.as_ref().map(ToString::to_string),
        }
    }
}

/// Asks for an approval.
#[utoipa::path(post, path = "/gates/approvals", tag = "gates", request_body = ApprovalBody,
    responses((status = 201, body = ApprovalView)))]
pub(super) async fn request(
    admitted: Admitted<RequestApproval, Json<ApprovalBody>>,
    gates: Data<GateChain>,
) -> Result<HttpResponse, Problem> {
    let body = admitted.body.0;
    let request = ApprovalRequest {
        action: SmolStr::new(&body.action),
        target: body.target,
        payload_sha256: body.payload_sha256,
    };
    let (id, approval) = gates.request_approval(&admitted.scope, request).await?;
    let response = HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/gates/approvals/{id}")))
        .json(ApprovalView::of(&id, &approval, &gates));
    let remarks = Remarks::default().with("gated_action", &approval.action);
    Ok(remarked(response, remarks))
}

/// Lists the approvals of the tenant and environment.
#[utoipa::path(get, path = "/gates/approvals", tag = "gates",
    params(("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = Items<ApprovalView>)))]
pub(super) async fn list(
    admitted: Admitted<ReadApprovals>,
    query: Query<PageQuery>,
    gates: Data<GateChain>,
) -> Result<HttpResponse, Problem> {
    let page = PageRequest::parse(query.0.after.as_deref(), query.0.limit)?;
    let page = gates.approvals(&admitted.scope, &page).await?;
    let next = page.next();
    let items = page.items.iter().flatten();
    let items = items.map(|(id, approval)| ApprovalView::of(id, approval, &gates));
    Ok(HttpResponse::Ok().json(Items {
        items: items.collect(),
        next,
    }))
}

/// Shows an approval.
#[utoipa::path(get, path = "/gates/approvals/{id}", tag = "gates", params(("id" = String, Path)),
    responses((status = 200, body = ApprovalView), (status = 404, description = "Foreign or unknown")))]
pub(super) async fn show(
    admitted: Admitted<ReadApprovals, (), Asked>,
    gates: Data<GateChain>,
) -> Result<HttpResponse, Problem> {
    let Asked(id) = admitted.object;
    let approval = gates.approval(&admitted.scope, &id).await?;
    let approval = approval.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(ApprovalView::of(&id, &approval, &gates)))
}

/// Approves what another has asked for.
#[utoipa::path(post, path = "/gates/approvals/{id}/approve", tag = "gates", params(("id" = String, Path)),
    responses((status = 200, body = ApprovalView), (status = 403, description = "Your own request"),
        (status = 404, description = "Foreign or unknown"), (status = 409, description = "It is over, or you have approved already")))]
pub(super) async fn approve(
    admitted: Admitted<Approve, (), Asked>,
    gates: Data<GateChain>,
) -> Result<HttpResponse, Problem> {
    let Asked(id) = admitted.object;
    let approval = gates.approve(&admitted.scope, &id).await?;
    Ok(HttpResponse::Ok().json(ApprovalView::of(&id, &approval, &gates)))
}

/// Rejects what another has asked for; that is final.
#[utoipa::path(post, path = "/gates/approvals/{id}/reject", tag = "gates", params(("id" = String, Path)),
    responses((status = 200, body = ApprovalView), (status = 403, description = "Your own request"),
        (status = 404, description = "Foreign or unknown"), (status = 409, description = "It is over")))]
pub(super) async fn reject(
    admitted: Admitted<Reject, (), Asked>,
    gates: Data<GateChain>,
) -> Result<HttpResponse, Problem> {
    let Asked(id) = admitted.object;
    let approval = gates.reject(&admitted.scope, &id).await?;
    Ok(HttpResponse::Ok().json(ApprovalView::of(&id, &approval, &gates)))
}
