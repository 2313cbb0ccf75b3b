//! Epochs: the tree of heads, the log of epochs, and the note that covers them.

use std::{collections::HashMap, sync::Arc};

use identity::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, StoreError, Version};
use tokio::sync::watch;

use super::{Audit, anchor, layout::Layout, stored::StoredHead};
use crate::{
    Checkpoint, Epoch, Hash, Head, Heads, HeadsError, Signers,
    log::{LogState, Tile, TileId, verify_inclusion},
};

/// The last epoch, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredEpoch {
    #[serde(with = "serde_bytes")]
    pub(super) leaf: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(super) log: Vec<u8>,
    pub(super) note: String,
}

/// What was published last.
pub(super) struct Published {
    pub(super) heads: Heads,
    pub(super) log: LogState,
    pub(super) epoch: Option<Epoch>,
    /// The state of the stored document, to notice that someone else publishes.
    pub(super) version: Option<Version>,
}

/// Keeps what was published, and what the next epoch will say.
pub(super) struct Publisher {
    signers: Signers,
    published: Mutex<Published>,
    /// Heads that are stored and in no epoch yet.
    waiting: Mutex<HashMap<u64, Hash>>,
    note: watch::Sender<Option<Arc<str>>>,
}

/// An epoch that is about to be published.
struct Next {
    heads: crate::NextHeads,
    epoch: Epoch,
    log: LogState,
    tiles: Vec<Tile>,
    note: String,
    told: Vec<u64>,
}

/// What the last epoch says of one slot.
pub(super) struct Told {
    pub(super) epoch: Epoch,
    pub(super) log: LogState,
    /// That the slot's head is in the tree of heads.
    pub(super) proof: Vec<Hash>,
    pub(super) note: Arc<str>,
    slot: u64,
}

impl Told {
    /// Whether it is this head that the epoch tells of.
    pub(super) fn holds(&self, head: &Head) -> bool {
        let (leaf, slots) = (head.leaf_hash(), self.epoch.slots);
        verify_inclusion(leaf, self.slot, slots, self.epoch.heads, &self.proof).is_ok()
    }
}

/// Why no epoch was closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("another process publishes epochs of this store")]
    Overtaken,
    #[error(transparent)]
    Heads(#[from] HeadsError),
    #[error("{0}")]
    Sign(String),
}

impl Publisher {
    pub(super) fn new(signers: Signers) -> Self {
        let published = Published {
            heads: Heads::new(Vec::new()),
            log: LogState::empty(),
            epoch: None,
            version: None,
        };
        Self {
            signers,
            published: Mutex::new(published),
            waiting: Mutex::default(),
            note: watch::Sender::default(),
        }
    }

    pub(super) fn signers(&self) -> &Signers {
        &self.signers
    }

    pub(super) fn note(&self) -> Option<Arc<str>> {
        self.note.borrow().clone()
    }

    /// The number of the epoch that will be closed next.
    pub(super) fn next_epoch(&self) -> u64 {
        let published = self.published.lock();
        published.epoch.as_ref().map_or(0, |epoch| epoch.number) + 1
    }

    /// Notes heads that the next epoch has to tell of.
    pub(super) fn await_epoch(&self, leaves: impl IntoIterator<Item = (u64, Hash)>) {
        self.waiting.lock().extend(leaves);
    }

    /// Takes up what was published before this process began.
    pub(super) fn resume(&self, published: Published, note: &str) {
        *self.published.lock() = published;
        self.note.send_replace(Some(note.into()));
    }

    /// Changes with every epoch that is closed.
    pub(super) fn notes(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.note.subscribe()
    }

    /// What the last epoch says of `slot`; `None` if it does not know it.
    pub(super) fn told(&self, slot: u64) -> Option<Told> {
        let published = self.published.lock();
        Some(Told {
            epoch: published.epoch.clone()?,
            log: published.log.clone(),
            proof: published.heads.prove(slot).ok()?,
            note: self.note()?,
            slot,
        })
    }

    fn waiting(&self) -> HashMap<u64, Hash> {
        self.waiting.lock().clone()
    }

    /// Slots below the highest that waits, of which nothing is known here.
    fn missing(&self, waiting: &HashMap<u64, Hash>) -> Vec<u64> {
        let known = self.published.lock().heads.slots();
        let end = waiting.keys().max().map_or(known, |last| last + 1);
        (known..end)
            .filter(|slot| !waiting.contains_key(slot))
            .collect()
    }

