//! One row of the registry: for whom, and to where.

use std::{collections::BTreeMap, fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use identity::{Env, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use crate::{ControlError, SecretRef, name::is_slug};

/// Longest kind or backend name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Largest configuration of a row, in bytes of JSON.
const CONFIG_BYTES_MAX: usize = 16 * 1024;
/// Most secrets of a row, and the longest name of one in bytes.
const SECRETS_MAX: usize = 16;
const SECRET_NAME_BYTES_MAX: usize = 64;
const PREFIX: &str = "r_";
const ID_HASH_BYTES: usize = 16;

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $pointer:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl FromStr for $name {
            type Err = ControlError;
            fn from_str(text: &str) -> Result<Self, ControlError> {
                if is_slug(text, NAME_BYTES_MAX) {
                    return Ok(Self(text.into()));
                }
                let why = "must be a lower-case letter and up to 63 of a-z 0-9 _ -";
                Err(ControlError::invalid($pointer, why))
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = ControlError;
            fn try_from(text: SmolStr) -> Result<Self, ControlError> {
                text.parse()
            }
        }

        impl From<$name> for SmolStr {
            fn from(name: $name) -> SmolStr {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug!(
    /// A kind of resource that needs a backend, such as `documents` or `events`.
    ResourceKind, "/kind"
);
slug!(
    /// A backend that the server was composed with, such as `embedded`.
    BackendName, "/backend"
);

/// For whom a row is; `None` stands for `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct RoutePlace {
    /// The tenant.
    #[serde(default)]
    pub tenant: Option<TenantId>,
    /// The environment.
    #[serde(default)]
    pub env: Option<Env>,
}

impl RoutePlace {
    /// The places whose rows cover a tenant's environment, the most exact first.
    #[must_use]
    pub fn covering(tenant: &TenantId, env: Env) -> [Self; 4] {
        let place = |tenant: Option<&TenantId>, env| Self {
            tenant: tenant.cloned(),
            env,
        };
        [
            place(Some(tenant), Some(env)),
            place(Some(tenant), None),
            place(None, Some(env)),
            place(None, None),
        ]
    }

    /// The tenant as text, `*` for all.
    #[must_use]
    pub fn tenant_text(&self) -> &str {
        self.tenant.as_ref().map_or("*", TenantId::as_str)
    }

    /// The environment as text, `*` for all.
    #[must_use]
    pub fn env_text(&self) -> &'static str {
        self.env.map_or("*", Env::as_str)
    }
}

/// Where a row sends its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteTarget {
    /// The backend.
    pub backend: BackendName,
    /// What the backend is told; it never holds a secret.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Where the backend's secrets are.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretRef>,
}

impl RouteTarget {
    /// Holds the limits.
    ///
    /// # Errors
    /// [`ControlError::Invalid`].
    pub(crate) fn check(&self) -> Result<(), ControlError> {
        let config = crate::records::encode(&self.config)?;
        if config.len() > CONFIG_BYTES_MAX {
            let why = format!("must have at most {CONFIG_BYTES_MAX} bytes");
            return Err(ControlError::invalid("/config", why));
        }
        let names_hold = self
            .secrets
            .keys()
            .all(|name| is_slug(name, SECRET_NAME_BYTES_MAX));
        if self.secrets.len() > SECRETS_MAX || !names_hold {
            let why = format!("must be at most {SECRETS_MAX}, named in lower case");
            return Err(ControlError::invalid("/secrets", why));
        }
        Ok(())
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteRow {
    /// Of which kind of resource.
    pub kind: ResourceKind,
    /// For whom.
    pub place: RoutePlace,
    /// To where.
    pub target: RouteTarget,
}

/// A row with its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// The row.
    pub row: RouteRow,
}

impl Route {
    pub(super) fn of(row: RouteRow) -> Self {
        Self {
            id: RouteId::of(&row.kind, &row.place),
            row,
        }
    }
}

/// Names a row: `r_` and a hash of kind, tenant and environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouteId(SmolStr);

impl RouteId {
    /// The id of the one row that a kind can have for a place.
    #[must_use]
    pub fn of(kind: &ResourceKind, place: &RoutePlace) -> Self {
        let text = format!("{kind} {} {}", place.tenant_text(), place.env_text());
        let hash = Sha256::digest(text);
        let short = hash.get(..ID_HASH_BYTES).unwrap_or_default();
        Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(short)).into())
    }
}

impl FromStr for RouteId {
    type Err = ControlError;
    fn from_str(text: &str) -> Result<Self, ControlError> {
        let hash = text.strip_prefix(PREFIX);
        match hash.and_then(|hash| BASE64_URL_SAFE_NO_PAD.decode(hash).ok()) {
            Some(bytes) if bytes.len() == ID_HASH_BYTES => Ok(Self(text.into())),
            _ => Err(ControlError::NotFound),
        }
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
