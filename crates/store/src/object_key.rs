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

/// Where the objects of one area of a tenant's environment are: `tenants/{tenant_id}/{env}/{area}/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectPrefix {
    text: String,
    tenant: TenantId,
    env: Env,
    area: &'static str,
}

impl ObjectPrefix {
    /// The prefix, for the process itself, which moves objects when nobody asks.
    #[must_use]
    pub fn of_tenant(
        _: &SystemAuthority,
        (tenant, env): (&TenantId, Env),
        area: &'static str,
    ) -> Self {
        Self {
            text: format!("tenants/{tenant}/{env}/{area}/"),
            tenant: tenant.clone(),
            env,
            area,
        }
    }

    /// The prefix as text, for engines.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key that a listed name is; `None` unless it is one of this tenant, environment and area.
    #[must_use]
    pub fn key(&self, listed: &str) -> Option<ObjectKey> {
        let (asset, filename) = listed.strip_prefix(&self.text)?.split_once('/')?;
        let asset: AssetId = asset.parse().ok()?;
        let key = ObjectKey::named(&self.tenant, self.env, self.area, &asset, filename).ok()?;
        (key.text == listed).then_some(key)
    }
}

impl fmt::Display for ObjectPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_name_is_a_key_of_its_own_place_alone() {
        let tenant: TenantId = "t_a".parse().unwrap();
        let authority = SystemAuthority::assume();
        let prefix = ObjectPrefix::of_tenant(&authority, (&tenant, Env::Dev), "raw");
        assert_eq!(prefix.as_str(), "tenants/t_a/dev/raw/");
        let listed = "tenants/t_a/dev/raw/as_1/x y.txt";
        let key = prefix.key(listed).unwrap();
        assert_eq!(
            (key.as_str(), key.tenant(), key.env()),
            (listed, &tenant, Env::Dev)
        );
        for other in [
            "tenants/t_ab/dev/raw/as_1/x",
            "tenants/t_a/prod/raw/as_1/x",
            "tenants/t_a/dev/media_v2/as_1/x",
            "tenants/t_a/dev/rawer/as_1/x",
            "tenants/t_a/dev/raw/",
            "tenants/t_a/dev/raw/as_1",
            "tenants/t_a/dev/raw/as_1/",
            "tenants/t_a/dev/raw/as_1/x/y",
            "tenants/t_a/dev/raw/as_1/..",
            "tenants/t_a/dev/raw/notes.txt/x",
            "tenants/t_a/dev/raw//x",
            "",
        ] {
            assert_eq!(prefix.key(other), None, "{other}");
        }
    }
}