    fn prepare(&self, waiting: HashMap<u64, Hash>, now: Timestamp) -> Result<Next, PublishError> {
        let published = self.published.lock();
        let told = waiting.keys().copied().collect();
        let changes: Vec<(u64, Hash)> = waiting.into_iter().collect();
        let heads = published.heads.prepare(&changes)?;
        let epoch = Epoch {
            number: published.epoch.as_ref().map_or(0, |epoch| epoch.number) + 1,
            slots: heads.slots(),
            heads: heads.root(),
            time: now,
        };
        let mut log = published.log.clone();
        let sign = |error: &dyn std::fmt::Display| PublishError::Sign(error.to_string());
        let tiles = log.append(&[epoch.leaf_hash()]).map_err(|e| sign(&e))?;
        let checkpoint = Checkpoint {
            origin: self.signers.origin().clone(),
            size: log.size(),
            root: log.root(),
        };
        let note = self
            .signers
            .sign_checkpoint(&checkpoint)
            .map_err(|e| sign(&e))?;
        Ok(Next {
            heads,
            epoch,
            log,
            tiles,
            note,
            told,
        })
    }

    fn version(&self) -> Option<Version> {
        self.published.lock().version
    }

    fn finish(&self, next: Next, version: Version) -> Result<(), HeadsError> {
        let mut published = self.published.lock();
        published.heads.apply(next.heads)?;
        published.epoch = Some(next.epoch);
        published.log = next.log;
        published.version = Some(version);
        let mut waiting = self.waiting.lock();
        for slot in next.told {
            waiting.remove(&slot);
        }
        self.note.send_replace(Some(next.note.into()));
        Ok(())
    }
}

impl Audit {
    /// Closes an epoch over the heads that wait, if there are any.
    ///
    /// The order is: store, sign, store the note, tell. A note exists outside this
    /// process only after it is durable, and the anchor follows it.
    pub(super) async fn publish(&self) -> Result<(), PublishError> {
        let mut waiting = self.publisher.waiting();
        if waiting.is_empty() {
            return Ok(());
        }
        for slot in self.publisher.missing(&waiting) {
            waiting.insert(slot, self.stored_leaf(slot).await?);
        }
        let next = self.publisher.prepare(waiting, self.clock.now())?;
        let batch = next.batch(&self.layout, self.publisher.version())?;
        let version = match self.documents.commit(batch).await {
            Ok(version) => version,
            Err(CommitError::Store(error)) => return Err(error.into()),
            Err(CommitError::Conflict(_)) => {
                self.freeze("another process publishes epochs of this store");
                return Err(PublishError::Overtaken);
            }
        };
        if let Some(path) = self.config.anchor.clone() {
            let note = next.note.clone();
            let written = tokio::task::spawn_blocking(move || anchor::write(&path, &note)).await;
            if !matches!(written, Ok(Ok(()))) {
                metrics::counter!("tenantry_audit_anchor_failures_total").increment(1);
                tracing::error!("the anchor could not be written");
            }
        }
        metrics::counter!("tenantry_audit_epochs_total").increment(1);
        Ok(self.publisher.finish(next, version)?)
    }

    /// The leaf of a slot that nobody has changed: its log was registered, no more.
    async fn stored_leaf(&self, slot: u64) -> Result<Hash, StoreError> {
        let slot = u32::try_from(slot).map_err(|_| StoreError::Limit("slot".to_owned()))?;
        let stored = self.documents.get(&self.layout.head(slot)).await?;
        let stored =
            stored.ok_or_else(|| StoreError::Corrupt(format!("slot {slot} has no head")))?;
        let head = StoredHead::decode(&stored.value)?;
        Ok(head.leaf(&head.said()).leaf_hash())
    }
}

impl Next {
    fn batch(&self, layout: &Layout, version: Option<Version>) -> Result<Batch, StoreError> {
        let latest = layout.latest_epoch();
        let stored = StoredEpoch {
            leaf: self.epoch.encode(),
            log: self.log.encode(),
            note: self.note.clone(),
        };
        let stored = postcard::to_stdvec(&stored);
        let stored = stored.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let batch = match version {
            Some(version) => Batch::new().expect_version(&latest, version),
            None => Batch::new().expect_absent(&latest),
        };
        let batch = batch
            .put(&latest, stored)
            .put(&layout.epoch_leaf(self.epoch.number), self.epoch.encode());
        let put = |batch: Batch, tile: &Tile| batch.put(&layout.epoch_tile(tile.id), tile.encode());
        Ok(self.tiles.iter().fold(batch, put))
    }
}

impl Layout {
    pub(super) fn latest_epoch(&self) -> store::DocKey {
        store::DocKey::new(&self.epochs(), "latest")
    }

    fn epoch_leaf(&self, number: u64) -> store::DocKey {
        store::DocKey::new(&self.epochs(), format!("leaf/{number:016x}"))
    }

    pub(super) fn epoch_tile(&self, tile: TileId) -> store::DocKey {
        let TileId { level, index } = tile;
        store::DocKey::new(&self.epochs(), format!("tile/{level}/{index:012x}"))
    }
}
