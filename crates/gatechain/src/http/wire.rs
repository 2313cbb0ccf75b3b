//! What the routes share on the wire.

use actix_web::HttpRequest;
use identity::{Problem, Scope, http::Object};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gated::gates_of;
use crate::{ApprovalId, RowId};

/// Items of a page unless the caller asks for another number.
const LIMIT_DEFAULT: usize = 100;
/// Most items of a page.
const LIMIT_MAX: usize = 1000;

/// The query of a list.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    pub(super) after: Option<String>,
    pub(super) limit: Option<usize>,
}

impl PageQuery {
    /// At most so many.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            Some(0) => Err(Problem::query("limit", "must be 1 at least")),
            limit => Ok(limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX)),
        }
    }

    /// After this row.
    pub(super) fn after_row(&self) -> Result<Option<RowId>, Problem> {
        let after = self.after.as_deref().map(str::parse);
        after
            .transpose()
            .map_err(|_| Problem::query("after", "is no cursor of this list"))
    }
}

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
    /// What to send as `after` for the next page; null on the last.
    pub(super) next: Option<String>,
}

/// One page of rows.
#[derive(Serialize, ToSchema)]
pub(super) struct Rows<T> {
    pub(super) items: Vec<T>,
    /// What to send as `after` for the next page; null on the last.
    pub(super) next: Option<String>,
    /// Rows that cannot be read, and that therefore deny.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) damaged: Vec<String>,
}

/// The row that the path names; whether it is there is the handler's to say.
pub(super) struct Slot(pub(super) RowId);

impl Object for Slot {
    async fn locate(_: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = req.match_info().get("id").unwrap_or_default();
        match id.parse() {
            Ok(id) => Ok(Self(id)),
            // There is no such row, and none can be made of that id.
            Err(error) if req.method() == actix_web::http::Method::PUT => {
                Err(Problem::invalid("/id", format!("{error}")))
            }
            Err(_) => Err(Problem::not_found()),
        }
    }
}

/// The approval that the path names.
pub(super) struct Asked(pub(super) ApprovalId);

impl Object for Asked {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = req.match_info().get("id").and_then(ApprovalId::parse);
        let id = id.ok_or_else(Problem::not_found)?;
        let found = gates_of(req)?.approval(scope, &id).await?;
        found.map(|_| Self(id)).ok_or_else(Problem::not_found)
    }
}
