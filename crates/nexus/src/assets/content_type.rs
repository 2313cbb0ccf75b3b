//! Media types (RFC 6838, section 4.2).
//!
//! Every type may be stored. What browsers might run is served by the engines as bytes to be
//! saved, so an upload never runs on the store's origin.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Longest type or subtype, in bytes (RFC 6838, section 4.2).
const NAME_BYTES_MAX: usize = 127;
/// Longest media type with its parameters, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// A media type, such as `image/png` or `text/plain;charset=utf-8`; its names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct ContentType(SmolStr);

/// A text is no media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a media type such as image/png, with at most {CONTENT_TYPE_BYTES_MAX} bytes")]
pub struct InvalidContentType;

impl ContentType {
    /// The media type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type before the slash, such as `image`.
    #[must_use]
    pub fn top_level(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl FromStr for ContentType {
    type Err = InvalidContentType;

    fn from_str(text: &str) -> Result<Self, InvalidContentType> {
        if text.len() > CONTENT_TYPE_BYTES_MAX {
            return Err(InvalidContentType);
        }
        let mut parts = text.split(';');
        let essence = parts.next().unwrap_or_default().trim_end_matches(' ');
        let names = essence.split_once('/');
        if !names.is_some_and(|(top, sub)| is_name(top) && is_name(sub)) {
            return Err(InvalidContentType);
        }
        let mut normal = essence.to_ascii_lowercase();
        for part in parts {
            let (name, value) = part.split_once('=').ok_or(InvalidContentType)?;
            let name = name.trim_start_matches(' ');
            let value = value.trim_end_matches(' ');
            if !is_name(name) || !is_value(value) {
                return Err(InvalidContentType);
            }
            normal = format!("{normal};{}={value}", name.to_ascii_lowercase());
        }
        Ok(Self(SmolStr::new(normal)))
    }
}

/// `restricted-name` of RFC 6838.
fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

/// A token, or a quoted text without escapes and without another `;` (RFC 9110, section 5.6.6).
fn is_value(text: &str) -> bool {
    let quoted = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    match quoted {
        Some(inner) => inner
            .bytes()
            .all(|b| (b == b' ' || b.is_ascii_graphic()) && b != b'"' && b != b'\\'),
        None => !text.is_empty() && text.bytes().all(plain),
    }
}

impl TryFrom<SmolStr> for ContentType {
    type Error = InvalidContentType;

    fn try_from(text: SmolStr) -> Result<Self, InvalidContentType> {
        text.parse()
    }
}

impl From<ContentType> for SmolStr {
    fn from(content_type: ContentType) -> Self {
        content_type.0
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_one_form() {
        for (given, normal) in [
            ("image/png", "image/png"),
            ("Image/PNG", "image/png"),
            ("application/vnd.api+json", "application/vnd.api+json"),
            ("text/plain; charset=utf-8", "text/plain;charset=utf-8"),
            (
                "video/webm;codecs=\"vp8, opus\"",
                "video/webm;codecs=\"vp8, opus\"",
            ),
        ] {
            let parsed = given.parse::<ContentType>();
            assert_eq!(parsed.map(|it| it.to_string()), Ok(normal.to_owned()));
        }
        let long = format!("a/{}", "x".repeat(128));
        for bad in [
            "",
            "image",
            "image/",
            "/png",
            "image/png/x",
            "image /png",
            "image/p ng",
            "*/*",
            "image/png;",
            "image/png;a",
            "image/png;a=",
            "image/png\r\nx: y",
            "ima\0ge/png",
            "text/plain;a=\"b",
            "text/plain;a=\"b;c\"",
            "bild/größe",
            &long,
        ] {
            assert_eq!(
                bad.parse::<ContentType>(),
                Err(InvalidContentType),
                "{bad:?}"
            );
        }
    }
}
