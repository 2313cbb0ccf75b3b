//! Rows of every kind: listed, shown, put, deleted.

use std::future::Future;

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::StatusCode};
use identity::{
    Problem, Remarks, Scope,
    http::{etag, precondition, remarked},
};
use serde::{Serialize, de::DeserializeOwned};
use store::Versioned;

use super::wire::{PageQuery, Rows};
use crate::{GateChain, GateError, Level, Row, RowId};

/// A kind of rows on the wire.
pub(super) trait Served: Row {
    /// What a client puts.
    type Body: DeserializeOwned + Into<Self> + 'static;
    /// What a client sees.
    type View: Serialize;

    /// Shows a row.
    fn view(
        gates: &GateChain,
        scope: &Scope,
        id: &RowId,
        row: Self,
    ) -> impl Future<Output = Result<Self::View, GateError>>;
}

pub(super) async fn list<T: Served>(
    scope: &Scope,
    query: &PageQuery,
    gates: &GateChain,
) -> Result<HttpResponse, Problem> {
    let (after, limit) = (query.after_row()?, query.limit()?);
    let listed = gates.list::<T>(scope, after.as_ref(), limit).await?;
    let mut items = Vec::with_capacity(listed.items.len());
    for (id, row) in listed.items {
        items.push(T::view(gates, scope, &id, row.value).await?);
    }
    let own = format!("{}/", T::KIND);
    let damaged = gates.damaged(scope).await?.into_iter();
    let damaged = damaged.filter(|name| name.starts_with(&own) || !name.contains('/'));
    Ok(HttpResponse::Ok().json(Rows {
        items,
        next: listed.next.map(|id| id.to_string()),
        damaged: damaged.map(String::from).collect(),
    }))
}

pub(super) async fn show<T: Served>(
    scope: &Scope,
    id: &RowId,
    gates: &GateChain,
) -> Result<HttpResponse, Problem> {
    let row = gates.find::<T>(scope, id).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    answer(StatusCode::OK, gates, scope, id, row).await
}

pub(super) async fn put<T: Served>(
    scope: &Scope,
    id: &RowId,
    row: T,
    req: &HttpRequest,
    gates: &GateChain,
) -> Result<HttpResponse, Problem> {
    let remarks = remarks(scope).with("gated_action", row.action());
    let put = gates.put(scope, id, row, &precondition(req)).await?;
    let (row, is_new) = put;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = answer(status, gates, scope, id, row).await?;
    if is_new {
        let place = req.path().parse();
        if let Ok(place) = place {
            let headers = response.headers_mut();
            headers.insert(actix_web::http::header::LOCATION, place);
        }
    }
    Ok(remarked(response, remarks))
}

pub(super) async fn delete<T: Served>(
    scope: &Scope,
    id: &RowId,
    req: &HttpRequest,
    gates: &GateChain,
) -> Result<HttpResponse, Problem> {
    gates.delete(scope, T::KIND, id, &precondition(req)).await?;
    let response = HttpResponse::NoContent().finish();
    Ok(remarked(response, remarks(scope)))
}

fn remarks(scope: &Scope) -> Remarks {
    let level = if scope.tenant().is_system() {
        Level::System
    } else {
        Level::Tenant
    };
    Remarks::default().with("level", level.as_str())
}

async fn answer<T: Served>(
    status: StatusCode,
    gates: &GateChain,
    scope: &Scope,
    id: &RowId,
    row: Versioned<T>,
) -> Result<HttpResponse, Problem> {
    let version = row.version.0;
    let view = T::view(gates, scope, id, row.value).await?;
    Ok(HttpResponseBuilder::new(status)
        .insert_header(etag(version))
        .json(view))
}
