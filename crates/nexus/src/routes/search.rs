//! The routes of the search, and of its index.

use actix_web::{HttpResponse, http::Method, web::Data};
use gatechain::http::{FromRequest, Gated, NoBody, Sent};
use identity::{
    Problem, Scope,
    http::{Admitted, Query, Routes},
};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::queries::unreadable;
use crate::search::{
    Asked, Asking, Found, Hit, IndexState, Lag, ReadIndex, Rebuild, Search, SearchRecords,
};

/// The query of a search.
#[derive(Deserialize)]
pub(super) struct SearchQuery {
    #[serde(default)]
    q: String,
    kind: Option<String>,
    tag: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

impl SearchQuery {
    fn asked(&self) -> Result<Asked, Problem> {
        let asked = Asked::parse(&Asking {
            text: &self.q,
            kind: self.kind.as_deref(),
            tag: self.tag.as_deref(),
            after: self.after.as_deref(),
            limit: self.limit,
        });
        asked.map_err(|invalid| unreadable(&invalid))
    }
}

impl FromRequest for Rebuild {
    type Body = NoBody;
    type Object = ();

    fn from_request(_: &Scope, (): &(), _: Sent<NoBody>) -> Result<Self, Problem> {
        Ok(Self)
    }
}

/// What was found, the best first.
#[derive(Serialize, ToSchema)]
pub(super) struct FoundView {
    items: Vec<Hit>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<String>,
    lag: Lag,
}

impl From<Found> for FoundView {
    fn from(found: Found) -> Self {
        Self {
            items: found.items,
            next: found.next,
            lag: found.lag,
        }
    }
}

/// How the index of the tenant and environment is on the node that answers.
#[derive(Serialize, ToSchema)]
pub(super) struct IndexView {
    /// Records in it; null while it is built for the first time.
    records: Option<u64>,
    /// Up to when it has read the changes of records.
    read_until: Option<String>,
    lag: Lag,
    /// Whether a new one is being built, while the old one answers.
    rebuilding: bool,
}

impl From<IndexState> for IndexView {
    fn from(state: IndexState) -> Self {
        Self {
            records: state.records,
            read_until: state.read_until.map(|at| at.to_string()),
            lag: state.lag,
            rebuilding: state.rebuilding,
        }
    }
}

/// Finds records by their words, the best first. What the caller has written is found.
#[utoipa::path(get, path = "/nexus/search", tag = "nexus",
    params(
        ("q" = Option<String>, Query, description = "Words, all of which a record has; \"in quotes\" next to each other; the last may be the beginning of one"),
        ("kind" = Option<String>, Query, description = "Kinds, with commas between them"),
        ("tag" = Option<String>, Query, description = "A tag that they have; without words, all that have it"),
        ("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = FoundView)))]
async fn search(
    admitted: Admitted<SearchRecords>,
    query: Query<SearchQuery>,
    search: Data<Search>,
) -> Result<HttpResponse, Problem> {
    let found = search.search(&admitted.scope, &query.0.asked()?).await?;
    Ok(HttpResponse::Ok().json(FoundView::from(found)))
}

/// Shows how the index of the tenant and environment is on the node that answers.
#[utoipa::path(get, path = "/nexus/index", tag = "nexus", responses((status = 200, body = IndexView)))]
async fn show_index(
    admitted: Admitted<ReadIndex>,
    search: Data<Search>,
) -> Result<HttpResponse, Problem> {
    let state = search.state(&admitted.scope).await?;
    Ok(HttpResponse::Ok().json(IndexView::from(state)))
}

/// Makes the index of the tenant and environment anew, behind the gates: on the node that answers
/// at once, on others when they are asked next. The old one serves until the new one does.
#[utoipa::path(post, path = "/nexus/index", tag = "nexus",
    params(("x-approval-id" = Option<String>, Header)),
    responses((status = 202, body = IndexView)))]
async fn rebuild_index(
    gated: Gated<Rebuild>,
    search: Data<Search>,
) -> Result<HttpResponse, Problem> {
    let state = search.rebuild(&gated.scope, gated.passed).await?;
    Ok(HttpResponse::Accepted().json(IndexView::from(state)))
}

pub(super) fn mount(routes: &mut Routes) {
    routes.tenant(Method::GET, "/nexus/search", search);
    routes.tenant(Method::GET, "/nexus/index", show_index);
    routes.tenant(Method::POST, "/nexus/index", rebuild_index);
}

#[derive(OpenApi)]
#[openapi(paths(search, show_index, rebuild_index))]
struct Api;

pub(super) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
