//! What a row of a gate is about: an action or many, and perhaps one target.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Longest pattern, in bytes; actions are labels of the audit log, which are no longer.
pub const PATTERN_BYTES_MAX: usize = 96;
/// Longest target, in bytes.
pub const TARGET_BYTES_MAX: usize = 256;
/// Longest id of a row, in bytes.
pub const ROW_ID_BYTES_MAX: usize = 64;

/// Which actions a row is about: one (`nexus.cards.create`), all below a name (`nexus.*`), or all (`*`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct ActionPattern(SmolStr);

/// A text is no pattern of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an action such as nexus.cards.create, a pattern such as nexus.*, or *")]
pub struct InvalidPattern;

impl ActionPattern {
    /// `*`.
    pub(crate) const fn everything() -> Self {
        Self(SmolStr::new_static("*"))
    }

    /// Whether the pattern takes `action`.
    #[must_use]
    pub fn takes(&self, action: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => action.starts_with(prefix),
            None => self.0 == action,
        }
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ActionPattern {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let names = match text.strip_suffix('*') {
            Some("") => return Ok(Self::everything()),
            Some(below) => below.strip_suffix('.').ok_or(InvalidPattern)?,
            None => text,
        };
        let valid = text.len() <= PATTERN_BYTES_MAX && is_action(names);
        valid.then(|| Self(text.into())).ok_or(InvalidPattern)
    }
}

impl TryFrom<SmolStr> for ActionPattern {
    type Error = InvalidPattern;
    fn try_from(text: SmolStr) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<ActionPattern> for SmolStr {
    fn from(pattern: ActionPattern) -> SmolStr {
        pattern.0
    }
}

impl fmt::Display for ActionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` has the form of an action: dotted names of `a-z 0-9 _ -`, the first with a letter first.
#[must_use]
pub fn is_action(text: &str) -> bool {
    let name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    text.len() <= PATTERN_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('.').all(name)
}

/// The id of something that is acted upon: 1 to 256 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct TargetName(Box<str>);

/// A text is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {TARGET_BYTES_MAX} bytes and no control characters")]
pub struct InvalidTarget;

impl TargetName {
    /// The target as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<SmolStr> for TargetName {
    type Error = InvalidTarget;
    fn try_from(text: SmolStr) -> Result<Self, InvalidTarget> {
        let fits = (1..=TARGET_BYTES_MAX).contains(&text.len());
        let valid = fits && !text.chars().any(char::is_control);
        valid
            .then(|| Self(text.as_str().into()))
            .ok_or(InvalidTarget)
    }
}

impl From<TargetName> for SmolStr {
    fn from(target: TargetName) -> SmolStr {
        target.0.into()
    }
}

/// The id of a row: a letter and up to 63 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "SmolStr")]
pub struct RowId(Box<str>);

/// A text is no id of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a letter and up to 63 of A-Z a-z 0-9 . _ -")]
pub struct InvalidRowId;

impl RowId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RowId {
    type Err = InvalidRowId;
    fn from_str(text: &str) -> Result<Self, InvalidRowId> {
        let valid = text.len() <= ROW_ID_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        valid.then(|| Self(text.into())).ok_or(InvalidRowId)
    }
}

impl From<RowId> for SmolStr {
    fn from(id: RowId) -> SmolStr {
        id.0.into()
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a row about `pattern` and perhaps `only` one target covers a request.
///
/// A row that names a target covers that target alone, and never a request without one.
pub(crate) fn covers(
    pattern: &ActionPattern,
    only: Option<&TargetName>,
    action: &str,
    target: Option<&str>,
) -> bool {
    pattern.takes(action) && only.is_none_or(|only| target == Some(only.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pattern: &str, action: &str) -> bool {
        pattern.parse::<ActionPattern>().unwrap().takes(action)
    }

    #[test]
    fn patterns_take_what_they_name() {
        for (pattern, action, expected) in [
            ("*", "nexus.cards.create", true),
            ("nexus.*", "nexus.cards.create", true),
            ("nexus.*", "nexus", false),
            ("nexus.*", "nexusx.cards", false),
            ("nexus.cards.*", "nexus.cards.create", true),
            ("nexus.cards.create", "nexus.cards.create", true),
            ("nexus.cards.create", "nexus.cards.create2", false),
            ("nexus.cards", "nexus.cards.create", false),
        ] {
            assert_eq!(takes(pattern, action), expected, "{pattern} {action}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = format!("{}.*", "a".repeat(PATTERN_BYTES_MAX));
        for bad in [
            "",
            ".",
            ".*",
            "a.",
            "a..b",
            "a.**",
            "a*",
            "*.a",
            "A",
            "1a",
            "a b",
            "nexus.*.x",
            &long,
        ] {
            assert!(bad.parse::<ActionPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn row_ids_begin_with_a_letter() {
        for good in ["a", "Stop-all.2", &format!("a{}", "0".repeat(63))] {
            assert!(good.parse::<RowId>().is_ok(), "{good}");
        }
        for bad in ["", "1", "-a", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<RowId>().is_err(), "{bad}");
        }
    }
}
