//! What is done for every kind of record alike.

use actix_web::{HttpResponse, http::StatusCode};
use gatechain::{
    Permit,
    http::{FromRequest, NoBody, Sent},
};
use identity::{Code, Precondition, Problem, Scope};
use store::PageRequest;

use super::{
    objects::{Changing, Deleted, New},
    view::{self, PageQuery},
};
use crate::{Create, Delete, Id, Model, Records, Replace, Restore};

impl<M: Model> FromRequest for Create<M> {
    type Body = M;
    type Object = New;

    fn from_request(_: &Scope, object: &New, sent: Sent<M>) -> Result<Self, Problem> {
        checked(&sent.body)?;
        Ok(Self {
            value: sent.body,
            key: object.key.clone(),
            payload: sent.sha256,
        })
    }
}

impl<M: Model> FromRequest for Replace<M> {
    type Body = M;
    type Object = Changing<M>;

    fn from_request(_: &Scope, object: &Changing<M>, sent: Sent<M>) -> Result<Self, Problem> {
        if object.precondition == Precondition::Any {
            return Err(Problem::new(
                Code::PreconditionRequired,
                "Say with If-Match which revision you replace: its ETag.",
            ));
        }
        checked(&sent.body)?;
        Ok(Self {
            id: object.id.clone(),
            value: sent.body,
            precondition: object.precondition.clone(),
            payload: sent.sha256,
        })
    }
}

impl<M: Model> FromRequest for Delete<M> {
    type Body = NoBody;
    type Object = Changing<M>;

    fn from_request(_: &Scope, object: &Changing<M>, _: Sent<NoBody>) -> Result<Self, Problem> {
        Ok(Self {
            id: object.id.clone(),
            precondition: object.precondition.clone(),
        })
    }
}

impl<M: Model> FromRequest for Restore<M> {
    type Body = NoBody;
    type Object = Deleted<M>;

    fn from_request(_: &Scope, object: &Deleted<M>, _: Sent<NoBody>) -> Result<Self, Problem> {
        let id = object.id.clone();
        Ok(Self { id })
    }
}

fn checked<M: Model>(value: &M) -> Result<(), Problem> {
    let checked = value.check();
    checked.map_err(|invalid| Problem::invalid(&invalid.pointer, invalid.why))
}

pub(super) async fn list<M: Model>(
    path: &str,
    scope: &Scope,
    query: &PageQuery,
    records: &Records<M>,
) -> Result<HttpResponse, Problem> {
    let page = records.list(scope, &PageRequest::try_from(query)?).await?;
    Ok(view::listed(path, page))
}

pub(super) async fn show<M: Model>(
    scope: &Scope,
    id: &Id<M>,
    records: &Records<M>,
) -> Result<HttpResponse, Problem> {
    let found = records.find(scope, id).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    Ok(view::record(StatusCode::OK, found))
}

pub(super) async fn create<M: Model>(
    path: &str,
    scope: &Scope,
    permit: Permit<Create<M>>,
    records: &Records<M>,
) -> Result<HttpResponse, Problem> {
    let made = records.create(scope, permit).await?;
    Ok(view::created(path, made.record))
}

pub(super) async fn replace<M: Model>(
    scope: &Scope,
    permit: Permit<Replace<M>>,
    records: &Records<M>,
) -> Result<HttpResponse, Problem> {
    let record = records.replace(scope, permit).await?;
    Ok(view::record(StatusCode::OK, record))
}

pub(super) async fn delete<M: Model>(
    scope: &Scope,
    permit: Permit<Delete<M>>,
    records: &Records<M>,
) -> Result<HttpResponse, Problem> {
    records.delete(scope, permit).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn restore<M: Model>(
    scope: &Scope,
    permit: Permit<Restore<M>>,
    records: &Records<M>,
) -> Result<HttpResponse, Problem> {
    let record = records.restore(scope, permit).await?;
    Ok(view::record(StatusCode::OK, record))
}
