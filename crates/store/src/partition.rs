//! Where data lives: names that cannot be written down without a proof of the tenant.
//!
//! **Invariant:** every name of tenant data starts with the tenant and the
//! environment of a [`Scope`]. There is no other constructor, so a read across
//! tenants cannot be expressed.
//!
//! ```compile_fail
//! // No constructor takes a plain text.
//! let partition = tenantry_store::Partition::from("t_other/prod/chat");
//! ```

use std::{fmt, sync::Arc};

use identity::{Env, Scope, SystemAuthority, TenantId};

/// A group of documents that are listed together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(Arc<str>);

impl Partition {
    /// The documents of one kind in the scope's tenant and environment.
    #[must_use]
    pub fn in_scope(scope: &Scope, kind: &'static str) -> Self {
        Self::named(scope.tenant(), scope.env(), kind)
    }

    /// The same partition, for the process itself, which tends documents when nobody asks.
    #[must_use]
    pub fn of_env(_: &SystemAuthority, tenant: &TenantId, env: Env, kind: &'static str) -> Self {
        Self::named(tenant, env, kind)
    }

    fn named(tenant: &TenantId, env: Env, kind: &'static str) -> Self {
        Self(format!("tenants/{tenant}/{env}/{kind}").into())
    }

    /// Control data of one tenant, the same in all of its environments.
    #[must_use]
    pub fn of_tenant(_: &SystemAuthority, tenant: &TenantId, kind: &'static str) -> Self {
        Self(format!("control/tenants/{tenant}/{kind}").into())
    }

    /// Control data that spans tenants.
    #[must_use]
    pub fn of_system(_: &SystemAuthority, kind: &'static str) -> Self {
        Self(format!("control/system/{kind}").into())
    }

    /// The partition as text, for engines.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One ordered stream of events.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(Arc<str>);

impl StreamKey {
    /// The stream of `object` on `rail`, in the scope's tenant and environment.
    #[must_use]
    pub fn in_scope(scope: &Scope, rail: &'static str, object: &str) -> Self {
        Self::named(scope.tenant(), scope.env(), rail, object)
    }

    /// The same stream, for the process itself, which tends streams when nobody asks.
    #[must_use]
    pub fn of_tenant(
        _: &SystemAuthority,
        tenant: &TenantId,
        env: Env,
        rail: &'static str,
        object: &str,
    ) -> Self {
        Self::named(tenant, env, rail, object)
    }

    /// The stream of this name, which an engine has listed; `None` if it is no stream's.
    #[must_use]
    pub fn listed(_: &SystemAuthority, name: &str) -> Option<Self> {
        let key = Self(name.into());
        key.home().is_some().then_some(key)
    }

    fn named(tenant: &TenantId, env: Env, rail: &'static str, object: &str) -> Self {
        Self(format!("tenants/{tenant}/{env}/{rail}/{object}").into())
    }

    /// The stream as text, for engines.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rail that the stream is on.
    #[must_use]
    pub fn rail(&self) -> &str {
        self.0.split('/').nth(3).unwrap_or_default()
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a rate applies to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThrottleKey(Arc<str>);

impl ThrottleKey {
    /// A rate of the scope's whole tenant, shared by its environments.
    #[must_use]
    pub fn of_tenant(scope: &Scope, rate: &'static str) -> Self {
        Self(format!("tenants/{}/{rate}", scope.tenant()).into())
    }

    /// A rate of the process: sign-in attempts for an address, say.
    #[must_use]
    pub fn of_system(_: &SystemAuthority, rate: &'static str, subject: &str) -> Self {
        Self(format!("control/{rate}/{subject}").into())
    }

    /// The key as text, for engines.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
