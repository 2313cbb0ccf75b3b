//! A reservation: a slice that pays for one write, or for none.

use std::sync::Arc;

use identity::Timestamp;
use store::{Batch, DocKey, Version};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    counter::Slice,
    pool::{Lane, Pool},
};
use crate::stored;

/// What is reserved of a budget. Dropped without a write it goes back, whole.
pub(crate) struct Claim {
    pool: Arc<Pool>,
    lane: Option<Lane>,
    cost: u64,
    ends: Option<Timestamp>,
    _turn: OwnedSemaphorePermit,
}

impl Claim {
    pub(super) fn new(
        pool: Arc<Pool>,
        lane: Lane,
        cost: u64,
        ends: Option<Timestamp>,
        turn: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            pool,
            lane: Some(lane),
            cost,
            ends,
            _turn: turn,
        }
    }

    /// The document that the write has to rewrite.
    pub(crate) fn key(&self) -> Option<&DocKey> {
        self.lane.as_ref().map(|lane| &lane.key)
    }

    /// Adds the payment to the batch of the write.
    ///
    /// # Errors
    /// Why the slice cannot be written as JSON.
    pub(crate) fn pay(&self, batch: Batch) -> Result<Batch, String> {
        let Some(lane) = &self.lane else {
            return Ok(batch);
        };
        let after = Slice {
            granted: lane.granted,
            spent: lane.spent.saturating_add(self.cost),
        };
        let batch = batch.expect_version(&lane.key, lane.version);
        stored::put(batch, &lane.key, &after, self.ends)
    }

    /// The write was done, in the state `version`.
    pub(crate) fn settle(mut self, version: Version, now: Timestamp) {
        if let Some(lane) = &mut self.lane {
            lane.version = version;
            lane.spent = lane.spent.saturating_add(self.cost);
            lane.used_at = now;
        }
    }

    /// Nobody knows whether the write was done, or the slice is not ours any more:
    /// it is left to its lease.
    pub(crate) fn abandon(mut self) {
        self.lane = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.pool.put_back(lane);
        }
    }
}
