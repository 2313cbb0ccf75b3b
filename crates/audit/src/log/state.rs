//! The state of a log: its size, its root and its partial tiles.

use super::{Frontier, LogError, TILE_WIDTH, Tile, TileId, tile};
use crate::{Hash, LOG_SIZE_MAX, hash::HASH_BYTES};

const VERSION: u8 = 1;

/// All that a writer needs of a log.
///
/// Stored as `0x01 | size u64 | root | partial tiles from level 0 up`, numbers
/// big-endian; the width of each partial tile follows from the size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogState {
    frontier: Frontier,
    /// The partial tile of each level that has hashes; full ones were handed out to be stored.
    edge: Vec<Vec<Hash>>,
}

impl LogState {
    /// A log without records.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// How many records the log has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over all records.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Appends leaf hashes in order, and returns the tiles that became full.
    ///
    /// Store them together with the new state, in one batch. The state is
    /// changed at once: to try without consequence, append to a clone.
    ///
    /// # Errors
    /// [`LogError::Full`]; then nothing was appended.
    pub fn append(&mut self, leaf_hashes: &[Hash]) -> Result<Vec<Tile>, LogError> {
        let more = u64::try_from(leaf_hashes.len()).map_err(|_| LogError::Full)?;
        if self.size().saturating_add(more) > LOG_SIZE_MAX {
            return Err(LogError::Full);
        }
        let mut full = Vec::new();
        for hash in leaf_hashes {
            let edge = &mut self.edge;
            let size = self.frontier.size() + 1;
            full.extend(place(edge, size, 0, *hash));
            self.frontier.push_and(*hash, |height, hash| {
                if height.is_multiple_of(u32::from(tile::TILE_HEIGHT)) {
                    let level = height / u32::from(tile::TILE_HEIGHT);
                    full.extend(place(edge, size, level, hash));
                }
            });
        }
        Ok(full)
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.size().to_be_bytes());
        bytes.extend(self.root().as_bytes());
        for tile in &self.edge {
            bytes.extend(tile::bytes_of(tile));
        }
        bytes
    }

    /// Reads stored bytes, and checks that they hash to the root among them.
    ///
    /// # Errors
    /// [`LogError::Damaged`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let (version, rest) = bytes.split_first().ok_or(LogError::Damaged)?;
        let (size, rest) = rest.split_first_chunk().ok_or(LogError::Damaged)?;
        let (root, mut rest) = rest
            .split_first_chunk::<HASH_BYTES>()
            .ok_or(LogError::Damaged)?;
        let size = u64::from_be_bytes(*size);
        if *version != VERSION || size > LOG_SIZE_MAX {
            return Err(LogError::Damaged);
        }
        let mut edge = Vec::new();
        for level in levels(size) {
            let width = width(size, level).ok_or(LogError::Damaged)?;
            let (tile, after) = rest
                .split_at_checked(width * HASH_BYTES)
                .ok_or(LogError::Damaged)?;
            edge.push(tile::hashes_of(tile).ok_or(LogError::Damaged)?);
            rest = after;
        }
        let hashes = edge.iter().rev().flat_map(|tile| subtrees(tile)).collect();
        let frontier = Frontier::from_parts(size, hashes).ok_or(LogError::Damaged)?;
        if !rest.is_empty() || frontier.root().as_bytes() != root {
            return Err(LogError::Damaged);
        }
        Ok(Self { frontier, edge })
    }

    /// The partial tile of `level`.
    pub(super) fn partial(&self, level: u8) -> Option<&[Hash]> {
        self.edge.get(usize::from(level)).map(Vec::as_slice)
    }
}

/// Puts `hash` at the end of `level`; a tile that becomes full leaves the edge.
fn place(edge: &mut Vec<Vec<Hash>>, size: u64, level: u32, hash: Hash) -> Option<Tile> {
    let at = usize::try_from(level).ok()?;
    if edge.len() == at {
        edge.push(Vec::new());
    }
    let partial = edge.get_mut(at)?;
    partial.push(hash);
    if partial.len() < TILE_WIDTH {
        return None;
    }
    let index = (size >> (u32::from(tile::TILE_HEIGHT) * (level + 1))) - 1;
    Some(Tile {
        id: TileId {
            level: u8::try_from(level).ok()?,
            index,
        },
        hashes: std::mem::take(partial),
    })
}

/// The levels of tiles in a log of `size`.
fn levels(size: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS / u32::from(tile::TILE_HEIGHT))
        .take_while(move |level| size >> (u32::from(tile::TILE_HEIGHT) * level) > 0)
}

/// How many hashes the partial tile of `level` holds.
fn width(size: u64, level: u32) -> Option<usize> {
    let hashes = usize::try_from(size >> (u32::from(tile::TILE_HEIGHT) * level)).ok()?;
    Some(hashes % TILE_WIDTH)
}

/// The hashes of the complete subtrees within a partial tile, the largest first.
fn subtrees(tile: &[Hash]) -> Vec<Hash> {
    let mut within = Frontier::default();
    for hash in tile {
        within.push(*hash);
    }
    within.hashes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(count: u64) -> Vec<Hash> {
        (0..count)
            .map(|n| Hash::of_leaf(&n.to_be_bytes()))
            .collect()
    }

    #[test]
    fn a_state_reads_back_at_every_size() {
        let mut state = LogState::empty();
        for hash in hashes(1000) {
            assert_eq!(LogState::decode(&state.encode()), Ok(state.clone()));
            state.append(&[hash]).unwrap();
        }
    }

    #[test]
    fn tiles_leave_the_edge_when_they_are_full() {
        let mut state = LogState::empty();
        let full = state.append(&hashes(65_536)).unwrap();
        let ids: Vec<TileId> = full.iter().map(|tile| tile.id).collect();
        let expected: Vec<TileId> = (0..256).map(|index| TileId { level: 0, index }).collect();
        assert_eq!(ids[..256], expected);
        assert_eq!(ids[256..], [TileId { level: 1, index: 0 }]);
        assert_eq!(state.encode().len(), 1 + 8 + 32 + 32);
    }

    #[test]
    fn one_batch_or_many_give_the_same_log() {
        let all = hashes(700);
        let mut whole = LogState::empty();
        let tiles = whole.append(&all).unwrap();
        let mut parts = LogState::empty();
        let mut collected = Vec::new();
        for part in all.chunks(37) {
            collected.extend(parts.append(part).unwrap());
        }
        assert_eq!((whole, tiles), (parts, collected));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut state = LogState::empty();
        state.append(&hashes(259)).unwrap();
        let bytes = state.encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(LogState::decode(&flipped), Err(LogError::Damaged));
            }
            assert_eq!(LogState::decode(&bytes[..at]), Err(LogError::Damaged));
        }
    }
}
