//! Hashes of nodes, states and commits.
//!
//! All are SHA-256, over one byte that says of what, and then:
//!
//! | of | byte | over |
//! | --- | --- | --- |
//! | a node | `00` | its canonical JSON (RFC 8785) `{"id","order","parent","props","type"}` |
//! | a bucket | `01` | the hashes of its nodes, ascending: the nodes whose hash begins with the byte `b` |
//! | a state | `02` | the hashes of the 256 buckets, `b` from 0 to 255 |
//! | a commit | `03` | its canonical JSON without `commit_hash` |
//! | a part of a replay | `04` | its bytes in the file |
//! | a replay | `05` | the bytes of its footer |
//!
//! So a change of one node costs its own hash, two buckets and the 8 KiB of the state, however many
//! nodes there are; and whoever has the nodes can make the hash in a few lines.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

const OF_NODE: u8 = 0;
const OF_BUCKET: u8 = 1;
const OF_STATE: u8 = 2;
const OF_COMMIT: u8 = 3;
const OF_REPLAY_PART: u8 = 4;
const OF_REPLAY: u8 = 5;
const BUCKETS: usize = 256;

/// A SHA-256; written as 64 small hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Digest([u8; 32]);

/// A text is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the 64 small hex digits of a SHA-256")]
pub struct InvalidDigest;

impl Digest {
    /// What precedes the first commit.
    pub const ZERO: Self = Self([0; 32]);

    pub(super) fn of_node(canonical: &[u8]) -> Self {
        Self::of(OF_NODE, [canonical])
    }

    pub(crate) fn of_commit(canonical: &[u8]) -> Self {
        Self::of(OF_COMMIT, [canonical])
    }

    pub(crate) fn of_replay_part(bytes: &[u8]) -> Self {
        Self::of(OF_REPLAY_PART, [bytes])
    }

    pub(crate) fn of_replay_manifest(footer: &[u8]) -> Self {
        Self::of(OF_REPLAY, [footer])
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash over parts that cannot run into each other, for names that are made from several.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Self {
        let lengths: Vec<[u8; 8]> = parts
            .iter()
            .map(|p| (p.len() as u64).to_be_bytes())
            .collect();
        let pairs = lengths.iter().zip(parts);
        Self::of(
            u8::MAX,
            pairs.flat_map(|(length, part)| [length.as_slice(), part]),
        )
    }

    /// The first half, which is enough to tell events apart.
    pub(crate) fn half(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.iter_mut()
            .zip(self.0)
            .for_each(|(to, from)| *to = from);
        half
    }

    fn of<'a>(what: u8, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        hash.update([what]);
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(InvalidDigest),
        };
        if text.len() != 64 {
            return Err(InvalidDigest);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let [high, low] = pair else {
                return Err(InvalidDigest);
            };
            *byte = (digit(*high)? << 4) | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<SmolStr> for Digest {
    type Error = InvalidDigest;
    fn try_from(text: SmolStr) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<Digest> for SmolStr {
    fn from(hash: Digest) -> SmolStr {
        SmolStr::new(hash.to_string())
    }
}

/// The hashes of a state's nodes, in their buckets.
#[derive(Debug, Clone)]
pub(super) struct Buckets(Vec<Arc<Bucket>>);

#[derive(Debug, Clone, Default)]
struct Bucket {
    nodes: Vec<Digest>,
    /// `None` after a change.
    hash: Option<Digest>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self(vec![Arc::default(); BUCKETS])
    }
}

impl Buckets {
    pub(super) fn insert(&mut self, node: Digest) {
        if let Some(bucket) = self.of(&node)
            && let Err(at) = bucket.nodes.binary_search(&node)
        {
            bucket.nodes.insert(at, node);
        }
    }

    pub(super) fn remove(&mut self, node: &Digest) {
        if let Some(bucket) = self.of(node)
            && let Ok(at) = bucket.nodes.binary_search(node)
        {
            bucket.nodes.remove(at);
        }
    }

    /// The bucket of a node, about to be changed.
    fn of(&mut self, node: &Digest) -> Option<&mut Bucket> {
        let [first, ..] = node.0;
        let bucket = Arc::make_mut(self.0.get_mut(usize::from(first))?);
        bucket.hash = None;
        Some(bucket)
    }

    /// The hash of the state.
    pub(super) fn root(&mut self) -> Digest {
        for bucket in &mut self.0 {
            if bucket.hash.is_none() {
                let bucket = Arc::make_mut(bucket);
                let nodes = bucket.nodes.iter().map(|node| node.0.as_slice());
                bucket.hash = Some(Digest::of(OF_BUCKET, nodes));
            }
        }
        let hashes: Vec<Digest> = self.0.iter().filter_map(|bucket| bucket.hash).collect();
        Digest::of(OF_STATE, hashes.iter().map(|hash| hash.0.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_spelling() {
        let hash = Digest::of_node(b"{}");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        let upper = hash.to_string().to_uppercase();
        for bad in ["", "ab", &upper, &"+a".repeat(32)] {
            assert_eq!(bad.parse::<Digest>(), Err(InvalidDigest), "{bad}");
        }
    }

    #[test]
    fn a_state_has_the_hash_of_its_nodes_however_they_came() {
        let nodes: Vec<Digest> = (0_u32..3000)
            .map(|n| Digest::of_node(&n.to_be_bytes()))
            .collect();
        let (mut one, mut other) = (Buckets::default(), Buckets::default());
        nodes.iter().for_each(|node| one.insert(*node));
        let _ = one.root();
        nodes.iter().rev().for_each(|node| other.insert(*node));
        let gone = Digest::of_node(b"gone");
        other.insert(gone);
        assert_ne!(one.root(), other.root());
        other.remove(&gone);
        assert_eq!(one.root(), other.root());
        // By hand, as a stranger would.
        let mut sorted = nodes;
        sorted.sort();
        let buckets: Vec<Digest> = (0..=255)
            .map(|first| {
                let of = sorted.iter().filter(|node| node.0[0] == first);
                Digest::of(1, of.map(|node| node.0.as_slice()))
            })
            .collect();
        let state = Digest::of(2, buckets.iter().map(|bucket| bucket.0.as_slice()));
        assert_eq!(one.root(), state);
    }
}
