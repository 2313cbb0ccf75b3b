//! The tree of all heads: one leaf per slot, kept in memory, changed in place.
//!
//! A tenant and environment has the same slot in every epoch, so that one epoch
//! cannot show two heads for it. The tree has the shape of RFC 6962 for any
//! number of slots: the index is the slot, the size is the number of slots, and
//! any RFC 6962 verifier checks its inclusion proofs. It is not append-only.
//!
//! Each level holds the roots of its complete subtrees, 64 bytes per slot in all.
//! A change is made in two steps, so that what was not published does not show:
//! [`Heads::prepare`] computes it, [`Heads::apply`] makes it, after the epoch was signed.

use tlog_tiles::{
    Error, Hash as TlogHash, HashReader, prove_record, split_stored_hash_index, tree_hash,
};

use crate::Hash;

/// Most slots, one per tenant and environment.
pub const SLOTS_MAX: u64 = 1 << 32;

/// Room kept free beyond the present slots: an eighth, instead of as much again.
const SPARE_DIVISOR: usize = 8;

/// Why heads cannot be changed or proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadsError {
    /// A new slot does not follow the last one, or there are too many.
    #[error("slot {0} does not follow the last one")]
    Gap(u64),
    /// One change names a slot twice.
    #[error("slot {0} is changed twice")]
    Twice(u64),
    /// There is no such slot.
    #[error("there is no slot {0}")]
    Unknown(u64),
    /// The heads have changed since the change was prepared.
    #[error("the heads have changed meanwhile")]
    Stale,
}

/// The heads of all tenants' logs.
#[derive(Debug)]
pub struct Heads {
    /// `levels[h][i]` is the root of the complete subtree of `2^h` slots from `i * 2^h`.
    levels: Vec<Vec<Hash>>,
    root: Hash,
    /// How often the tree was changed.
    version: u64,
}

/// A change that was computed and not made yet.
#[derive(Debug)]
pub struct NextHeads {
    /// The nodes that differ, per level, by index.
    levels: Vec<Vec<(u64, Hash)>>,
    slots: u64,
    root: Hash,
    version: u64,
}

impl NextHeads {
    /// How many slots there will be.
    #[must_use]
    pub const fn slots(&self) -> u64 {
        self.slots
    }

    /// The root that there will be.
    #[must_use]
    pub const fn root(&self) -> Hash {
        self.root
    }
}

