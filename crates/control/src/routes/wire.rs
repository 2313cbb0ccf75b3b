//! What all routes of the control plane share on the wire.

use std::fmt::Display;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Data,
};
use identity::{Problem, http::etag};
use serde::{Deserialize, Serialize};
use store::{InvalidPage, Page, PageRequest, Version};
use utoipa::ToSchema;

use crate::{Control, ControlError};

/// The query of a list.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    after: Option<String>,
    limit: Option<usize>,
}

impl TryFrom<PageQuery> for PageRequest {
    type Error = InvalidPage;

    fn try_from(query: PageQuery) -> Result<Self, InvalidPage> {
        Self::parse(query.after.as_deref(), query.limit)
    }
}

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed<T> {
    items: Vec<T>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<String>,
}

/// Answers with a page.
pub(super) fn listed<T, V: Serialize + From<T>>(page: Page<T>) -> HttpResponse {
    let next = page.next();
    let items: Vec<V> = page.items.into_iter().map(V::from).collect();
    HttpResponse::Ok().json(Listed { items, next })
}

/// Answers with a record in a state, which the client can name in `If-Match`.
pub(super) fn record<V: Serialize>(status: StatusCode, version: Version, view: &V) -> HttpResponse {
    HttpResponseBuilder::new(status)
        .insert_header(etag(version.0))
        .json(view)
}

/// Answers 201 with a new record, whose place is `{list}/{id}`.
pub(super) fn created<V: Serialize>(
    list: &str,
    id: &impl Display,
    version: Version,
    view: &V,
) -> HttpResponse {
    let mut response = record(StatusCode::CREATED, version, view);
    if let Ok(place) = HeaderValue::from_str(&format!("{list}/{id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// The control plane, for those who run before the handler's arguments.
pub(super) fn control_of(req: &HttpRequest) -> Result<&Data<Control>, Problem> {
    req.app_data::<Data<Control>>()
        .ok_or_else(|| Problem::unavailable(&"no control plane is mounted"))
}

/// The id in the path, or 404: malformed ids are unknown ones.
pub(super) fn id_in<T: std::str::FromStr>(req: &HttpRequest, part: &str) -> Result<T, Problem> {
    let id = req
        .match_info()
        .get(part)
        .and_then(|text| text.parse().ok());
    id.ok_or_else(Problem::not_found)
}

/// What was found, or 404.
pub(super) fn found<T>(found: Result<Option<T>, ControlError>) -> Result<T, Problem> {
    found?.ok_or_else(Problem::not_found)
}
