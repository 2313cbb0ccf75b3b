//! The three gates: a tenant's member, the owner of an account, anyone with a reason.

use std::{future::Future, marker::PhantomData};

use actix_web::{HttpRequest, dev::Payload, web::Data};
use tracing::{Instrument, debug_span};

use super::{
    Access, Body, Gate, Stopped, ids_of,
    present::{bearer, origin, pairs_of, presented},
};
use crate::{
    Account, AccountAction, Action, Caller, Guard, Problem, Realm, Rejection, Scope, StreamTarget,
    TRACE,
};

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
    const OUTCOME_ONLY: bool = A::OUTCOME_ONLY;
    const READ_ONLY: bool = A::READ_ONLY;

    fn access() -> Access {
        Access::Tenant {
            action: A::NAME,
            role: A::ROLE,
            realm: A::REALM,
            stream: O::STREAM.is_some(),
        }
    }

    async fn enter(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Box<Stopped>> {
        let (ids, pairs) = (ids_of(req), pairs_of(req));
        let stream = O::STREAM.map(|(rail, part)| StreamTarget {
            rail,
            object: req.match_info().get(part).unwrap_or_default(),
            origin: origin(req),
        });
        let presented = presented(req, &pairs, stream, &ids);
        let scope = guard_of(req)?
            .decide(A::ROLE, A::REALM, &presented)
            .instrument(debug_span!(target: TRACE, "guard"))
            .await
            .map_err(stop)?;
        let member = || Caller::Member(scope.member());
        let object = O::locate(&scope, req).await;
        let object = object.map_err(Stopped::at(member))?;
        // Operators' bodies are about other tenants; what they name there is data.
        let context = (A::REALM == Realm::Tenant).then_some(scope.context());
        let body = B::read(req, payload, context).await;
        let body = body.map_err(Stopped::at(member))?;
        Ok(Self {
            scope,
            object,
            body,
            action: PhantomData,
        })
    }

    fn caller(&self) -> Caller {
        Caller::Member(self.scope.member())
    }
}

/// Something that is asked after the body was read and before the handler runs: the gate
/// chain, say. It refuses with a problem, or becomes the handler's proof that it passed.
pub trait Check: Sized + 'static {
    /// What the manifest calls routes that ask it.
    const NAME: &'static str;
    /// What the caller does.
    type Action: Action;
    /// What is sent.
    type Body: Body;
    /// What the request is about.
    type Object: Object;

    /// Asks.
    fn check(
        scope: &Scope,
        object: &Self::Object,
        body: Self::Body,
        req: &HttpRequest,
    ) -> impl Future<Output = Result<Self, Problem>>;
}

/// A caller who was [`Admitted`] and whose request passed the check `C`, which took the body.
///
/// Made by the guard alone: the private field keeps others from writing one.
#[non_exhaustive]
pub struct Checked<C: Check> {
    /// Who acts, and where.
    pub scope: Scope,
    /// What the request is about.
    pub object: C::Object,
    /// The proof.
    pub passed: C,
}

impl<C: Check> Gate for Checked<C> {
    const OUTCOME_ONLY: bool = C::Action::OUTCOME_ONLY;
    const CHECK: Option<&'static str> = Some(C::NAME);

    fn access() -> Access {
        Admitted::<C::Action, C::Body, C::Object>::access()
    }

    async fn enter(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Box<Stopped>> {
        let admitted = Admitted::<C::Action, C::Body, C::Object>::enter(req, payload).await?;
        let Admitted {
            scope,
            object,
            body,
            ..
        } = admitted;
        let passed = C::check(&scope, &object, body, req).await;
        let passed = passed.map_err(Stopped::at(|| Caller::Member(scope.member())))?;
        Ok(Self {
            scope,
            object,
            passed,
        })
    }

    fn caller(&self) -> Caller {
        Caller::Member(self.scope.member())
    }
}

/// A caller known by token, on routes about their own account; no tenant is selected.
#[non_exhaustive]
pub struct SignedIn<A, B = ()> {
    /// Who acts.
    pub account: Account,
    /// What was sent.
    pub body: B,
    action: PhantomData<A>,
}

impl<A: AccountAction, B: Body> Gate for SignedIn<A, B> {
    const OUTCOME_ONLY: bool = false;

    fn access() -> Access {
        Access::Account { action: A::NAME }
    }

    async fn enter(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Box<Stopped>> {
        let account = guard_of(req)?
            .recognise(bearer(req))
            .instrument(debug_span!(target: TRACE, "guard"))
            .await
            .map_err(stop)?;
        let body = B::read(req, payload, None).await;
        let body = body.map_err(Stopped::at(|| Caller::User(account.user().clone())))?;
        Ok(Self {
            account,
            body,
            action: PhantomData,
        })
    }

    fn caller(&self) -> Caller {
        Caller::User(self.account.user().clone())
    }
}

/// Why a route needs no caller, and what it does; the reason is part of the
/// committed list of public routes.
pub trait PublicReason: 'static {
    /// The reason, as a sentence.
    const REASON: &'static str;
    /// Dotted name of what the caller does, such as `auth.login`, for the record.
    const ACTION: &'static str;
    /// Whether one event after the deed is its whole record.
    ///
    /// It is, unless the body proves the caller's right: strangers must not be
    /// able to fill the log with intents. Their refused attempts are sampled.
    const OUTCOME_ONLY: bool = true;
}

/// Anyone, for the reason `R`.
#[non_exhaustive]
pub struct Public<R, B = ()> {
    /// What was sent.
    pub body: B,
    reason: PhantomData<R>,
}

impl<R: PublicReason, B: Body> Gate for Public<R, B> {
    const OUTCOME_ONLY: bool = R::OUTCOME_ONLY;

    fn access() -> Access {
        Access::Public {
            action: R::ACTION,
            reason: R::REASON,
        }
    }

    async fn enter(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Box<Stopped>> {
        let body = B::read(req, payload, None).await;
        Ok(Self {
            body: body.map_err(Stopped::at(|| Caller::Nobody))?,
            reason: PhantomData,
        })
    }

    fn caller(&self) -> Caller {
        Caller::Nobody
    }
}

/// The guard of the application; an application without one refuses everything.
fn guard_of(req: &HttpRequest) -> Result<&Guard, Box<Stopped>> {
    let guard = req.app_data::<Data<Guard>>();
    guard.map(Data::get_ref).ok_or_else(|| {
        let problem = Problem::unavailable(&"no guard is mounted");
        Stopped::at(|| Caller::Nobody)(problem)
    })
}

#[expect(clippy::boxed_local, reason = "it arrives so from the guard")]
fn stop(rejection: Box<Rejection>) -> Box<Stopped> {
    let Rejection { refusal, caller } = *rejection;
    tracing::debug!(%refusal, "a request was refused");
    Stopped::at(|| caller)(refusal.into())
}
