//! Records as JSON, and how they are answered.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use identity::{
    Remarks,
    http::{etag, remarked},
};
use serde::Serialize;
use store::Page;
use utoipa::ToSchema;

use crate::{Appended, Model, Record};

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

/// Events that were appended.
#[derive(Serialize, ToSchema)]
pub(crate) struct AppendedView {
    /// Their ids, in the order in which they were sent.
    ids: Vec<String>,
    /// Whether an earlier request with the same `Idempotency-Key` appended them.
    duplicate: bool,
}

impl From<Appended> for AppendedView {
    fn from(appended: Appended) -> Self {
        Self {
            ids: appended.ids.iter().map(ToString::to_string).collect(),
            duplicate: appended.duplicate,
        }
    }
}

/// Answers with a page of the list at `path`; the query of the next page goes on with `rest`.
pub(super) fn listed<M: Model>(path: &str, rest: &str, page: Page<Record<M>>) -> HttpResponse {
    let next = page.next();
    let mut response = HttpResponse::Ok();
    if let Some(next) = &next {
        let link = format!("<{path}?after={next}{rest}>; rel=\"next\"");
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
