//! An RFC 6962 log over leaf hashes, kept as tiles of 256.
//!
//! Start at [`LogState`]: it is all that a writer needs of a log, and it is
//! small. A log of a few records is one state of a few hundred bytes; each full
//! tile becomes a row of its own, written once. Proofs are made from the state
//! and a few stored tiles in two steps: [`LogState::needs`] says which tiles
//! to read, [`LogState::prove`] makes the proof of them. The proofs are made and
//! checked by `tlog_tiles`; nothing here knows their layout.
//!
//! **Invariant:** what is proved comes from tiles that hash to the state's root.

mod frontier;
mod proof;
mod read;
mod state;
mod tile;

pub use frontier::Frontier;
pub use proof::{InvalidProof, PROOF_HASHES_MAX, verify_consistency, verify_inclusion};
pub use read::{Ask, StoredTiles};
pub use state::LogState;
pub use tile::{TILE_BYTES, TILE_WIDTH, Tile, TileId};

/// Why a log cannot do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The log, or the question, exceeds the largest log.
    #[error("the log is full")]
    Full,
    /// The question is about records that the log does not have.
    #[error("the log has no such record")]
    OutOfRange,
    /// A stored tile is needed that was not given.
    #[error("tile {0} is missing")]
    TileMissing(TileId),
    /// Tiles or a stored state do not hash to the log's root.
    #[error("the stored tiles of the log are damaged")]
    Damaged,
}
