//! `/flags/history/{key}`: what a flag was, and who changed it.

use actix_web::{HttpResponse, web::Data};
use identity::{
    Problem, Scope,
    http::{Admitted, Query},
};
use serde::{Deserialize, Serialize};
use store::{InvalidPage, PageRequest};
use utoipa::ToSchema;

use super::{ReadFlag, ReadSystemFlag, manage::Named};
use crate::{Change, Definition, FlagKey, Flags, LayerName};

/// Which page of a list.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    pub(super) after: Option<String>,
    pub(super) limit: Option<usize>,
}

impl PageQuery {
    fn read(&self) -> Result<PageRequest, InvalidPage> {
        PageRequest::parse(self.after.as_deref(), self.limit)
    }
}

/// One change of a flag.
#[derive(Serialize, ToSchema)]
struct ChangeView {
    revision: u64,
    at: String,
    by: String,
    request_id: String,
    before: Option<Definition>,
    after: Option<Definition>,
    /// Whether what was there before could not be read.
    before_damaged: bool,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        Self {
            revision: change.revision,
            at: change.at.to_string(),
            by: change.by.to_string(),
            request_id: change.request_id,
            before: change.before,
            after: change.after,
            before_damaged: change.before_damaged,
        }
    }
}

/// A page of changes.
#[derive(Serialize, ToSchema)]
pub(crate) struct HistoryView {
    /// The oldest first; null stands for one that cannot be read any more.
    items: Vec<Option<ChangeView>>,
    next: Option<String>,
}

/// The changes of a tenant's flag in this environment.
#[utoipa::path(get, path = "/flags/history/{key}", tag = "flags",
    params(("key" = String, Path), ("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = HistoryView)))]
pub(crate) async fn of_tenant(
    admitted: Admitted<ReadFlag, (), Named>,
    query: Query<PageQuery>,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    page(
        &flags,
        &admitted.scope,
        LayerName::Tenant,
        &admitted.object.0,
        &query.0,
    )
    .await
}

/// The changes of a flag that is set for everyone; for operators.
#[utoipa::path(get, path = "/flags/history/system/{key}", tag = "flags",
    params(("key" = String, Path), ("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = HistoryView)))]
pub(crate) async fn of_system(
    admitted: Admitted<ReadSystemFlag, (), Named>,
    query: Query<PageQuery>,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    page(
        &flags,
        &admitted.scope,
        LayerName::System,
        &admitted.object.0,
        &query.0,
    )
    .await
}

async fn page(
    flags: &Flags,
    scope: &Scope,
    layer: LayerName,
    key: &FlagKey,
    query: &PageQuery,
) -> Result<HttpResponse, Problem> {
    let page = flags.history(scope, layer, key, &query.read()?).await?;
    let next = page.next();
    let items = page
        .items
        .into_iter()
        .map(|change| change.map(ChangeView::from));
    Ok(HttpResponse::Ok().json(HistoryView {
        items: items.collect(),
        next,
    }))
}
