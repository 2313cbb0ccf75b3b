//! Ids of records: one type per kind, valid from birth.

use std::{fmt, marker::PhantomData, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use identity::{Entropy, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

use crate::Model;

/// Longest part after the prefix, in bytes.
const BODY_BYTES_MAX: usize = 62;
/// Bytes of chance in a generated id: 120 bits.
const CHANCE_BYTES: usize = 15;

/// The id of a record of the kind `M`: its prefix, `_`, and 1 to 62 of `A-Z a-z 0-9 _ -`.
pub struct Id<M>(SmolStr, PhantomData<fn() -> M>);

/// A text is no id of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: it must be `{0}_` followed by 1 to 62 of A-Z a-z 0-9 _ -")]
pub struct InvalidId(&'static str);

impl<M: Model> Id<M> {
    /// A new id that nobody can guess. Ids are ordered by `now`, and then by `place`.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy, now: Timestamp, place: u8) -> Self {
        let mut chance = [0_u8; CHANCE_BYTES];
        entropy.fill(&mut chance);
        let chance = BASE64_URL_SAFE_NO_PAD.encode(chance);
        let ms = now.unix_ms().max(0);
        let id = format!("{}_{ms:012x}{place:02x}{chance}", M::ID_PREFIX);
        Self(SmolStr::new(id), PhantomData)
    }
}

impl<M> Id<M> {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<M: Model> FromStr for Id<M> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let rest = text.strip_prefix(M::ID_PREFIX);
        let body = rest.and_then(|rest| rest.strip_prefix('_'));
        let valid = body.is_some_and(|body| {
            (1..=BODY_BYTES_MAX).contains(&body.len())
                && body
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        });
        valid
            .then(|| Self(SmolStr::new(text), PhantomData))
            .ok_or(InvalidId(M::ID_PREFIX))
    }
}

impl<M> Clone for Id<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<M> PartialEq for Id<M> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<M> Eq for Id<M> {}

impl<M> fmt::Debug for Id<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<M> fmt::Display for Id<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<M> Serialize for Id<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, M: Model> Deserialize<'de> for Id<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SmolStr::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
