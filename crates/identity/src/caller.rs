//! What is proven of a caller, also of one who is refused.
//!
//! **Invariant:** a [`Seat`] exists only after the guard found a live
//! membership. It proves where the caller belongs, never that they may act:
//! for that there is [`Scope`](crate::Scope).

use std::sync::Arc;

use crate::{
    AppId, AuthContext, Env, ProjectId, Refusal, RequestContext, RequestIds, Role, Scope,
    SessionId, SurfaceId, TenantId, UserId,
};

/// A member's place in a tenant and environment; read from a [`Scope`], or kept
/// by the guard when it refuses a member.
#[derive(Debug, Clone, Copy)]
pub struct Seat<'a> {
    context: &'a RequestContext,
    auth: &'a AuthContext,
    context_proven: bool,
}

impl<'a> Seat<'a> {
    /// The tenant, of which the caller is a member.
    #[must_use]
    pub fn tenant(&self) -> &'a TenantId {
        &self.context.tenant
    }
    /// The environment.
    #[must_use]
    pub fn env(&self) -> Env {
        self.context.env
    }
    /// The project; `None` when the request was refused for its project, surface or app.
    #[must_use]
    pub fn project(&self) -> Option<&'a ProjectId> {
        self.context_proven.then_some(&self.context.project)
    }
    /// The surface, if the caller named one of the tenant's.
    #[must_use]
    pub fn surface(&self) -> Option<&'a SurfaceId> {
        self.context
            .surface
            .as_ref()
            .filter(|_| self.context_proven)
    }
    /// The app, if the caller named one of the tenant's.
    #[must_use]
    pub fn app(&self) -> Option<&'a AppId> {
        self.context.app.as_ref().filter(|_| self.context_proven)
    }
    /// The user.
    #[must_use]
    pub fn user(&self) -> &'a UserId {
        &self.auth.user
    }
    /// The session, for tokens of the own issuer.
    #[must_use]
    pub fn session(&self) -> Option<&'a SessionId> {
        self.auth.session.as_ref()
    }
    /// The ids by which the request is followed.
    #[must_use]
    pub fn ids(&self) -> &'a RequestIds {
        &self.context.ids
    }
    /// The user's role in the tenant.
    #[must_use]
    pub fn role(&self) -> Role {
        self.auth.role
    }
}

impl<'a> From<&'a Scope> for Seat<'a> {
    fn from(scope: &'a Scope) -> Self {
        Self {
            context: scope.context(),
            auth: scope.auth(),
            context_proven: true,
        }
    }
}

/// What is proven of a caller, kept while the request lasts.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nothing.
    Nobody,
    /// Who they are, by their token; not where they belong.
    User(UserId),
    /// Who they are, and that they are a member of the tenant that they named.
    Member(Member),
}

/// A proven member; see [`Member::seat`].
#[derive(Debug, Clone)]
pub struct Member {
    context: Arc<RequestContext>,
    auth: AuthContext,
    context_proven: bool,
}

impl Member {
    pub(crate) fn new(
        context: Arc<RequestContext>,
        auth: AuthContext,
        context_proven: bool,
    ) -> Self {
        Self {
            context,
            auth,
            context_proven,
        }
    }

    /// Where the member belongs.
    #[must_use]
    pub fn seat(&self) -> Seat<'_> {
        Seat {
            context: &self.context,
            auth: &self.auth,
            context_proven: self.context_proven,
        }
    }
}

/// A refusal, and what was proven of the caller before it: for the record.
#[derive(Debug)]
pub struct Rejection {
    /// Why.
    pub refusal: Refusal,
    /// Who, as far as it was proven.
    pub caller: Caller,
}

impl Rejection {
    pub(crate) fn of(caller: Caller) -> impl FnOnce(Refusal) -> Box<Self> {
        |refusal| Box::new(Self { refusal, caller })
    }

    pub(crate) fn of_user(user: &UserId) -> impl FnOnce(Refusal) -> Box<Self> {
        |refusal| Self::of(Caller::User(user.clone()))(refusal)
    }
}
