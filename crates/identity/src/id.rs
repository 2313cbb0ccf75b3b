//! Ids: one newtype per kind, valid from birth.
//!
//! The form is `[a-z]{1,2}_[A-Za-z0-9_-]{1,62}`, with the prefix of its kind
//! (contract, section 1). Ids that Tenantry makes are short enough to be kept
//! inline, so cloning one does not allocate.
//!
//! **Invariant:** an id in a program was parsed or generated; nothing re-checks it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::Entropy;

/// Longest part after the prefix, in bytes.
const BODY_BYTES_MAX: usize = 62;
/// Characters of a generated id after the prefix; 20 of 62 letters hold 119 bits.
const GENERATED_CHARS: usize = 20;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A text is not an id of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} id: it must be `{prefix}_` followed by 1 to 62 of A-Z a-z 0-9 _ -")]
pub struct InvalidId {
    kind: &'static str,
    prefix: &'static str,
}

fn parse(text: &str, kind: &'static str, prefix: &'static str) -> Result<SmolStr, InvalidId> {
    let refused = InvalidId { kind, prefix };
    let body = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .ok_or(refused)?;
    let valid = (1..=BODY_BYTES_MAX).contains(&body.len())
        && body
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if valid {
        Ok(SmolStr::new(text))
    } else {
        Err(refused)
    }
}

/// `length` letters and digits, evenly drawn.
pub(crate) fn random_text(entropy: &dyn Entropy, length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 32];
    while text.len() < length {
        entropy.fill(&mut bytes);
        // 248 is the largest multiple of 62 in a byte: above it the draw would be uneven.
        let drawn = bytes.iter().filter(|b| **b < 248);
        for byte in drawn.take(length - text.len()) {
            if let Some(letter) = ALPHABET.get(usize::from(byte % 62)) {
                text.push(char::from(*letter));
            }
        }
    }
    text
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal $(, refuse $refused:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// What precedes the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id that nobody can guess.
            #[must_use]
            pub fn generate(entropy: &dyn Entropy) -> Self {
                Self(SmolStr::new(format!("{}_{}", $prefix, random_text(entropy, GENERATED_CHARS))))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                $(if text == $refused {
                    return Err(InvalidId { kind: $kind, prefix: $prefix });
                })?
                parse(text, $kind, $prefix).map(Self)
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = InvalidId;
            fn try_from(text: SmolStr) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for SmolStr {
            fn from(id: $name) -> SmolStr {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A tenant. `t_unknown` is never one.
    TenantId, "tenant", "t", refuse "t_unknown"
);
id!(
    /// A user; one person in all of their tenants.
    UserId, "user", "u"
);
id!(
    /// A project of a tenant.
    ProjectId, "project", "p"
);
id!(
    /// A surface (a place where a product shows itself) of a tenant.
    SurfaceId, "surface", "s"
);
id!(
    /// An app of a tenant.
    AppId, "app", "a"
);
id!(
    /// A chat thread.
    ThreadId, "thread", "th"
);
id!(
    /// A canvas.
    CanvasId, "canvas", "cv"
);
id!(
    /// A stored asset.
    AssetId, "asset", "as"
);
id!(
    /// A signed-in session; tokens carry it as `sid`.
    SessionId, "session", "se"
);

impl UserId {
    /// The user named by a hash, in base64url.
    pub(crate) fn derived(hash: &str) -> Self {
        Self(SmolStr::new(format!("u_{hash}")))
    }
}

impl TenantId {
    /// Tenant-0: the operators' own tenant, and the only id in code.
    #[must_use]
    pub const fn system() -> Self {
        Self(SmolStr::new_static("t_system"))
    }

    /// Whether this is tenant-0.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0 == "t_system"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_form() {
        for good in [
            "t_a",
            "t_system",
            "t_A-b_9",
            &format!("t_{}", "x".repeat(62)),
        ] {
            assert_eq!(good.parse::<TenantId>().unwrap().as_str(), good);
        }
        let long = format!("t_{}", "x".repeat(63));
        for bad in [
            "",
            "t",
            "t_",
            "T_a",
            "u_a",
            "t_a b",
            "t_ä",
            "t_a,t_b",
            "t_unknown",
            &long,
            " t_a",
        ] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?} was accepted");
        }
        assert!("th_1".parse::<TenantId>().is_err());
        assert!("th_1".parse::<ThreadId>().is_ok());
    }

    #[test]
    fn deserialising_checks_the_form_too() {
        assert!(serde_json::from_str::<UserId>("\"u_1\"").is_ok());
        assert!(serde_json::from_str::<UserId>("\"t_1\"").is_err());
    }
}
