//! Arguments of handlers, taken one after the other: the gate first.

use std::future::Future;

use actix_web::{HttpRequest, dev::Payload, web};

use super::{Access, Admitted, Body, Check, Checked, Object, Public, PublicReason, SignedIn};
use crate::{AccountAction, Action, Caller, Problem};

mod sealed {
    pub trait Sealed {}
}

impl<A: Action, B: Body, O: Object> sealed::Sealed for Admitted<A, B, O> {}
impl<C: Check> sealed::Sealed for Checked<C> {}
impl<A: AccountAction, B: Body> sealed::Sealed for SignedIn<A, B> {}
impl<R: PublicReason, B: Body> sealed::Sealed for Public<R, B> {}

/// A request that was refused before its handler, and what was proven of the caller.
pub struct Stopped {
    pub(super) problem: Problem,
    pub(super) caller: Caller,
}

impl Stopped {
    /// For `map_err`: refuses `caller`, who is named only if there is a refusal.
    pub(super) fn at(caller: impl FnOnce() -> Caller) -> impl FnOnce(Problem) -> Box<Self> {
        move |problem| {
            let caller = caller();
            Box::new(Self { problem, caller })
        }
    }
}

/// What a handler begins with: [`Admitted`], [`Checked`], [`SignedIn`] or [`Public`]. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no gate, so a handler cannot begin with it",
    note = "begin with `Admitted<A>`, `SignedIn` or `Public<R>` from `identity::http`"
)]
pub trait Gate: sealed::Sealed + Sized + 'static {
    /// Whether one event after the deed is its whole record.
    const OUTCOME_ONLY: bool;
    /// Whether it changes nothing, whatever its method says.
    const READ_ONLY: bool = false;
    /// What is asked beside the guard, by its name in the manifest.
    const CHECK: Option<&'static str> = None;
    /// What the manifest says of routes that begin so.
    fn access() -> Access;
    /// Admits the request, or refuses it.
    fn enter(
        req: &HttpRequest,
        payload: &mut Payload,
    ) -> impl Future<Output = Result<Self, Box<Stopped>>>;
    /// What the gate has proven of the caller.
    fn caller(&self) -> Caller;
}

/// What may follow the gate; it is taken after the gate has admitted the caller.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot follow the gate of a handler",
    note = "use `Data<T>`, `identity::http::Query<T>`, `HttpRequest` or `web::Payload`; what the path names is the gate's object"
)]
pub trait Extra: Sized + 'static {
    /// Takes the argument.
    ///
    /// # Errors
    /// A problem that is answered in place of the handler.
    fn extract(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Problem>;
}

impl<T: ?Sized + 'static> Extra for web::Data<T> {
    fn extract(req: &HttpRequest, _: &mut Payload) -> Result<Self, Problem> {
        match req.app_data::<Self>() {
            Some(data) => Ok(data.clone()),
            None => Err(Problem::unavailable(&format!(
                "{} is not mounted",
                std::any::type_name::<T>()
            ))),
        }
    }
}

impl Extra for HttpRequest {
    fn extract(req: &HttpRequest, _: &mut Payload) -> Result<Self, Problem> {
        Ok(req.clone())
    }
}

impl Extra for web::Payload {
    fn extract(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Problem> {
        use actix_web::FromRequest;
        Self::from_request(req, payload)
            .into_inner()
            .map_err(|error| Problem::unavailable(&error))
    }
}

/// The arguments of a handler: a tuple that begins with a [`Gate`].
#[diagnostic::on_unimplemented(
    message = "a handler must begin with a gate: `Admitted<A>`, `SignedIn` or `Public<R>`",
    label = "these arguments do not begin with a gate"
)]
pub trait Args: Sized + 'static {
    /// What the handler begins with.
    type Gate: Gate;
    /// Takes all arguments, in order.
    fn take(
        req: &HttpRequest,
        payload: &mut Payload,
    ) -> impl Future<Output = Result<Self, Box<Stopped>>>;
    /// What the gate has proven of the caller.
    fn caller(&self) -> Caller;
}

macro_rules! args {
    ($($extra:ident $name:ident)*) => {
        impl<G: Gate, $($extra: Extra,)*> Args for (G, $($extra,)*) {
            type Gate = G;
            async fn take(req: &HttpRequest, payload: &mut Payload) -> Result<Self, Box<Stopped>> {
                let gate = G::enter(req, payload).await?;
                $(let $name = $extra::extract(req, payload).map_err(Stopped::at(|| gate.caller()))?;)*
                Ok((gate, $($name,)*))
            }
            fn caller(&self) -> Caller {
                self.0.caller()
            }
        }
    };
}

args! {}
args! { X1 x1 }
args! { X1 x1 X2 x2 }
args! { X1 x1 X2 x2 X3 x3 }
args! { X1 x1 X2 x2 X3 x3 X4 x4 }
args! { X1 x1 X2 x2 X3 x3 X4 x4 X5 x5 }
