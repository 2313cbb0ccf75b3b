//! The right edge of a tree: what is needed to append, and to know the root.

use crate::{Hash, LOG_SIZE_MAX};

/// The hashes of the complete subtrees of a tree, the largest first: one per bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of `size` leaves; `None` unless there is one hash per bit of `size`.
    #[must_use]
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        let bits = usize::try_from(size.count_ones()).ok()?;
        (size <= LOG_SIZE_MAX && hashes.len() == bits).then_some(Self { size, hashes })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes, the largest subtree first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Appends one leaf.
    pub fn push(&mut self, leaf_hash: Hash) {
        self.push_and(leaf_hash, |_, _| {});
    }

    /// Appends one leaf, and tells of each subtree of two leaves or more that it
    /// completes: its height, and its hash.
    pub(super) fn push_and(&mut self, leaf_hash: Hash, mut completed: impl FnMut(u32, Hash)) {
        let mut hash = leaf_hash;
        let heights = self.size.trailing_ones();
        for height in 1..=heights {
            if let Some(left) = self.hashes.pop() {
                hash = Hash::of_node(left, hash);
                completed(height, hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let Some((last, rest)) = self.hashes.split_last() else {
            return Hash::EMPTY;
        };
        rest.iter()
            .rfold(*last, |right, left| Hash::of_node(*left, right))
    }
}
