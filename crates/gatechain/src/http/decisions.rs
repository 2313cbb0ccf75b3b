//! `/gates/decisions`: what was decided, from the audit log.

use actix_web::{HttpResponse, web::Data};
use audit::{
    Field,
    service::{Audit, Entry, Filter},
};
use identity::{
    Problem,
    http::{Admitted, Query},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    ReadGates,
    wire::{Items, PageQuery},
};
use crate::DECIDE;

/// One decision.
#[derive(Serialize, ToSchema)]
pub(super) struct DecisionView {
    /// Its place in the audit log.
    seq: u64,
    /// When, RFC 3339.
    ts: String,
    request_id: String,
    /// Who asked; absent when erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// `decision_id`, `gated_action`, `mode`, `verdict`, `gates`, the versions of the state,
    /// and the hash of the payload.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    decided: Map<String, Value>,
}

impl From<&Entry> for DecisionView {
    fn from(entry: &Entry) -> Self {
        let user = entry.opened.fields.get(&Field::ActorId);
        Self {
            seq: entry.seq.get(),
            ts: entry.leaf.time.to_string(),
            request_id: entry.leaf.request_id.to_string(),
            user_id: user.map(|opening| opening.value.clone()),
            decided: entry.leaf.metadata.clone(),
        }
    }
}

/// Lists decisions, oldest first.
#[utoipa::path(get, path = "/gates/decisions", tag = "gates",
    params(("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = Items<DecisionView>)))]
pub(super) async fn list(
    admitted: Admitted<ReadGates>,
    query: Query<PageQuery>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let limit = query.0.limit()?;
    let after = query.0.after.as_deref().unwrap_or("0").parse();
    let after = after.map_err(|_| Problem::query("after", "is no cursor of this list"))?;
    let filter = Filter {
        action: Some(DECIDE.to_owned()),
        ..Filter::default()
    };
    let page = audit.query(&admitted.scope, &filter, after, limit).await?;
    Ok(HttpResponse::Ok().json(Items {
        items: page.entries.iter().map(DecisionView::from).collect(),
        next: page.next.map(|next| next.to_string()),
    }))
}
