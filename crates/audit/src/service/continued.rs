//! Whether the stream of a log still holds what its tree does.
//!
//! An engine that lost its data begins every stream anew: what is appended then takes the places of
//! records that were acknowledged and signed. Another epoch of the stream says that this may have happened.
//!
//! **Invariant:** of several nodes, none acknowledges or integrates a record before it has seen the last
//! record of the tree in a stream of the same epoch.

use store::{Epoch, StoreError};

use super::{Audit, ReadError, follow::unreadable, leaves::Leaves, logs::Log};

impl Audit {
    /// Looks for the last record of the tree in the stream, unless that was done in this epoch already.
    /// Freezes when it is not there. Alone over its store a node has the stream to itself.
    pub(super) async fn continues_in(&self, log: &Log, epoch: Epoch) -> Result<(), StoreError> {
        if self.nodes.is_none() || log.is_known_in(epoch) {
            return Ok(());
        }
        log.recent.forget();
        let head = self.head_of(log).await?;
        let size = head.state.size();
        let bounds = self.events.bounds(&log.records).await?;
        if bounds.head < size {
            let why = format!("{size} records are integrated, {} are stored", bounds.head);
            return Err(unreadable(self.tampered(log, bounds.head + 1, why)));
        }
        if size >= head.oldest() {
            let leaves = &mut Leaves::new(log, &head.state);
            match self.entries_after(leaves, size - 1, 1).await {
                // Retention was faster.
                Ok(_) | Err(ReadError::Removed { .. }) => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        log.know_in(bounds.epoch);
        Ok(())
    }
}
