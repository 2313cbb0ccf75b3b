//! Object keys: where bytes of a tenant live in blob storage.
//!
//! **Invariant:** a key starts with `tenants/{tenant_id}/{env}/` of a [`Scope`].
//!
//! ```compile_fail
//! // No key without a scope.
//! let key = tenantry_store::ObjectKey::from("tenants/t_other/prod/raw/as_1/x.pdf");
//! ```

use std::fmt;

use identity::{AssetId, Env, Scope, SystemAuthority, TenantId};

/// Longest file name, in bytes.
pub const FILENAME_BYTES_MAX: usize = 255;

/// The key of one object in blob storage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    text: String,
    tenant: TenantId,
    env: Env,
}

/// A file name that cannot be part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file name has 1 to 255 bytes, no path parts and no control characters")]
pub struct InvalidFilename;

impl ObjectKey {
    /// The key `tenants/{tenant_id}/{env}/{area}/{asset}/{filename}` of the scope.
    ///
    /// # Errors
    /// [`InvalidFilename`] when `filename` is empty, longer than 255 bytes, a
    /// path part (`/`, `\`, `.`, `..`) or holds control characters.
    pub fn in_scope(
        scope: &Scope,
        area: &'static str,
        asset: &AssetId,
        filename: &str,
    ) -> Result<Self, InvalidFilename> {
        Self::named(scope.tenant(), scope.env(), area, asset, filename)
    }

    /// The same key, for the process itself, which tends objects when nobody asks.
    ///
    /// # Errors
    /// As [`ObjectKey::in_scope`].
    pub fn of_tenant(
        _: &SystemAuthority,
        (tenant, env): (&TenantId, Env),
        area: &'static str,
        asset: &AssetId,
        filename: &str,
    ) -> Result<Self, InvalidFilename> {
        Self::named(tenant, env, area, asset, filename)
    }

    fn named(
        tenant: &TenantId,
        env: Env,
        area: &'static str,
        asset: &AssetId,
        filename: &str,
    ) -> Result<Self, InvalidFilename> {
        let harmless = (1..=FILENAME_BYTES_MAX).contains(&filename.len())
            && !matches!(filename, "." | "..")
            && !filename
                .chars()
                .any(|c| c.is_control() || c == '/' || c == '\\');
        if !harmless {
            return Err(InvalidFilename);
        }
        Ok(Self {
            text: format!("tenants/{tenant}/{env}/{area}/{asset}/{filename}"),
            tenant: tenant.clone(),
            env,
        })
    }

    /// The key as text, for engines.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whose object it is, for who chooses a tenant's store.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// In which of the tenant's environments.
    #[must_use]
    pub fn env(&self) -> Env {
        self.env
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
