//! Epochs: heads are stored, then an epoch is signed and stored over them.
//!
//! What fails may have happened nevertheless. So a head that may be stored is
//! looked at before an epoch is closed without it, and an epoch that may be stored
//! is stored again, the same, before another one is signed.

use identity::Timestamp;
use store::{Batch, CommitError, StoreError, Version};

use super::{Audit, anchor, publisher::AttemptError, stored::StoredHead};
use crate::{Hash, HeadsError};

/// Why no epoch was closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the audit log is frozen, or another node leads")]
    Frozen,
    #[error(transparent)]
    Heads(#[from] HeadsError),
    #[error(transparent)]
    Attempt(#[from] AttemptError),
}

impl Audit {
    /// Stores heads whose leaves the next epoch has to tell of.
    pub(super) async fn store_heads(
        &self,
        batch: Batch,
        leaves: Vec<(u32, Hash)>,
    ) -> Result<(), CommitError> {
        match self.commit(batch).await {
            Ok(_) => {
                let leaves = leaves.into_iter();
                self.publisher
                    .await_epoch(leaves.map(|(slot, leaf)| (slot.into(), leaf)));
                Ok(())
            }
            Err(error) => {
                if let CommitError::Store(_) = &error {
                    self.publisher.doubt(leaves);
                }
                Err(error)
            }
        }
    }

    /// Finds out what became of what failed; nothing new is begun before that.
    ///
    /// # Errors
    /// [`PublishError`] when it cannot be found out yet, or must not.
    pub(super) async fn settle(&self) -> Result<(), PublishError> {
        self.settle_epoch().await?;
        self.settle_heads().await
    }

    async fn settle_epoch(&self) -> Result<(), PublishError> {
        let followed = self.nodes.is_some();
        let Some((batch, value, note)) = self.publisher.attempted(&self.layout, followed)? else {
            return Ok(());
        };
        let version = match self.commit(batch).await {
            Ok(version) => version,
            Err(CommitError::Store(error)) => return Err(error.into()),
            Err(CommitError::Conflict(_)) => self.found_stored(&value).await?,
        };
        self.write_anchor(note).await;
        metrics::counter!("tenantry_audit_epochs_total").increment(1);
        Ok(self.publisher.finish(version)?)
    }

    /// The state of the last epoch, which is stored as it was signed.
    async fn found_stored(&self, signed: &[u8]) -> Result<Version, PublishError> {
        let stored = self.documents.get(&self.layout.latest_epoch()).await?;
        let version = stored.as_ref().map(|stored| stored.version);
        if self.frozen().is_some() {
            return Err(PublishError::Frozen);
        }
        match stored {
            Some(stored) if stored.value == signed => Ok(stored.version),
            _ if version == self.publisher.known().version => {
                let why = "the epoch is not stored yet".to_owned();
                Err(StoreError::Unavailable(why).into())
            }
            _ => {
                let why = "the stored epoch is not the one that was stored last";
                self.contradicted(why).await?;
                Err(PublishError::Frozen)
            }
        }
    }

    pub(super) async fn write_anchor(&self, note: String) {
        let Some(path) = self.config.anchor.clone() else {
            return;
        };
        let written = tokio::task::spawn_blocking(move || anchor::write(&path, &note)).await;
        if !matches!(written, Ok(Ok(()))) {
            metrics::counter!("tenantry_audit_anchor_failures_total").increment(1);
            tracing::error!("the anchor could not be written");
        }
    }

    async fn settle_heads(&self) -> Result<(), PublishError> {
        for (slot, attempted) in self.publisher.doubted() {
            let (head, version) = self.stored_head(slot).await?;
            let leaf = head.leaf(&head.said()).leaf_hash();
            if leaf == attempted {
                self.publisher.await_epoch([(slot.into(), leaf)]);
            } else if self.publisher.knows(&head) {
                // Written again, so that what failed cannot happen later.
                self.touch(&head, version).await?;
            } else {
                return Err(self.altered(&head).await?);
            }
            self.publisher.trust(slot);
        }
        Ok(())
    }

    async fn touch(&self, head: &StoredHead, version: Version) -> Result<(), StoreError> {
        let key = self.layout.head(head.slot);
        let batch = Batch::new().expect_version(&key, version);
        match self.commit(batch.put(&key, head.encode()?)).await {
            Ok(_) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
            Err(CommitError::Conflict(key)) => Err(StoreError::Unavailable(key.id)),
        }
    }

    /// Closes an epoch over the heads that wait, if there are any.
    ///
    /// The order is: store the heads, sign, store the note, tell. A note exists outside
    /// this process only after it is durable, and the anchor follows it.
    pub(super) async fn publish(&self) -> Result<(), PublishError> {
        self.settle().await?;
        let waiting = self.publisher.waiting();
        if waiting.is_empty() {
            return Ok(());
        }
        for slot in self.publisher.missing(&waiting) {
            self.enter_empty(slot).await?;
        }
        let waiting = self.publisher.waiting();
        self.attempt(waiting, self.clock.now())?;
        self.settle_epoch().await
    }

    fn attempt(
        &self,
        waiting: std::collections::HashMap<u64, Hash>,
        now: Timestamp,
    ) -> Result<(), PublishError> {
        if self.frozen().is_some() {
            return Err(PublishError::Frozen);
        }
        Ok(self.publisher.attempt(waiting, now)?)
    }

    /// Gives a log that has a slot and no records yet its place in the next epoch.
    async fn enter_empty(&self, slot: u64) -> Result<(), PublishError> {
        let slot = u32::try_from(slot).map_err(|_| StoreError::Limit("slot".to_owned()))?;
        let (mut head, version) = self.stored_head(slot).await?;
        if !self.publisher.knows(&head) {
            return Err(self.altered(&head).await?);
        }
        head.enter(self.publisher.next_epoch());
        let key = self.layout.head(slot);
        let batch = Batch::new().expect_version(&key, version);
        let leaf = head.leaf(&head.said()).leaf_hash();
        let stored = self.store_heads(batch.put(&key, head.encode()?), vec![(slot, leaf)]);
        stored.await.map_err(|error| match error {
            CommitError::Store(error) => error.into(),
            CommitError::Conflict(key) => StoreError::Unavailable(key.id).into(),
        })
    }

    /// A stored head is not the one that was stored last.
    async fn altered(&self, head: &StoredHead) -> Result<PublishError, StoreError> {
        let why = format!("{}: the stored head was altered", head.log);
        self.contradicted(why).await?;
        Ok(PublishError::Frozen)
    }

    async fn stored_head(&self, slot: u32) -> Result<(StoredHead, Version), StoreError> {
        let stored = self.documents.get(&self.layout.head(slot)).await?;
        let stored =
            stored.ok_or_else(|| StoreError::Corrupt(format!("slot {slot} has no head")))?;
        Ok((StoredHead::decode(&stored.value)?, stored.version))
    }
}
