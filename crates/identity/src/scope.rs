//! Who asks, for which tenant: the proofs that everything tenant-scoped demands.
//!
//! **Invariant:** a [`Scope`] exists only because [`Guard`](crate::Guard)
//! verified a credential, a context, a live membership and a role. It has no
//! public constructor, no `Clone`, no `Default` and no `Deserialize`.
//!
//! ```compile_fail
//! // Nobody outside the guard can make one.
//! let forged = tenantry_identity::Scope { context: todo!(), auth: todo!() };
//! ```

use std::sync::Arc;

use smol_str::SmolStr;

use crate::{
    AppId, Env, Member, ProjectId, RequestIds, Role, SessionId, SurfaceId, TenantId, Timestamp,
    UserId,
};

/// The place a request speaks of: tenant, environment, project, and where in the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    pub(crate) tenant: TenantId,
    pub(crate) env: Env,
    pub(crate) project: ProjectId,
    pub(crate) surface: Option<SurfaceId>,
    pub(crate) app: Option<AppId>,
    pub(crate) ids: RequestIds,
    pub(crate) mode: SmolStr,
}

impl RequestContext {
    /// The tenant, of which the caller is a member.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }
    /// The environment.
    #[must_use]
    pub fn env(&self) -> Env {
        self.env
    }
    /// The project, which is one of the tenant's.
    #[must_use]
    pub fn project(&self) -> &ProjectId {
        &self.project
    }
    /// The surface, if the caller named one of the tenant's.
    #[must_use]
    pub fn surface(&self) -> Option<&SurfaceId> {
        self.surface.as_ref()
    }
    /// The app, if the caller named one of the tenant's.
    #[must_use]
    pub fn app(&self) -> Option<&AppId> {
        self.app.as_ref()
    }
    /// The ids by which this request is followed.
    #[must_use]
    pub fn ids(&self) -> &RequestIds {
        &self.ids
    }
    /// The tenant's mode (`enterprise`, `saas`, `lab`, …): read-only data, nothing branches on it.
    #[must_use]
    pub fn mode(&self) -> &str {
        &self.mode
    }
}

/// Who the caller is, and until when that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthContext {
    pub(crate) user: UserId,
    pub(crate) session: Option<SessionId>,
    pub(crate) role: Role,
    pub(crate) expires_at: Timestamp,
}

impl AuthContext {
    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }
    /// The session, for tokens of the own issuer.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }
    /// The user's role in the tenant of the request.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }
    /// When the access token ends.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Proof that a caller may act in one tenant and environment.
#[derive(Debug)]
pub struct Scope {
    /// Shared, because a scope passes through many hands on its way to a handler,
    /// and what it was is still to be recorded when the handler is done with it.
    context: Arc<RequestContext>,
    auth: AuthContext,
}

impl Scope {
    pub(crate) fn mint(context: Arc<RequestContext>, auth: AuthContext) -> Self {
        Self { context, auth }
    }

    /// Where the request acts, to be looked at again while a stream is open.
    pub(crate) fn shared_context(&self) -> Arc<RequestContext> {
        Arc::clone(&self.context)
    }

    /// Who acts, and where, without the right to act; outlives the scope.
    #[must_use]
    pub fn member(&self) -> Member {
        Member::new(Arc::clone(&self.context), self.auth.clone(), true)
    }

    /// Where the request acts.
    #[must_use]
    pub fn context(&self) -> &RequestContext {
        &self.context
    }
    /// Who acts.
    #[must_use]
    pub fn auth(&self) -> &AuthContext {
        &self.auth
    }
    /// The tenant; short for `context().tenant()`.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.context.tenant
    }
    /// The environment; short for `context().env()`.
    #[must_use]
    pub fn env(&self) -> Env {
        self.context.env
    }
    /// The project; short for `context().project()`.
    #[must_use]
    pub fn project(&self) -> &ProjectId {
        &self.context.project
    }
    /// The user; short for `auth().user()`.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.auth.user
    }
    /// The request's ids; short for `context().ids()`.
    #[must_use]
    pub fn ids(&self) -> &RequestIds {
        &self.context.ids
    }
}

/// The authority of the process itself, for data that belongs to no single tenant.
///
/// The control plane and the ticket store need it: they are read before a
/// tenant is known. It is assumed once, where a program is composed; clippy
/// refuses [`SystemAuthority::assume`] everywhere else.
#[derive(Debug, Clone, Copy)]
pub struct SystemAuthority(());

impl SystemAuthority {
    /// Assumes the authority of the process. For composition roots alone.
    #[must_use]
    pub fn assume() -> Self {
        Self(())
    }
}
