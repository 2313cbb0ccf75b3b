//! Proofs in two steps: which stored tiles are needed, and the proof that they give.

use std::{cell::RefCell, collections::HashMap};

use tlog_tiles::{
    Error, Hash as TlogHash, HashReader, prove_record, prove_tree, stored_hash_index,
    sub_tree_index,
};

use super::{
    LogError, LogState, Tile, TileId,
    tile::{TILE_HEIGHT, TILE_WIDTH, bytes_of},
};
use crate::Hash;

/// What to prove or read. Indexes count leaves from 0; sizes are at most the log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The inclusion proof of leaf `index` in the log as it was at `size` (RFC 6962, 2.1.1).
    Inclusion {
        /// The leaf.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The consistency proof from `old` to `size` (RFC 6962, 2.1.2).
    Consistency {
        /// The smaller size, at least 1.
        old: u64,
        /// The larger one.
        size: u64,
    },
    /// The hashes of a [`Frontier`](super::Frontier) of `size` leaves; its root is the log's at that size.
    Frontier {
        /// The size of the tree.
        size: u64,
    },
    /// The hashes of the leaves `from..to`.
    Leaves {
        /// The first leaf.
        from: u64,
        /// The leaf after the last.
        to: u64,
    },
}

/// Stored tiles that were read for a proof.
#[derive(Debug, Default)]
pub struct StoredTiles(HashMap<TileId, Tile>);

impl StoredTiles {
    /// Adds one.
    pub fn insert(&mut self, tile: Tile) {
        self.0.insert(tile.id, tile);
    }
}

impl FromIterator<Tile> for StoredTiles {
    fn from_iter<T: IntoIterator<Item = Tile>>(tiles: T) -> Self {
        Self(tiles.into_iter().map(|tile| (tile.id, tile)).collect())
    }
}

impl LogState {
    /// The stored tiles that answering `ask` takes; none for a small log.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`].
    pub fn needs(&self, ask: Ask) -> Result<Vec<TileId>, LogError> {
        let tiles = Tiles::new(self, None);
        // Without tiles the answer fails, after all of them were asked for.
        match tiles.answer(ask) {
            Err(LogError::OutOfRange) => Err(LogError::OutOfRange),
            _ => Ok(tiles.missing.into_inner()),
        }
    }

    /// Answers `ask` from this state and the tiles that [`Self::needs`] named.
    ///
    /// Everything returned was checked against the root of this state.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`], [`LogError::TileMissing`], or [`LogError::Damaged`].
    pub fn prove(&self, ask: Ask, stored: &StoredTiles) -> Result<Vec<Hash>, LogError> {
        let tiles = Tiles::new(self, Some(stored));
        let answer = tiles.answer(ask);
        match tiles.missing.into_inner().first() {
            Some(missing) => Err(LogError::TileMissing(*missing)),
            None => answer,
        }
    }
}

/// The tiles of a log: its state holds the partial ones, `stored` the full ones.
struct Tiles<'a> {
    state: &'a LogState,
    /// `None` while finding out what is needed.
    stored: Option<&'a StoredTiles>,
    /// The full tiles that are not here.
    missing: RefCell<Vec<TileId>>,
    /// The tiles that hash to the state's root.
    checked: RefCell<HashMap<TileId, Vec<u8>>>,
}

impl<'a> Tiles<'a> {
    fn new(state: &'a LogState, stored: Option<&'a StoredTiles>) -> Self {
        Self {
            state,
            stored,
            missing: RefCell::default(),
            checked: RefCell::default(),
        }
    }

    fn answer(&self, ask: Ask) -> Result<Vec<Hash>, LogError> {
        let size = self.state.size();
        let within = match ask {
            Ask::Inclusion { index, size: at } => index < at && at <= size,
            Ask::Consistency { old, size: at } => (1..=at).contains(&old) && at <= size,
            Ask::Frontier { size: at } => at <= size,
            Ask::Leaves { from, to } => from <= to && to <= size,
        };
        if !within {
            return Err(LogError::OutOfRange);
        }
        let hashes = match ask {
            Ask::Inclusion { index, size } => prove_record(size, index, self),
            Ask::Consistency { old, size } => prove_tree(size, old, self),
            Ask::Frontier { size } => self.read_hashes(&sub_tree_index(0, size, Vec::new())),
            Ask::Leaves { from, to } => {
                let indexes: Vec<u64> = (from..to).map(|leaf| stored_hash_index(0, leaf)).collect();
                self.read_hashes(&indexes)
            }
        };
        let hashes = hashes.map_err(|_| LogError::Damaged)?;
        Ok(hashes.into_iter().map(Hash::from).collect())
    }

