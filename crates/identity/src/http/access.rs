//! The three gates: a tenant's member, the owner of an account, anyone with a reason.

use std::{future::Future, marker::PhantomData};

use actix_web::{HttpRequest, dev::Payload, web::Data};

use super::{
    Access, Body, Gate, ids_of,
    present::{bearer, origin, pairs_of, presented},
};
use crate::{Account, Action, Guard, Problem, Realm, Refusal, Scope, StreamTarget};

/// The thing that a tenant route is about, found between the role and the body
/// (rows 6 and 7 of the contract's table).
pub trait Object: Sized + 'static {
    /// Set on routes that open a stream: the rail, and the path part that names
    /// its object. Such routes take single-use tickets.
    const STREAM: Option<(&'static str, &'static str)> = None;

    /// Finds the object in the scope, or refuses alike for foreign and unknown.
    fn locate(scope: &Scope, req: &HttpRequest) -> impl Future<Output = Result<Self, Problem>>;
}

/// No object: the route is about the tenant itself.
impl Object for () {
    async fn locate(_: &Scope, _: &HttpRequest) -> Result<Self, Problem> {
        Ok(())
    }
}

/// A caller who may do `A` in the tenant, with the object and the body of the request.
///
/// Made by the guard alone: the private field keeps others from writing one.
#[non_exhaustive]
pub struct Admitted<A, B = (), O = ()> {
    /// Who acts, and where.
    pub scope: Scope,
    /// What the request is about.
    pub object: O,
    /// What was sent.
    pub body: B,
    action: PhantomData<A>,
}

impl<A: Action, B: Body, O: Object> Gate for Admitted<A, B, O> {
    fn access() -> Access {
        Access::Tenant {
            action: A::NAME,
            role: A::ROLE,
            realm: A::REALM,
            stream: O::STREAM.is_some(),
        }
    }

    async fn enter(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Problem> {
        let (ids, pairs) = (ids_of(req), pairs_of(req));
        let stream = O::STREAM.map(|(rail, part)| StreamTarget {
            rail,
            object: req.match_info().get(part).unwrap_or_default(),
            origin: origin(req),
        });
        let scope = guard_of(req)?
            .admit::<A>(&presented(req, &pairs, stream, &ids))
            .await
            .map_err(log)?;
        let object = O::locate(&scope, req).await?;
        // Operators' bodies are about other tenants; what they name there is data.
        let context = (A::REALM == Realm::Tenant).then_some(scope.context());
        let body = B::read(req, payload, context).await?;
        Ok(Self {
            scope,
            object,
            body,
            action: PhantomData,
        })
    }
}

/// A caller known by token, on routes about their own account; no tenant is selected.
#[non_exhaustive]
pub struct SignedIn<B = ()> {
    /// Who acts.
    pub account: Account,
    /// What was sent.
    pub body: B,
}

impl<B: Body> Gate for SignedIn<B> {
    fn access() -> Access {
        Access::Account
    }

    async fn enter(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Problem> {
        let account = guard_of(req)?.know(bearer(req)).await.map_err(log)?;
        Ok(Self {
            account,
            body: B::read(req, payload, None).await?,
        })
    }
}

/// Why a route needs no caller; part of the committed list of public routes.
pub trait PublicReason: 'static {
    /// The reason, as a sentence.
    const REASON: &'static str;
}

/// Anyone, for the reason `R`.
#[non_exhaustive]
pub struct Public<R, B = ()> {
    /// What was sent.
    pub body: B,
    reason: PhantomData<R>,
}

impl<R: PublicReason, B: Body> Gate for Public<R, B> {
    fn access() -> Access {
        Access::Public { reason: R::REASON }
    }

    async fn enter(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Problem> {
        Ok(Self {
            body: B::read(req, payload, None).await?,
            reason: PhantomData,
        })
    }
}

/// The guard of the application; an application without one refuses everything.
fn guard_of(req: &HttpRequest) -> Result<&Guard, Problem> {
    match req.app_data::<Data<Guard>>() {
        Some(guard) => Ok(guard),
        None => Err(Problem::unavailable(&"no guard is mounted")),
    }
}

fn log(refusal: Refusal) -> Problem {
    tracing::debug!(%refusal, "a request was refused");
    refusal.into()
}
