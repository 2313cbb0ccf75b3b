//! Names that people give to things.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ControlError;

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 128;

/// A name: 1 to 128 characters, none of them a control character, not blank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a name that stands at `pointer` in a request.
    ///
    /// # Errors
    /// [`ControlError::Invalid`].
    pub fn parse(pointer: &'static str, text: &str) -> Result<Self, ControlError> {
        let text = text.trim();
        let valid = (1..=NAME_CHARS_MAX).contains(&text.chars().count())
            && !text.chars().any(char::is_control);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            let why =
                format!("must have 1 to {NAME_CHARS_MAX} characters and no control characters");
            Err(ControlError::invalid(pointer, why))
        }
    }
}

/// Whether `text` is a lower-case letter and then a-z 0-9 _ -, at most `bytes_max` in all.
pub(crate) fn is_slug(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

impl FromStr for Name {
    type Err = ControlError;
    fn from_str(text: &str) -> Result<Self, ControlError> {
        Self::parse("/name", text)
    }
}

impl TryFrom<String> for Name {
    type Error = ControlError;
    fn try_from(text: String) -> Result<Self, ControlError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_visible() {
        for good in ["A", "Ada's déjà vu", &"ä".repeat(128)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in ["", "  ", "a\nb", "a\u{7}", &"a".repeat(129)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }
}
