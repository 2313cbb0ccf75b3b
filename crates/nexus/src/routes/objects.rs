//! What a request is about, located before its body is read.

use actix_web::{HttpRequest, web::Data};
use identity::{
    Code, Precondition, Problem, Scope,
    http::{Object, precondition},
};

use crate::{Id, IdempotencyKey, Model, Nexus, Record};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A record that is to be made.
pub struct New {
    pub(super) key: Option<IdempotencyKey>,
}

/// A record that is there.
pub(crate) struct Target<M> {
    pub(super) record: Record<M>,
}

/// A record that is there, and is to be changed.
pub struct Changing<M> {
    pub(super) record: Record<M>,
    pub(super) precondition: Precondition,
}

/// A record that may have been deleted.
pub struct Deleted<M> {
    pub(super) id: Id<M>,
}

impl<M> Changing<M> {
    /// Refuses a change by those who do not say which revision they change.
    pub(super) fn named(&self) -> Result<(), Problem> {
        if self.precondition != Precondition::Any {
            return Ok(());
        }
        Err(Problem::new(
            Code::PreconditionRequired,
            "Say with If-Match which revision you change: its ETag.",
        ))
    }

    /// Refuses a change of another revision than the caller knows.
    pub(super) fn current(&self) -> Result<(), Problem> {
        let holds = self.precondition.holds(Some(self.record.revision));
        let stale = || crate::NexusError::Stale.into();
        holds.then_some(()).ok_or_else(stale)
    }
}

impl Object for New {
    async fn locate(_: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let mut values = req.headers().get_all(IDEMPOTENCY_KEY);
        let Some(value) = values.next() else {
            return Ok(Self { key: None });
        };
        let key = value.to_str().ok().and_then(IdempotencyKey::parse);
        match (key, values.next()) {
            (Some(key), None) => Ok(Self { key: Some(key) }),
            _ => Err(Problem::new(
                Code::HeaderInvalid,
                "Idempotency-Key is one text of 1 to 255 visible ASCII characters.",
            )),
        }
    }
}

impl<M: Model> Object for Target<M> {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = id_in(req)?;
        let nexus = req.app_data::<Data<Nexus>>();
        let nexus = nexus.ok_or_else(|| Problem::unavailable(&"no records are mounted"))?;
        let record = nexus.records::<M>().find(scope, &id).await?;
        let record = record.ok_or_else(Problem::not_found)?;
        Ok(Self { record })
    }
}

impl<M: Model> Object for Changing<M> {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let Target { record } = Target::<M>::locate(scope, req).await?;
        let precondition = precondition(req);
        Ok(Self {
            record,
            precondition,
        })
    }
}

impl<M: Model> Object for Deleted<M> {
    async fn locate(_: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        id_in(req).map(|id| Self { id })
    }
}

/// The id in the path; malformed ids are unknown ones.
fn id_in<M: Model>(req: &HttpRequest) -> Result<Id<M>, Problem> {
    let id = req.match_info().get("id").and_then(|id| id.parse().ok());
    id.ok_or_else(Problem::not_found)
}
