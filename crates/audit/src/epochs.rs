//! The log of epochs: append-only, one leaf per epoch, under one signed checkpoint.
//!
//! ```text
//! tenantry-audit/epoch/v1
//! <epoch>
//! <slots>
//! <heads root>
//! <time>
//! ```
//! Epoch `n` is leaf `n - 1`. The log itself is a [`LogState`](crate::log::LogState)
//! over [`Epoch::leaf_hash`].

use std::fmt;

use identity::Timestamp;

use crate::{Hash, LOG_SIZE_MAX, heads::SLOTS_MAX, lines};

const TAG: &str = "tenantry-audit/epoch/v1";

/// What one epoch commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Its number: 1, 2, 3 and so on.
    pub number: u64,
    /// How many slots the tree of heads has.
    pub slots: u64,
    /// The root of the tree of heads.
    pub heads: Hash,
    /// When it was closed.
    pub time: Timestamp,
}

/// Bytes are no epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an epoch")]
pub struct InvalidEpoch;

impl Epoch {
    /// The leaf of the log of epochs.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let values: [&dyn fmt::Display; 4] = [&self.number, &self.slots, &self.heads, &self.time];
        lines::write(TAG, &values)
    }

    /// The hash of that leaf.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        Hash::of_leaf(&self.encode())
    }

    /// Reads a leaf; only what [`Self::encode`] writes is one.
    ///
    /// # Errors
    /// [`InvalidEpoch`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidEpoch> {
        let read = || {
            let [number, slots, heads, time] = lines::read(TAG, bytes)?;
            Some(Self {
                number: number.parse().ok()?,
                slots: slots.parse().ok()?,
                heads: heads.parse().ok()?,
                time: time.parse().ok()?,
            })
        };
        read()
            .filter(|epoch| (1..=LOG_SIZE_MAX).contains(&epoch.number) && epoch.slots <= SLOTS_MAX)
            .filter(|epoch| epoch.encode() == bytes)
            .ok_or(InvalidEpoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_one_spelling() {
        let epoch = Epoch {
            number: 3,
            slots: 12,
            heads: Hash::of_leaf(b"heads"),
            time: Timestamp::from_unix_ms(1_767_225_600_007),
        };
        let text = String::from_utf8(epoch.encode()).unwrap();
        assert_eq!(Epoch::parse(text.as_bytes()), Ok(epoch));
        for bad in [
            text.replace("\n3\n", "\n0\n"),
            text.replace("\n3\n", "\n03\n"),
            text.replace(".007Z", ".0070Z"),
            text.replace('Z', "+00:00"),
            text.replace("epoch/", "head/"),
        ] {
            assert_eq!(Epoch::parse(bad.as_bytes()), Err(InvalidEpoch), "{bad}");
        }
    }
}
