//! What is done for every kind of record alike.

use actix_web::{HttpResponse, http::StatusCode};
use gatechain::Permit;
use identity::{Problem, Scope};

use super::{queries::Selection, view};
use crate::{
    Create, Delete, Model, Nexus, Patch, Publication, Publish, Publishable, Replace, Restore,
};

pub(super) async fn list<M: Model, Q: Selection<M>>(
    path: &str,
    scope: &Scope,
    query: &Q,
    nexus: &Nexus,
) -> Result<HttpResponse, Problem> {
    let page = query.page(scope, &nexus.records()).await?;
    Ok(view::listed(path, &query.rest(), page))
}

pub(super) async fn create<M: Model>(
    path: &str,
    scope: &Scope,
    permit: Permit<Create<M>>,
    nexus: &Nexus,
) -> Result<HttpResponse, Problem> {
    let made = nexus.records().create(scope, permit).await?;
    Ok(view::created(path, made.record))
}

pub(super) async fn replace<M: Model>(
    scope: &Scope,
    permit: Permit<Replace<M>>,
    nexus: &Nexus,
) -> Result<HttpResponse, Problem> {
    let record = nexus.records().replace(scope, permit).await?;
    Ok(view::record(StatusCode::OK, record))
}

pub(super) async fn patch<M: Model>(
    scope: &Scope,
    permit: Permit<Patch<M>>,
    nexus: &Nexus,
) -> Result<HttpResponse, Problem> {
    let record = nexus.records().patch(scope, permit).await?;
    Ok(view::record(StatusCode::OK, record))
}

pub(super) async fn delete<M: Model>(
    scope: &Scope,
    permit: Permit<Delete<M>>,
    nexus: &Nexus,
) -> Result<HttpResponse, Problem> {
    nexus.records().delete(scope, permit).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn restore<M: Model>(
    scope: &Scope,
    permit: Permit<Restore<M>>,
    nexus: &Nexus,
) -> Result<HttpResponse, Problem> {
    let record = nexus.records().restore(scope, permit).await?;
    Ok(view::record(StatusCode::OK, record))
}

pub(super) async fn publish<B: Publishable>(
    scope: &Scope,
    permit: Permit<Publish<B>>,
    nexus: &Nexus,
) -> Result<HttpResponse, Problem> {
    let records = nexus.records::<Publication<B>>();
    let record = records.publish(scope, permit).await?;
    Ok(view::record(StatusCode::OK, record))
}
