//! Records as JSON, and how they are answered.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use identity::{
    Remarks,
    http::{etag, remarked},
};
use serde::{Deserialize, Serialize};
use store::{InvalidPage, Page, PageRequest};
use utoipa::ToSchema;

use crate::{Model, Record};

/// The query of a list.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    after: Option<String>,
    limit: Option<usize>,
}

impl TryFrom<&PageQuery> for PageRequest {
    type Error = InvalidPage;

    fn try_from(query: &PageQuery) -> Result<Self, InvalidPage> {
        Self::parse(query.after.as_deref(), query.limit)
    }
}

/// A record: what its kind says, and what is kept about it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecordView<M> {
    id: String,
    /// 1 when it was made, one more with each change; the `ETag` is made of it.
    revision: u64,
    project_id: String,
    created_by: String,
    created_at: String,
    updated_by: String,
    updated_at: String,
    #[serde(flatten)]
    value: M,
}

impl<M> From<Record<M>> for RecordView<M> {
    fn from(record: Record<M>) -> Self {
        Self {
            id: record.id.to_string(),
            revision: record.revision,
            project_id: record.project.to_string(),
            created_by: record.created_by.to_string(),
            created_at: record.created_at.to_string(),
            updated_by: record.updated_by.to_string(),
            updated_at: record.updated_at.to_string(),
            value: record.value,
        }
    }
}

/// A page of records.
#[derive(Serialize, ToSchema)]
pub(crate) struct Listed<M> {
    items: Vec<RecordView<M>>,
    /// What to send as `after` for the next page; null on the last. `Link: rel="next"` says it too.
    next: Option<String>,
}

/// Answers with a page of the list at `path`.
pub(super) fn listed<M: Model>(path: &str, page: Page<Record<M>>) -> HttpResponse {
    let next = page.next();
    let mut response = HttpResponse::Ok();
    if let Some(next) = &next {
        let link = format!("<{path}?after={next}>; rel=\"next\"");
        response.insert_header((header::LINK, link));
    }
    response.json(Listed {
        items: page.items.into_iter().map(RecordView::from).collect(),
        next,
    })
}

/// Answers with a record; its audit record names the revision.
pub(super) fn record<M: Model>(status: StatusCode, record: Record<M>) -> HttpResponse {
    let remarks = Remarks::default().with("revision", record.revision);
    let response = HttpResponseBuilder::new(status)
        .insert_header(etag(record.revision))
        .json(RecordView::from(record));
    remarked(response, remarks)
}

/// Answers 201 with a record in the list at `path`.
pub(super) fn created<M: Model>(path: &str, made: Record<M>) -> HttpResponse {
    let place = format!("{path}/{}", made.id);
    let mut response = record(StatusCode::CREATED, made);
    if let Ok(place) = place.parse() {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}
