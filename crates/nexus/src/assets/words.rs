//! The small values of an asset, each valid from birth.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::ContentType;

/// Longest kind, in bytes.
const KIND_BYTES_MAX: usize = 64;
/// The largest `meta`, in bytes of compact JSON.
pub const META_BYTES_MAX: usize = 16 * 1024;
/// How deep `meta` may be nested.
const META_DEPTH_MAX: usize = 8;

/// What sort of thing an asset is, such as `image` or `canvas_replay`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Kind(SmolStr);

/// A text is no kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a letter followed by at most 63 of a-z 0-9 _ . -")]
pub struct InvalidKind;

impl Kind {
    /// The kind as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The kind of those that name none: what precedes the slash in the media type.
impl From<&ContentType> for Kind {
    fn from(content_type: &ContentType) -> Self {
        let kind = content_type.top_level().parse();
        kind.unwrap_or(Self(SmolStr::new_static("other")))
    }
}

impl FromStr for Kind {
    type Err = InvalidKind;

    fn from_str(text: &str) -> Result<Self, InvalidKind> {
        let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
        let valid = text.len() <= KIND_BYTES_MAX
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && text.bytes().all(rest);
        valid.then(|| Self(SmolStr::new(text))).ok_or(InvalidKind)
    }
}

impl TryFrom<SmolStr> for Kind {
    type Error = InvalidKind;

    fn try_from(text: SmolStr) -> Result<Self, InvalidKind> {
        text.parse()
    }
}

impl From<Kind> for SmolStr {
    fn from(kind: Kind) -> Self {
        kind.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of an asset's bytes; 64 hexadecimal digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Checksum(pub [u8; 32]);

/// A text is no SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a SHA-256 as 64 hexadecimal digits")]
pub struct InvalidChecksum;

impl FromStr for Checksum {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.ok_or(InvalidChecksum)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high * 16 + low).collect();
        match (bytes.try_into(), rest) {
            (Ok(bytes), []) => Ok(Self(bytes)),
            _ => Err(InvalidChecksum),
        }
    }
}

impl TryFrom<String> for Checksum {
    type Error = InvalidChecksum;

    fn try_from(text: String) -> Result<Self, InvalidChecksum> {
        text.parse()
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What else the maker of an asset says of it: a small JSON object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Meta(Map<String, Value>);

/// Why an object is no `meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMeta {
    /// It is too large.
    #[error("has more than {META_BYTES_MAX} bytes")]
    TooLarge,
    /// It is nested too deep.
    #[error("is nested deeper than {META_DEPTH_MAX} levels")]
    TooDeep,
}

impl Meta {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object.
    #[must_use]
    pub const fn object(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl TryFrom<Map<String, Value>> for Meta {
    type Error = InvalidMeta;

    fn try_from(object: Map<String, Value>) -> Result<Self, InvalidMeta> {
        if object
            .values()
            .any(|value| !is_flat(value, META_DEPTH_MAX - 1))
        {
            return Err(InvalidMeta::TooDeep);
        }
        let text = serde_json::to_vec(&object);
        match text {
            Ok(text) if text.len() <= META_BYTES_MAX => Ok(Self(object)),
            _ => Err(InvalidMeta::TooLarge),
        }
    }
}

/// Whether a value is nested in at most `levels`.
fn is_flat(value: &Value, levels: usize) -> bool {
    let deeper = |value: &Value| levels > 0 && is_flat(value, levels - 1);
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(deeper),
        Value::Object(members) => levels > 0 && members.values().all(deeper),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_have_one_form_and_come_from_the_media_type() {
        for good in ["image", "canvas_replay", "proxy-360p", "a.b"] {
            assert_eq!(good.parse::<Kind>().unwrap().as_str(), good);
        }
        let long = "x".repeat(65);
        for bad in ["", "Image", "1a", "a/b", "a b", "ä", &long] {
            assert_eq!(bad.parse::<Kind>(), Err(InvalidKind), "{bad:?}");
        }
        let kind_of = |text: &str| Kind::from(&text.parse().unwrap()).to_string();
        assert_eq!(kind_of("Image/png"), "image");
        assert_eq!(kind_of("3d/model"), "other");
    }

    #[test]
    fn a_checksum_is_64_digits() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(text.parse::<Checksum>().unwrap().to_string(), text);
        assert!(text.to_uppercase().parse::<Checksum>().is_ok());
        for bad in ["", "0", &text[1..], &format!("{text}0"), &"g".repeat(64)] {
            assert_eq!(bad.parse::<Checksum>(), Err(InvalidChecksum), "{bad:?}");
        }
    }

    #[test]
    fn meta_is_small_and_shallow() {
        let parsed = |value: Value| serde_json::from_value::<Meta>(value);
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(parsed(nested(8)).is_ok());
        assert!(parsed(nested(9)).is_err());
        assert!(parsed(nested(100)).is_err());
        assert!(parsed(json!({"a": "x".repeat(16_000)})).is_ok());
        assert!(parsed(json!({"a": "x".repeat(17_000)})).is_err());
        assert!(parsed(json!([])).is_err());
    }
}