    /// Sees to it that a full tile is here and hashes to the root: the hash of its
    /// subtree stands in the tile above, which is full too, or part of the state.
    ///
    /// `tlog_tiles::TileHashReader` is not used for this: it skips the check of some
    /// tiles when several subtrees of the right edge share one.
    fn check(&self, id: TileId) -> Result<(), Error> {
        if self.checked.borrow().contains_key(&id) || self.missing.borrow().contains(&id) {
            return Ok(());
        }
        let above = TileId {
            level: id.level + 1,
            index: id.index / TILE_WIDTH as u64,
        };
        let place = usize::try_from(id.index % TILE_WIDTH as u64).map_err(|_| Error::BadMath)?;
        if self.is_full(above) {
            self.check(above)?;
        }
        let Some(tile) = self.stored.and_then(|stored| stored.0.get(&id)) else {
            self.missing.borrow_mut().push(id);
            return Ok(());
        };
        let bytes = tile.encode();
        let root = Hash::from(tlog_tiles::Tile::subtree_hash(&bytes));
        let expected = if self.is_full(above) {
            self.checked_hash(above, place)
        } else {
            let edge = self.state.partial(above.level);
            edge.and_then(|edge| edge.get(place)).copied()
        };
        // With the tile above missing there is nothing to compare with, and no answer either.
        let unknown = expected.is_none() && self.missing.borrow().contains(&above);
        if expected != Some(root) && !unknown {
            return Err(Error::InconsistentTile);
        }
        self.checked.borrow_mut().insert(id, bytes);
        Ok(())
    }

    fn checked_hash(&self, id: TileId, place: usize) -> Option<Hash> {
        let checked = self.checked.borrow();
        let (hashes, _) = checked.get(&id)?.as_chunks();
        hashes.get(place).copied().map(Hash::from_bytes)
    }

    fn is_full(&self, id: TileId) -> bool {
        let height = u32::from(TILE_HEIGHT) * (u32::from(id.level) + 1);
        self.state.size() >> height > id.index
    }

    /// One hash of the tree, `None` if its tile is not here.
    fn hash(&self, index: u64) -> Result<Option<TlogHash>, Error> {
        let tile = tlog_tiles::Tile::from_index(TILE_HEIGHT, index);
        let id = TileId {
            level: tile.level(),
            index: tile.level_index(),
        };
        if self.is_full(id) {
            self.check(id)?;
        } else {
            self.take_edge(id)?;
        }
        let checked = self.checked.borrow();
        let bytes = checked.get(&id);
        bytes
            .map(|bytes| tile.hash_at_index(bytes, index))
            .transpose()
    }

    /// Sees to it that a partial tile is here; it is part of the state, which hashes to the root.
    fn take_edge(&self, id: TileId) -> Result<(), Error> {
        if !self.checked.borrow().contains_key(&id) {
            let edge = self.state.partial(id.level);
            let edge = edge.ok_or(Error::IndexesNotInTree)?;
            self.checked.borrow_mut().insert(id, bytes_of(edge));
        }
        Ok(())
    }
}

impl HashReader for Tiles<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TlogHash>, Error> {
        // All are asked for before one that is missing is told of.
        let found: Result<Vec<Option<TlogHash>>, Error> =
            indexes.iter().map(|index| self.hash(*index)).collect();
        let all: Option<Vec<TlogHash>> = found?.into_iter().collect();
        all.ok_or(Error::InvalidTile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(size: u64) -> (LogState, Vec<Tile>) {
        let hashes: Vec<Hash> = (0..size).map(|n| Hash::of_leaf(&n.to_be_bytes())).collect();
        let mut state = LogState::empty();
        let tiles = state.append(&hashes).unwrap();
        (state, tiles)
    }

    #[test]
    fn a_small_log_needs_no_stored_tile() {
        let (state, tiles) = log(255);
        assert!(tiles.is_empty());
        let ask = Ask::Inclusion {
            index: 7,
            size: 200,
        };
        assert_eq!(state.needs(ask), Ok(Vec::new()));
        assert!(state.prove(ask, &StoredTiles::default()).is_ok());
    }

    #[test]
    fn a_missing_tile_is_named_and_a_damaged_one_noticed() {
        let (state, mut tiles) = log(600);
        let ask = Ask::Inclusion {
            index: 7,
            size: 600,
        };
        let needed = state.needs(ask).unwrap();
        assert_eq!(needed, [TileId { level: 0, index: 0 }]);
        let none = state.prove(ask, &StoredTiles::default());
        assert_eq!(none, Err(LogError::TileMissing(needed[0])));
        tiles[0].hashes[200] = Hash::EMPTY;
        let damaged = state.prove(ask, &tiles.into_iter().collect());
        assert_eq!(damaged, Err(LogError::Damaged));
    }

    #[test]
    fn what_the_log_does_not_have_is_out_of_range() {
        let (state, _) = log(5);
        for ask in [
            Ask::Inclusion { index: 5, size: 5 },
            Ask::Inclusion { index: 0, size: 6 },
            Ask::Consistency { old: 0, size: 5 },
            Ask::Consistency { old: 5, size: 4 },
            Ask::Frontier { size: 6 },
            Ask::Leaves { from: 2, to: 6 },
        ] {
            assert_eq!(state.needs(ask), Err(LogError::OutOfRange));
            let proof = state.prove(ask, &StoredTiles::default());
            assert_eq!(proof, Err(LogError::OutOfRange));
        }
        let empty = LogState::empty();
        let nothing = empty.prove(Ask::Frontier { size: 0 }, &StoredTiles::default());
        assert_eq!(nothing, Ok(Vec::new()));
    }
}
