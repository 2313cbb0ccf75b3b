//! What the tree says of the records that are being read.

use store::StoreError;

use super::{Audit, logs::Log};
use crate::{
    Hash,
    log::{Ask, LogState, TILE_WIDTH},
};

const WIDTH: u64 = TILE_WIDTH as u64;

/// The leaf hashes of a log around the records that were read last. They are read by whole
/// tiles, because a tile is checked as a whole, and records that are scattered share it.
pub(super) struct Leaves<'a> {
    log: &'a Log,
    state: &'a LogState,
    from: u64,
    hashes: Vec<Hash>,
}

impl<'a> Leaves<'a> {
    pub(super) const fn new(log: &'a Log, state: &'a LogState) -> Self {
        Self {
            log,
            state,
            from: 0,
            hashes: Vec::new(),
        }
    }

    /// Whose leaves these are.
    pub(super) const fn log(&self) -> &'a Log {
        self.log
    }

    /// How many leaves the tree has.
    pub(super) const fn size(&self) -> u64 {
        self.state.size()
    }

    /// The hash of the leaf `index` that is held; `None` if the tree does not have it.
    pub(super) fn get(&self, index: u64) -> Option<Hash> {
        let at = usize::try_from(index.checked_sub(self.from)?).ok()?;
        self.hashes.get(at).copied()
    }

    /// Holds the leaves `from..to`, as far as the tree has them.
    pub(super) async fn hold(
        &mut self,
        audit: &Audit,
        from: u64,
        to: u64,
    ) -> Result<(), StoreError> {
        let to = to.min(self.state.size());
        let held = self.from + self.hashes.len() as u64;
        if from >= to || (self.from <= from && to <= held) {
            return Ok(());
        }
        let from = from - from % WIDTH;
        let to = to.next_multiple_of(WIDTH).min(self.state.size());
        let ask = Ask::Leaves { from, to };
        self.hashes = audit.prove(self.log, self.state, ask).await?;
        self.from = from;
        Ok(())
    }
}
