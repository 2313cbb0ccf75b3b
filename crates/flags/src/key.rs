//! Names of flags and of their variants.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Longest key of a flag, in bytes; it fits into a detail of the record.
pub const KEY_BYTES_MAX: usize = 128;
/// Longest name of a variant, in bytes.
pub const VARIANT_NAME_BYTES_MAX: usize = 64;
/// First parts that routes use for themselves.
const RESERVED: [&str; 3] = ["system", "history", "stale"];

/// A text is no key of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It has another form.
    #[error(
        "must be a letter or digit and up to 127 of A-Z a-z 0-9 . _ : / -, without an empty part between slashes"
    )]
    Form,
    /// Its first part belongs to a route.
    #[error("must not begin with the part system, history or stale")]
    Reserved,
}

/// A text is no name of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 64 of A-Z a-z 0-9 . _ -")]
pub struct InvalidVariantName;

/// The key of a flag: `[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}`, parts between slashes not empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct FlagKey(SmolStr);

/// The name of a variant: `[A-Za-z0-9._-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct VariantName(SmolStr);

impl FlagKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl VariantName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The variant of a boolean flag that is `true`, where nobody named it.
    pub(crate) const fn on() -> Self {
        Self(SmolStr::new_static("on"))
    }

    /// The variant of a boolean flag that is `false`, where nobody named it.
    pub(crate) const fn off() -> Self {
        Self(SmolStr::new_static("off"))
    }
}

impl FromStr for FlagKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let first = text.bytes().next();
        let formed = text.len() <= KEY_BYTES_MAX
            && first.is_some_and(|byte| byte.is_ascii_alphanumeric())
            && text.bytes().all(in_key)
            && text.split('/').all(|part| !part.is_empty());
        if !formed {
            return Err(InvalidKey::Form);
        }
        let part = text.split('/').next().unwrap_or_default();
        if RESERVED.contains(&part) {
            return Err(InvalidKey::Reserved);
        }
        Ok(Self(text.into()))
    }
}

const fn in_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'-')
}

impl FromStr for VariantName {
    type Err = InvalidVariantName;

    fn from_str(text: &str) -> Result<Self, InvalidVariantName> {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let formed = (1..=VARIANT_NAME_BYTES_MAX).contains(&text.len());
        if formed && text.bytes().all(inside) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidVariantName)
        }
    }
}

impl TryFrom<SmolStr> for FlagKey {
    type Error = InvalidKey;
    fn try_from(text: SmolStr) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl TryFrom<SmolStr> for VariantName {
    type Error = InvalidVariantName;
    fn try_from(text: SmolStr) -> Result<Self, InvalidVariantName> {
        text.parse()
    }
}

impl From<FlagKey> for SmolStr {
    fn from(key: FlagKey) -> Self {
        key.0
    }
}

impl From<VariantName> for SmolStr {
    fn from(name: VariantName) -> Self {
        name.0
    }
}

impl Borrow<str> for FlagKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FlagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for VariantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_form() {
        let long = "k".repeat(KEY_BYTES_MAX);
        for good in [
            "a",
            "7",
            "team/checkout",
            "gates.enforce.nexus.*".trim_end_matches(".*"),
            "a:b",
            "systems",
            &long,
        ] {
            assert_eq!(good.parse::<FlagKey>().unwrap().as_str(), good);
        }
        let too_long = "k".repeat(KEY_BYTES_MAX + 1);
        for bad in [
            "", "/a", "a/", "a//b", "a b", "ä", "-a", "a\n", "a%2Fb", "*", &too_long,
        ] {
            assert_eq!(bad.parse::<FlagKey>(), Err(InvalidKey::Form), "{bad:?}");
        }
        for reserved in ["system", "system/a", "history/a", "stale", "stale/b/c"] {
            assert_eq!(
                reserved.parse::<FlagKey>(),
                Err(InvalidKey::Reserved),
                "{reserved}"
            );
        }
    }

    #[test]
    fn variants_have_one_form() {
        for bad in ["", "a b", "a/b", "ü", &"v".repeat(65)] {
            assert!(bad.parse::<VariantName>().is_err(), "{bad:?}");
        }
        assert!(VariantName::on().as_str().parse::<VariantName>().is_ok());
    }
}
