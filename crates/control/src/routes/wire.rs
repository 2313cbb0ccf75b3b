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
use identity::{Code, Problem};
use serde::{Deserialize, Serialize};
use store::Version;
use utoipa::ToSchema;

use crate::{Control, ControlError, Page, PageRequest, Precondition};

/// The query of a list.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    after: Option<String>,
    limit: Option<usize>,
}

impl TryFrom<PageQuery> for PageRequest {
    type Error = Problem;

    fn try_from(query: PageQuery) -> Result<Self, Problem> {
        let cursor = query.after.map(|after| after.parse()).transpose();
        let request = cursor.and_then(|cursor| Self::new(cursor, query.limit));
        request.map_err(|error| Problem::new(Code::QueryInvalid, error.to_string()))
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
        .insert_header((header::ETAG, format!("\"{:x}\"", version.0)))
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

/// The states that the client wants to change (RFC 9110, section 13.1.1).
///
/// What is no strong tag of ours matches no state.
pub(super) fn precondition(req: &HttpRequest) -> Precondition {
    let mut values = req.headers().get_all(header::IF_MATCH).peekable();
    if values.peek().is_none() {
        return Precondition::Any;
    }
    let mut versions = Vec::new();
    for tag in values.flat_map(|value| value.to_str().unwrap_or_default().split(',')) {
        match tag.trim() {
            "*" => return Precondition::Any,
            tag => versions.extend(version_of(tag)),
        }
    }
    Precondition::OneOf(versions)
}

fn version_of(tag: &str) -> Option<Version> {
    let hex = tag.strip_prefix('"')?.strip_suffix('"')?;
    u64::from_str_radix(hex, 16).ok().map(Version)
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

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn parsed(values: &[&str]) -> Precondition {
        let request = values
            .iter()
            .fold(TestRequest::default(), |request, value| {
                request.append_header((header::IF_MATCH, *value))
            });
        precondition(&request.to_http_request())
    }

    #[test]
    fn if_match_names_states_and_weak_tags_match_none() {
        assert_eq!(parsed(&[]), Precondition::Any);
        assert_eq!(parsed(&["*"]), Precondition::Any);
        assert_eq!(
            parsed(&["\"a\", \"10\"", "\"b\""]),
            Precondition::OneOf(vec![Version(10), Version(16), Version(11)])
        );
        for none in ["W/\"a\"", "a", "\"xyz\"", ""] {
            assert_eq!(parsed(&[none]), Precondition::OneOf(vec![]), "{none:?}");
        }
    }
}
