//! One row of the registry: for whom, and to where.

use std::{collections::BTreeMap, fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use identity::{Env, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use super::FormerTarget;
use crate::{ControlError, SecretRef, name::is_slug};

/// Longest kind or backend name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Largest configuration of a row, in bytes of JSON.
const CONFIG_BYTES_MAX: usize = 16 * 1024;
/// Most secrets of a row, and the longest name of one in bytes.
const SECRETS_MAX: usize = 16;
const SECRET_NAME_BYTES_MAX: usize = 64;
const PREFIX: &str = "r_";
/// Bytes of an id: six of a hash of whose row it is, and twelve of one of what it is for.
const OWNER_HASH_BYTES: usize = 6;
const PLACE_HASH_BYTES: usize = 12;
/// Characters with which the ids of one owner begin: the prefix, and six bytes in base64.
const OWNER_CHARS: usize = 10;
/// The backend of a row that says what the row of another kind says.
const SAME_AS: &str = "same_as";

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
    /// One environment of a tenant.
    #[must_use]
    pub fn of_env(tenant: &TenantId, env: Env) -> Self {
        Self {
            tenant: Some(tenant.clone()),
            env: Some(env),
        }
    }

    /// A tenant as a whole.
    #[must_use]
    pub fn of_tenant(tenant: &TenantId) -> Self {
        Self {
            tenant: Some(tenant.clone()),
            env: None,
        }
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

/// Tells targets apart that say different things: the first half of a SHA-256.
pub type Fingerprint = [u8; 16];

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
    /// Wherever the rows of `leader` send the same places.
    #[must_use]
    pub fn same_as(leader: &ResourceKind) -> Self {
        let kind = Value::String(leader.to_string());
        Self {
            backend: BackendName(SmolStr::new_static(SAME_AS)),
            config: Map::from_iter([("kind".to_owned(), kind)]),
            secrets: BTreeMap::new(),
        }
    }

    /// The same for all targets that say the same, and for no others.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        // A map of texts and JSON can be written down.
        let said = serde_json::to_vec(self).unwrap_or_default();
        let mut fingerprint = Fingerprint::default();
        for (to, from) in fingerprint.iter_mut().zip(Sha256::digest(said)) {
            *to = from;
        }
        fingerprint
    }

    /// The kind whose rows count instead, if this is such a target.
    ///
    /// # Errors
    /// What it should have said.
    pub(super) fn leader(&self) -> Result<Option<ResourceKind>, String> {
        if self.backend.0 != SAME_AS {
            return Ok(None);
        }
        let named = self.config.get("kind").and_then(Value::as_str);
        let leader = named.and_then(|kind| kind.parse().ok());
        match leader {
            Some(leader) if *self == Self::same_as(&leader) => Ok(Some(leader)),
            _ => Err(format!("the config of {SAME_AS} is {{\"kind\": …}} alone")),
        }
    }

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
    /// Whether writes wait, because what is there is being moved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Where it sent its place before, while that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<FormerTarget>,
    /// Where it was, while a move ends: the row is switched, and what was left behind is not finished with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<RouteTarget>,
}

impl RouteRow {
    /// A row for a place.
    #[must_use]
    pub fn new(kind: ResourceKind, place: RoutePlace, target: RouteTarget) -> Self {
        Self {
            kind,
            place,
            target,
            held: false,
            former: Vec::new(),
            moved_from: None,
        }
    }
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

/// Whose rows: a tenant's, or everyone's. All ids of their rows begin with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouteOwner(SmolStr);

impl RouteOwner {
    /// The tenant, or everyone.
    #[must_use]
    pub fn of(tenant: Option<&TenantId>) -> Self {
        let hash = hash_of::<OWNER_HASH_BYTES>(tenant.map_or("*", TenantId::as_str));
        Self(format!("{PREFIX}{hash}").into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names a row: `r_`, and hashes of its tenant, and of its kind, tenant and environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouteId(SmolStr);

impl RouteId {
    /// The id of the one row that a kind can have for a place.
    #[must_use]
    pub fn of(kind: &ResourceKind, place: &RoutePlace) -> Self {
        let owner = RouteOwner::of(place.tenant.as_ref());
        let text = format!("{kind} {} {}", place.tenant_text(), place.env_text());
        let hash = hash_of::<PLACE_HASH_BYTES>(&text);
        Self(format!("{}{hash}", owner.as_str()).into())
    }

    /// Whose row it is.
    #[must_use]
    pub fn owner(&self) -> RouteOwner {
        RouteOwner(self.0.get(..OWNER_CHARS).unwrap_or(&self.0).into())
    }
}

/// The first `N` bytes of a SHA-256, in base64.
fn hash_of<const N: usize>(text: &str) -> String {
    let hash = Sha256::digest(text);
    BASE64_URL_SAFE_NO_PAD.encode(hash.get(..N).unwrap_or_default())
}

impl FromStr for RouteId {
    type Err = ControlError;
    fn from_str(text: &str) -> Result<Self, ControlError> {
        let hash = text.strip_prefix(PREFIX);
        match hash.and_then(|hash| BASE64_URL_SAFE_NO_PAD.decode(hash).ok()) {
            Some(bytes) if bytes.len() == OWNER_HASH_BYTES + PLACE_HASH_BYTES => {
                Ok(Self(text.into()))
            }
            _ => Err(ControlError::NotFound),
        }
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
