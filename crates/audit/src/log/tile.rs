//! Tiles: 256 neighbouring hashes of one level, stored together once they are complete.

use std::fmt;

use crate::{Hash, hash::HASH_BYTES};

/// Levels of the tree in one tile.
pub(super) const TILE_HEIGHT: u8 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;
/// Length of a stored tile, in bytes.
pub const TILE_BYTES: usize = TILE_WIDTH * HASH_BYTES;

/// Names a full tile of a log: level 0 holds leaf hashes, level 1 the roots of
/// level-0 tiles, and so on (C2SP tlog-tiles).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// The level, 0 for leaf hashes.
    pub level: u8,
    /// The place within the level, from 0.
    pub index: u64,
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, self.index)
    }
}

/// A full tile; once written it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Which one.
    pub id: TileId,
    /// Its 256 hashes.
    pub(super) hashes: Vec<Hash>,
}

impl Tile {
    /// The bytes to store: the hashes, one after the other.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        bytes_of(&self.hashes)
    }

    /// Reads stored bytes; `None` unless there are [`TILE_BYTES`] of them.
    #[must_use]
    pub fn decode(id: TileId, bytes: &[u8]) -> Option<Self> {
        let hashes = hashes_of(bytes)?;
        (hashes.len() == TILE_WIDTH).then_some(Self { id, hashes })
    }

    /// The hashes; those of level 0 are leaf hashes.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

/// Hashes as bytes, one after the other.
pub(super) fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(hashes.len() * HASH_BYTES);
    for hash in hashes {
        bytes.extend_from_slice(hash.as_bytes());
    }
    bytes
}

/// The hashes in `bytes`; `None` if some byte is left over.
pub(super) fn hashes_of(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    rest.is_empty()
        .then(|| hashes.iter().copied().map(Hash::from_bytes).collect())
}
