//! Short machine-readable names: actions, codes, kinds, sources.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Longest label, in bytes.
pub const LABEL_BYTES_MAX: usize = 96;

/// A name for machines, such as `control.member.remove` or `role_forbidden`:
/// 1 to 96 of `a-z 0-9 . _ -`, beginning with a letter. It never holds personal data.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Label(SmolStr);

/// A text is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a label: 1 to 96 of a-z 0-9 . _ -, beginning with a letter")]
pub struct InvalidLabel;

impl Label {
    /// What stands for a name that is no label.
    pub(crate) const fn unknown() -> Self {
        Self(SmolStr::new_static("unknown"))
    }

    /// The name of the part that closes what a crash left open.
    pub(crate) const fn recovery() -> Self {
        Self(SmolStr::new_static("audit.recovery"))
    }

    /// The code of what failed because the store did not answer.
    pub(crate) const fn unavailable() -> Self {
        Self(SmolStr::new_static("backend_unavailable"))
    }

    /// The code of what a legal hold forbids.
    pub(crate) const fn legal_hold() -> Self {
        Self(SmolStr::new_static("legal_hold"))
    }

    /// The name of what counts refusals, and the action of those that are counted together.
    pub(crate) const fn refusals() -> Self {
        Self(SmolStr::new_static("audit.refusals"))
    }

    /// The action of an erasure.
    pub(crate) const fn subject_erased() -> Self {
        Self(SmolStr::new_static("subject.erased"))
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = InvalidLabel;
    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let valid = text.len() <= LABEL_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        valid.then(|| Self(SmolStr::new(text))).ok_or(InvalidLabel)
    }
}

impl TryFrom<SmolStr> for Label {
    type Error = InvalidLabel;
    fn try_from(text: SmolStr) -> Result<Self, InvalidLabel> {
        text.parse()
    }
}

impl From<Label> for SmolStr {
    fn from(label: Label) -> SmolStr {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_one_form() {
        for good in [
            "a",
            "control.member.remove",
            "role_forbidden",
            "x-1",
            &"x".repeat(96),
        ] {
            assert_eq!(good.parse::<Label>().unwrap().as_str(), good);
        }
        for bad in ["", "A", "1a", ".a", "a b", "a:b", "ä", &"x".repeat(97)] {
            assert_eq!(bad.parse::<Label>(), Err(InvalidLabel), "{bad}");
        }
    }
}
