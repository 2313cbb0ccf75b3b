//! The signed checkpoint: one note for everyone.
//!
//! A C2SP tlog-checkpoint over the log of epochs: origin, size, root; signed as
//! a C2SP signed note with Ed25519. No extension lines.

use std::{fmt, str::FromStr};

use crate::{Hash, LOG_SIZE_MAX};

/// Largest signed note that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 8 * 1024;
/// Longest origin, in bytes.
pub const ORIGIN_BYTES_MAX: usize = 255;

/// What our own signed texts other than checkpoints begin with; no origin does.
pub(crate) const OWN_TEXTS: &str = "tenantry-audit/";

/// The name of one installation's log: the first line of its checkpoints, and
/// the name of the keys that sign them. By custom a host and path without scheme.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

/// A text is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin: 1 to 255 bytes without spaces, control characters and plus signs")]
pub struct InvalidOrigin;

impl Origin {
    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let valid = text.len() <= ORIGIN_BYTES_MAX
            && signed_note::is_key_name_valid(text)
            && !text.chars().any(char::is_control)
            && !text.starts_with(OWN_TEXTS);
        valid.then(|| Self(text.to_owned())).ok_or(InvalidOrigin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A state of the log of epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log it is.
    pub origin: Origin,
    /// How many epochs it has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// A text is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint")]
pub struct InvalidCheckpoint;

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads that text. It says nothing about signatures: see [`Trust`](crate::Trust).
    ///
    /// # Errors
    /// [`InvalidCheckpoint`].
    pub fn parse(text: &[u8]) -> Result<Self, InvalidCheckpoint> {
        let read = tlog_tiles::Checkpoint::from_bytes(text).map_err(|_| InvalidCheckpoint)?;
        let checkpoint = Self {
            origin: read.origin().parse().map_err(|_| InvalidCheckpoint)?,
            size: read.size(),
            root: (*read.hash()).into(),
        };
        let known = checkpoint.size <= LOG_SIZE_MAX && checkpoint.text().as_bytes() == text;
        known.then_some(checkpoint).ok_or(InvalidCheckpoint)
    }
}