impl Heads {
    /// The tree over `leaf_hashes`, by slot from 0 ([`Head::leaf_hash`](crate::Head::leaf_hash)).
    #[must_use]
    pub fn new(leaf_hashes: Vec<Hash>) -> Self {
        let mut levels = Vec::new();
        let mut level = leaf_hashes;
        while !level.is_empty() {
            let (pairs, _) = level.as_chunks::<2>();
            let above = pairs
                .iter()
                .map(|[left, right]| Hash::of_node(*left, *right));
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        let mut heads = Self {
            levels,
            root: Hash::EMPTY,
            version: 0,
        };
        heads.root = root(heads.slots(), &heads);
        heads
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.levels.first().map_or(0, |slots| slots.len() as u64)
    }

    /// The root over all slots.
    #[must_use]
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// The leaf hash of `slot`; `None` if there is no such slot.
    pub(crate) fn leaf(&self, slot: u64) -> Option<Hash> {
        self.node(0, slot)
    }

    /// The inclusion proof of `slot`.
    ///
    /// # Errors
    /// [`HeadsError::Unknown`].
    pub fn prove(&self, slot: u64) -> Result<Vec<Hash>, HeadsError> {
        let proof =
            prove_record(self.slots(), slot, self).map_err(|_| HeadsError::Unknown(slot))?;
        Ok(proof.into_iter().map(Hash::from).collect())
    }

    /// Computes what changes when each slot gets the leaf hash beside it. New slots
    /// follow the last one without a gap; the order of `changes` does not matter.
    ///
    /// # Errors
    /// [`HeadsError::Gap`] or [`HeadsError::Twice`].
    pub fn prepare(&self, changes: &[(u64, Hash)]) -> Result<NextHeads, HeadsError> {
        let mut changed = changes.to_vec();
        changed.sort_unstable_by_key(|(slot, _)| *slot);
        let slots = self.slots_after(&changed)?;
        let mut next = NextHeads {
            levels: Vec::new(),
            slots,
            root: Hash::EMPTY,
            version: self.version,
        };
        let mut nodes = slots;
        while nodes > 0 {
            next.levels.push(changed);
            nodes /= 2;
            changed = Changed {
                heads: self,
                next: &next,
            }
            .parents(nodes);
        }
        next.root = root(
            slots,
            &Changed {
                heads: self,
                next: &next,
            },
        );
        Ok(next)
    }

    /// Makes a prepared change.
    ///
    /// # Errors
    /// [`HeadsError::Stale`] when another change was made since; then nothing changes.
    pub fn apply(&mut self, next: NextHeads) -> Result<(), HeadsError> {
        if next.version != self.version {
            return Err(HeadsError::Stale);
        }
        self.levels.resize_with(next.levels.len(), Vec::new);
        for (level, changed) in self.levels.iter_mut().zip(next.levels) {
            for (index, hash) in changed {
                match usize::try_from(index).ok().and_then(|at| level.get_mut(at)) {
                    Some(node) => *node = hash,
                    None => push(level, hash),
                }
            }
        }
        self.root = next.root;
        self.version += 1;
        Ok(())
    }

    fn slots_after(&self, sorted: &[(u64, Hash)]) -> Result<u64, HeadsError> {
        let mut slots = self.slots();
        let mut before = None;
        for (slot, _) in sorted {
            if before == Some(*slot) {
                return Err(HeadsError::Twice(*slot));
            }
            if *slot > slots || *slot >= SLOTS_MAX {
                return Err(HeadsError::Gap(*slot));
            }
            slots = slots.max(*slot + 1);
            before = Some(*slot);
        }
        Ok(slots)
    }
}

/// Appends without doubling the room that a large level takes.
fn push(level: &mut Vec<Hash>, hash: Hash) {
    if level.len() == level.capacity() {
        level.reserve_exact(level.len() / SPARE_DIVISOR + 1);
    }
    level.push(hash);
}

/// A tree's nodes: the roots of its complete subtrees.
trait Nodes {
    fn node(&self, level: u8, index: u64) -> Option<Hash>;
}

impl Nodes for Heads {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let index = usize::try_from(index).ok()?;
        self.levels.get(usize::from(level))?.get(index).copied()
    }
}

/// The tree as it will be.
struct Changed<'a> {
    heads: &'a Heads,
    next: &'a NextHeads,
}

impl Changed<'_> {
    /// The changed nodes above those of the highest level so far; there are `nodes` above it.
    fn parents(&self, nodes: u64) -> Vec<(u64, Hash)> {
        let Some(below) = self.next.levels.last() else {
            return Vec::new();
        };
        let level = u8::try_from(self.next.levels.len() - 1).unwrap_or(u8::MAX);
        let siblings = below.chunk_by(|(left, _), (right, _)| left / 2 == right / 2);
        siblings
            .filter_map(|changed| {
                let parent = changed.first()?.0 / 2;
                let child = |index| {
                    let own = changed.iter().find(|(at, _)| *at == index);
                    own.map(|(_, hash)| *hash)
                        .or_else(|| self.heads.node(level, index))
                };
                let hash = Hash::of_node(child(2 * parent)?, child(2 * parent + 1)?);
                (parent < nodes).then_some((parent, hash))
            })
            .collect()
    }
}

impl Nodes for Changed<'_> {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let changed = self.next.levels.get(usize::from(level))?;
        match changed.binary_search_by_key(&index, |(at, _)| *at) {
            Ok(at) => changed.get(at).map(|(_, hash)| *hash),
            Err(_) => self.heads.node(level, index),
        }
    }
}

struct Reader<'a, N>(&'a N);

impl<N: Nodes> HashReader for Reader<'_, N> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TlogHash>, Error> {
        let node = |index: &u64| {
            let (level, n) = split_stored_hash_index(*index);
            self.0.node(level, n).map(TlogHash::from)
        };
        let hashes: Option<Vec<TlogHash>> = indexes.iter().map(node).collect();
        hashes.ok_or(Error::IndexesNotInTree)
    }
}

impl HashReader for Heads {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TlogHash>, Error> {
        Reader(self).read_hashes(indexes)
    }
}

/// The root of `slots` leaves; the nodes of a tree are always all there.
fn root(slots: u64, nodes: &impl Nodes) -> Hash {
    tree_hash(slots, &Reader(nodes)).map_or(Hash::EMPTY, Hash::from)
}
