//! The number of a record in its tenant's log.

use std::{fmt, num::NonZeroU64};

use serde::{Deserialize, Serialize};

/// Largest size of a log that is read or written: numbers stay exact in JSON, and tile
/// coordinates in range.
pub const LOG_SIZE_MAX: u64 = 1 << 48;

/// The place of a record in the log of its tenant and environment: 1, 2, 3 and so on.
///
/// The first record is leaf 0 of the Merkle tree: `seq - 1` is the leaf's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Seq(NonZeroU64);

/// A number is no place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sequence number is 1 to 2^48")]
pub struct InvalidSeq;

impl Seq {
    /// The first record's.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The number at leaf `index` of the tree, `None` beyond the largest log.
    #[must_use]
    pub fn at(index: u64) -> Option<Self> {
        Self::try_from(index.checked_add(1)?).ok()
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The leaf's index in the tree.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0.get() - 1
    }
}

impl TryFrom<u64> for Seq {
    type Error = InvalidSeq;
    fn try_from(number: u64) -> Result<Self, InvalidSeq> {
        NonZeroU64::new(number)
            .filter(|seq| seq.get() <= LOG_SIZE_MAX)
            .map(Self)
            .ok_or(InvalidSeq)
    }
}

impl From<Seq> for u64 {
    fn from(seq: Seq) -> u64 {
        seq.get()
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
