//! The hash of what is to be written, to which an approval is bound.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use crate::stored::hex;

/// SHA-256 of a body's canonical form (RFC 8785).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct PayloadHash([u8; 32]);

/// A text is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the 64 hex digits of a SHA-256")]
pub struct InvalidHash;

/// Largest whole number that the canonical form keeps exact (RFC 8785, section 3.2.2.3).
const EXACT_MAX: u64 = (1 << 53) - 1;

impl PayloadHash {
    /// The hash of a JSON value.
    ///
    /// `None` when it holds a whole number beyond 2⁵³: its canonical form stands
    /// for others as well, so an approval of one would be one of another.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        if !is_exact(value) {
            return None;
        }
        let bytes = serde_json_canonicalizer::to_vec(value).ok()?;
        Some(Self(Sha256::digest(&bytes).into()))
    }

    /// The hash of an empty object: of a request that says nothing beside its path.
    #[must_use]
    pub fn of_nothing() -> Option<Self> {
        Self::of(&Value::Object(serde_json::Map::new()))
    }

    /// The hash of a JSON text; `None` when it is none, or as for [`PayloadHash::of`].
    #[must_use]
    pub fn of_json(text: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(text).ok()?)
    }
}

fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            let whole = number.as_u64().or(number.as_i64().map(i64::unsigned_abs));
            whole.is_none_or(|whole| whole <= EXACT_MAX)
        }
        Value::Array(values) => values.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

impl fmt::Display for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for PayloadHash {
    type Err = InvalidHash;
    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut bytes = [0; 32];
        let pairs = text.as_bytes().chunks(2);
        if text.len() != 64 {
            return Err(InvalidHash);
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).map_err(|_| InvalidHash)?;
            // A sign would be taken for a digit.
            if !pair.iter().all(u8::is_ascii_hexdigit) {
                return Err(InvalidHash);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidHash)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<SmolStr> for PayloadHash {
    type Error = InvalidHash;
    fn try_from(text: SmolStr) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

impl From<PayloadHash> for SmolStr {
    fn from(hash: PayloadHash) -> SmolStr {
        SmolStr::new(hash.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_the_canonical_form() {
        let one = PayloadHash::of_json(br#"{"b": [1.0, 2], "a":"x"}"#).unwrap();
        let two = PayloadHash::of_json(br#"{"a":"x","b":[1,2.0]}"#).unwrap();
        assert_eq!(one, two);
        let canonical = Sha256::digest(br#"{"a":"x","b":[1,2]}"#);
        assert_eq!(one.to_string(), hex(&canonical));
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_ne!(Some(one), PayloadHash::of_json(br#"{"a":"y","b":[1,2]}"#));
    }

    #[test]
    fn numbers_that_would_be_rounded_have_no_hash() {
        assert!(PayloadHash::of_json(b"[9007199254740991]").is_some());
        for rounded in [
            "[9007199254740993]",
            "[-9007199254740993]",
            "18446744073709551615",
        ] {
            assert_eq!(PayloadHash::of_json(rounded.as_bytes()), None, "{rounded}");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let good = "ab".repeat(32);
        assert!(good.parse::<PayloadHash>().is_ok());
        for bad in [
            "",
            "ab",
            &"ag".repeat(32),
            &"+a".repeat(32),
            &"é".repeat(32),
        ] {
            assert!(bad.parse::<PayloadHash>().is_err(), "{bad}");
        }
    }
}
