//! A stored record: leaf and sealed part in one body.
//!
//! ```text
//! 0x01 | leaf length u32 | sealed length u32 | leaf | sealed | first 8 bytes of SHA-256 of all before
//! ```
//! Numbers are big-endian. The checksum finds accidents in the sealed part,
//! which no tree covers; the leaf is covered by its log.

use crate::{Hash, LEAF_BYTES_MAX, SEALED_BYTES_MAX};

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 9;
const CHECKSUM_BYTES: usize = 8;

/// Largest body of a record, in bytes.
pub const RECORD_BYTES_MAX: usize = HEAD_BYTES + LEAF_BYTES_MAX + SEALED_BYTES_MAX + CHECKSUM_BYTES;

/// A leaf, and the sealed personal values that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The leaf, verbatim.
    pub leaf: Vec<u8>,
    /// The sealed part; empty for a record without personal values.
    pub sealed: Vec<u8>,
}

/// A stored body is no record: it was damaged, or is of a version that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored audit record is damaged")]
pub struct DamagedRecord;

impl Record {
    /// The hash of the leaf, as it stands in the tree.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        Hash::of_leaf(&self.leaf)
    }

    /// The body to store.
    ///
    /// # Errors
    /// [`DamagedRecord`] when a part exceeds its limit.
    pub fn encode(&self) -> Result<Vec<u8>, DamagedRecord> {
        let length = |part: &[u8], most: usize| {
            let fits = part.len() <= most;
            fits.then_some(part.len())
                .and_then(|bytes| u32::try_from(bytes).ok())
                .ok_or(DamagedRecord)
        };
        let leaf = length(&self.leaf, LEAF_BYTES_MAX)?;
        let sealed = length(&self.sealed, SEALED_BYTES_MAX)?;
        let bytes = HEAD_BYTES + self.leaf.len() + self.sealed.len() + CHECKSUM_BYTES;
        let mut body = Vec::with_capacity(bytes);
        body.push(VERSION);
        body.extend(leaf.to_be_bytes());
        body.extend(sealed.to_be_bytes());
        body.extend(&self.leaf);
        body.extend(&self.sealed);
        body.extend(checksum(&body));
        Ok(body)
    }

    /// Reads a stored body.
    ///
    /// # Errors
    /// [`DamagedRecord`].
    pub fn decode(body: &[u8]) -> Result<Self, DamagedRecord> {
        let (covered, found) = body
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(DamagedRecord)?;
        if body.len() > RECORD_BYTES_MAX || checksum(covered) != *found {
            return Err(DamagedRecord);
        }
        let (version, rest) = covered.split_first().ok_or(DamagedRecord)?;
        let (leaf_bytes, rest) = length(rest, LEAF_BYTES_MAX)?;
        let (sealed_bytes, rest) = length(rest, SEALED_BYTES_MAX)?;
        let (leaf, sealed) = rest.split_at_checked(leaf_bytes).ok_or(DamagedRecord)?;
        if *version != VERSION || sealed.len() != sealed_bytes {
            return Err(DamagedRecord);
        }
        Ok(Self {
            leaf: leaf.to_vec(),
            sealed: sealed.to_vec(),
        })
    }
}

fn length(bytes: &[u8], most: usize) -> Result<(usize, &[u8]), DamagedRecord> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(DamagedRecord)?;
    usize::try_from(u32::from_be_bytes(*length))
        .ok()
        .filter(|length| *length <= most)
        .map(|length| (length, rest))
        .ok_or(DamagedRecord)
}

fn checksum(covered: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = Hash::of(&[covered]);
    let mut short = [0; CHECKSUM_BYTES];
    short
        .iter_mut()
        .zip(hash.as_bytes())
        .for_each(|(to, from)| *to = *from);
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_reads_back(leaf in prop::collection::vec(any::<u8>(), 0..300), sealed in prop::collection::vec(any::<u8>(), 0..300)) {
            let record = Record { leaf, sealed };
            prop_assert_eq!(Record::decode(&record.encode().unwrap()), Ok(record));
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(record) = Record::decode(&body) {
                prop_assert_eq!(record.encode().unwrap(), body);
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let record = Record {
            leaf: b"leaf".to_vec(),
            sealed: b"sealed".to_vec(),
        };
        let body = record.encode().unwrap();
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut flipped = body.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(Record::decode(&flipped), Err(DamagedRecord));
            }
            assert_eq!(Record::decode(&body[..at]), Err(DamagedRecord));
        }
    }

    #[test]
    fn a_part_beyond_its_limit_is_refused() {
        let large = Record {
            leaf: vec![0; LEAF_BYTES_MAX + 1],
            sealed: Vec::new(),
        };
        assert_eq!(large.encode(), Err(DamagedRecord));
    }
}
