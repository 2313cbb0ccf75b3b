//! `/gates/explain`: what the gates would say.

use actix_web::{HttpResponse, web::Data};
use identity::{
    Problem,
    http::{Admitted, Json},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smol_str::SmolStr;
use utoipa::ToSchema;

use super::Explain;
use crate::{ApprovalId, Credentials, Explanation, GateChain, PayloadHash, TargetName, Verdict};

/// What would be done.
#[derive(Deserialize, ToSchema)]
pub(super) struct ExplainBody {
    /// The action, such as `nexus.cards.create`.
    action: String,
    /// What it would be done to.
    #[schema(value_type = Option<String>)]
    target: Option<TargetName>,
    /// What it would cost, if it declares that.
    cost_micros: Option<u64>,
    /// What would be sent; absent for a write without a body.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// The approval that would be shown.
    approval_id: Option<String>,
}

impl ExplainBody {
    fn explanation(self) -> Result<Explanation, Problem> {
        let approval = self.approval_id.map(|id| {
            ApprovalId::parse(&id)
                .ok_or_else(|| Problem::invalid("/approval_id", "is no id of an approval"))
        });
        let bare = self.payload.is_none();
        let payload = self.payload.unwrap_or_else(|| Value::Object(Map::new()));
        Ok(Explanation {
            action: SmolStr::new(&self.action),
            target: self.target,
            cost_micros: self.cost_micros,
            payload: PayloadHash::of(&payload),
            bare,
            credentials: Credentials {
                approval: approval.transpose()?,
            },
        })
    }
}

/// What the gates would say.
#[derive(Serialize, ToSchema)]
pub(super) struct ExplainView {
    /// `allow` or `deny`; the first gate that would refuse decides.
    verdict: &'static str,
    gates: Vec<VerdictView>,
}

/// What one gate would say.
#[derive(Serialize, ToSchema)]
struct VerdictView {
    gate: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What would lift the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    lift: Option<&'static str>,
}

fn word(allows: bool) -> &'static str {
    if allows { "allow" } else { "deny" }
}

impl From<Verdict> for VerdictView {
    fn from(verdict: Verdict) -> Self {
        let refusal = verdict.refusal.as_deref();
        Self {
            gate: verdict.gate.as_str(),
            verdict: word(refusal.is_none()),
            code: refusal.map(|refusal| refusal.code.as_str()),
            row: refusal.and_then(|refusal| Some(refusal.row.as_ref()?.to_string())),
            detail: refusal.map(|refusal| refusal.detail.clone()),
            lift: refusal.map(|refusal| refusal.lift),
        }
    }
}

/// Says of each gate what it would say to the caller now; it changes nothing.
#[utoipa::path(post, path = "/gates/explain", tag = "gates", request_body = ExplainBody,
    responses((status = 200, body = ExplainView)))]
pub(super) async fn explain(
    admitted: Admitted<Explain, Json<ExplainBody>>,
    gates: Data<GateChain>,
) -> Result<HttpResponse, Problem> {
    let asked = admitted.body.0.explanation()?;
    let explained = gates.explain(&admitted.scope, &asked).await?;
    Ok(HttpResponse::Ok().json(ExplainView {
        verdict: word(explained.allows()),
        gates: explained
            .verdicts
            .into_iter()
            .map(VerdictView::from)
            .collect(),
    }))
}
