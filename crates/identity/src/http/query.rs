//! Typed queries, refused with a problem.

use serde::de::DeserializeOwned;

use actix_web::{HttpRequest, dev::Payload, web};

use super::Extra;
use crate::{Code, Problem};

/// The query as a `T`; an argument after the gate.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> Extra for Query<T> {
    fn extract(req: &HttpRequest, _: &mut Payload) -> Result<Self, Problem> {
        web::Query::<T>::from_query(req.query_string())
            .map(|query| Self(query.into_inner()))
            .map_err(|error| Problem::new(Code::QueryInvalid, error.to_string()))
    }
}
