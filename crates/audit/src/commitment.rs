//! Salted commitments: what a leaf holds in place of a personal value.
//!
//! `SHA-256(DOMAIN || salt || field || 0x00 || value)`, with a salt of 32
//! random bytes per field. Without the salt nobody can tell whether a guessed
//! value is the right one, so a record whose salts are gone holds nothing personal.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use identity::Entropy;
use serde::{Deserialize, Serialize};

use crate::{Hash, Label};

/// What the hashed bytes begin with, so that no other hash of ours can be taken for one of these.
pub const COMMITMENT_DOMAIN: &[u8] = b"tenantry-audit/personal/v1\n";
/// Length of a salt, in bytes.
pub const SALT_BYTES: usize = 32;

/// A place in a record that holds a personal value. As text: `actor.id`, `target.id`, `personal.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Field {
    /// The acting user.
    ActorId,
    /// The user who was acted upon.
    TargetId,
    /// A further personal value.
    Personal(Label),
}

/// A text names no field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a personal field: actor.id, target.id or personal.<name>")]
pub struct InvalidField;

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActorId => f.write_str("actor.id"),
            Self::TargetId => f.write_str("target.id"),
            Self::Personal(name) => write!(f, "personal.{name}"),
        }
    }
}

impl FromStr for Field {
    type Err = InvalidField;
    fn from_str(text: &str) -> Result<Self, InvalidField> {
        match text {
            "actor.id" => Ok(Self::ActorId),
            "target.id" => Ok(Self::TargetId),
            _ => text
                .strip_prefix("personal.")
                .and_then(|name| name.parse().ok())
                .map(Self::Personal)
                .ok_or(InvalidField),
        }
    }
}

impl TryFrom<String> for Field {
    type Error = InvalidField;
    fn try_from(text: String) -> Result<Self, InvalidField> {
        text.parse()
    }
}

impl From<Field> for String {
    fn from(field: Field) -> String {
        field.to_string()
    }
}

/// The 32 random bytes beside a personal value; as text, base64.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Salt([u8; SALT_BYTES]);

/// A text is no salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a salt of 32 bytes in base64")]
pub struct InvalidSalt;

impl Salt {
    /// A fresh salt.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; SALT_BYTES];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SALT_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(***)")
    }
}

impl TryFrom<String> for Salt {
    type Error = InvalidSalt;
    fn try_from(text: String) -> Result<Self, InvalidSalt> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| InvalidSalt)?;
        bytes.try_into().map(Self).map_err(|_| InvalidSalt)
    }
}

impl From<Salt> for String {
    fn from(salt: Salt) -> String {
        BASE64_STANDARD.encode(salt.0)
    }
}

/// A personal value with the salt that its commitment was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The salt.
    pub salt: Salt,
    /// The value.
    pub value: String,
}

impl Opening {
    /// The commitment to this value as `field`.
    #[must_use]
    pub fn commitment(&self, field: &Field) -> Commitment {
        let field = field.to_string();
        Commitment {
            commitment: Hash::of(&[
                COMMITMENT_DOMAIN,
                &self.salt.0,
                field.as_bytes(),
                &[0],
                self.value.as_bytes(),
            ]),
        }
    }
}

/// What a leaf holds in place of a personal value: `{"commitment":"<hash>"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// The salted hash.
    pub commitment: Hash,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(value: &str) -> Opening {
        Opening {
            salt: Salt([7; SALT_BYTES]),
            value: value.to_owned(),
        }
    }

    #[test]
    fn a_commitment_binds_salt_field_and_value() {
        let made = opening("u_1").commitment(&Field::ActorId);
        assert_eq!(made, opening("u_1").commitment(&Field::ActorId));
        assert_ne!(made, opening("u_2").commitment(&Field::ActorId));
        assert_ne!(made, opening("u_1").commitment(&Field::TargetId));
        let salted = Opening {
            salt: Salt([8; SALT_BYTES]),
            ..opening("u_1")
        };
        assert_ne!(made, salted.commitment(&Field::ActorId));
    }

    #[test]
    fn fields_have_one_spelling() {
        for text in ["actor.id", "target.id", "personal.email"] {
            assert_eq!(text.parse::<Field>().unwrap().to_string(), text);
        }
        for bad in ["", "actor", "personal.", "personal.A", "email"] {
            assert_eq!(bad.parse::<Field>(), Err(InvalidField), "{bad}");
        }
    }
}
