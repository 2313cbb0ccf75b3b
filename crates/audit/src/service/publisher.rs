//! What was published last, and what the next epoch will say.
//!
//! **Invariant:** while it is not known whether a signed epoch was stored, no
//! other one is signed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use identity::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use store::{Batch, StoreError, Version};
use tokio::sync::watch;

use super::{
    layout::Layout,
    nodes::{Followed, StoredChanges},
    stored::StoredHead,
};
use crate::{
    Checkpoint, Epoch, Hash, Head, Heads, HeadsError, SignerError, Signers,
    log::{LogError, LogState, Tile, TileId, verify_inclusion},
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
    /// Heads of which it is not known whether they are stored.
    doubted: Mutex<BTreeMap<u32, Hash>>,
    /// The epoch that was signed last and may be stored or not.
    attempt: Mutex<Option<Next>>,
    note: watch::Sender<Option<Arc<str>>>,
}

/// An epoch that is signed and not known to be stored.
struct Next {
    heads: crate::NextHeads,
    epoch: Epoch,
    log: LogState,
    tiles: Vec<Tile>,
    note: String,
    /// The leaves that it changes, by slot.
    changes: Vec<(u64, Hash)>,
}

/// What is known of the last epoch.
pub(super) struct Known {
    pub(super) checkpoint: Option<Checkpoint>,
    /// The state of the document that tells of it.
    pub(super) version: Option<Version>,
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
            doubted: Mutex::default(),
            attempt: Mutex::default(),
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

    /// Notes heads whose commit failed, and may have been made nevertheless.
    pub(super) fn doubt(&self, leaves: impl IntoIterator<Item = (u32, Hash)>) {
        self.doubted.lock().extend(leaves);
    }

    pub(super) fn doubted(&self) -> BTreeMap<u32, Hash> {
        self.doubted.lock().clone()
    }

    /// Notes that it is known what is stored of a slot.
    pub(super) fn trust(&self, slot: u32) {
        self.doubted.lock().remove(&slot);
    }

    /// Whether a stored head is the one that this process last saw stored.
    pub(super) fn knows(&self, head: &StoredHead) -> bool {
        let slot = u64::from(head.slot);
        let waiting = self.waiting.lock().get(&slot).copied();
        let known = waiting.or_else(|| self.published.lock().heads.leaf(slot));
        match known {
            Some(known) => known == head.leaf(&head.said()).leaf_hash(),
            None => head.is_new(),
        }
    }

    /// Takes up what was published before this process began.
    pub(super) fn resume(&self, published: Published, note: &str) {
        *self.published.lock() = published;
        self.note.send_replace(Some(note.into()));
    }

    /// What this process knows of the last epoch.
    pub(super) fn known(&self) -> Known {
        let published = self.published.lock();
        let checkpoint = published.epoch.as_ref().map(|_| Checkpoint {
            origin: self.signers.origin().clone(),
            size: published.log.size(),
            root: published.log.root(),
        });
        Known {
            checkpoint,
            version: published.version,
        }
    }

    /// Forgets what only the process that publishes has to know: another one does.
    pub(super) fn stand_back(&self) {
        self.waiting.lock().clear();
        self.doubted.lock().clear();
        *self.attempt.lock() = None;
    }

    /// Takes up an epoch that another process has closed, which changed these leaves of what
    /// was published last, or of the heads that were read `anew`. Whether the heads are then
    /// those that it tells of; if they are not, nothing changes.
    pub(super) fn follow(
        &self,
        mut anew: Option<Heads>,
        told: &Followed,
        changes: &[(u64, Hash)],
    ) -> bool {
        let mut published = self.published.lock();
        let heads = anew.as_mut().unwrap_or(&mut published.heads);
        let Ok(next) = heads.prepare(changes) else {
            return false;
        };
        let says = (told.epoch.slots, told.epoch.heads);
        if (next.slots(), next.root()) != says || heads.apply(next).is_err() {
            return false;
        }
        if let Some(heads) = anew {
            published.heads = heads;
        }
        published.log = told.log.clone();
        published.epoch = Some(told.epoch.clone());
        published.version = Some(told.version);
        self.note.send_replace(Some(told.note.as_str().into()));
        true
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

    pub(super) fn waiting(&self) -> HashMap<u64, Hash> {
        self.waiting.lock().clone()
    }

    /// Slots below the highest that waits, of which nothing is known here.
    pub(super) fn missing(&self, waiting: &HashMap<u64, Hash>) -> Vec<u64> {
        let known = self.published.lock().heads.slots();
        let end = waiting.keys().max().map_or(known, |last| last + 1);
        (known..end)
            .filter(|slot| !waiting.contains_key(slot))
            .collect()
    }

    /// Signs the next epoch. Nothing else is signed until [`Self::finish`].
    pub(super) fn attempt(
        &self,
        waiting: HashMap<u64, Hash>,
        now: Timestamp,
    ) -> Result<(), AttemptError> {
        let published = self.published.lock();
        let changes: Vec<(u64, Hash)> = waiting.into_iter().collect();
        let heads = published.heads.prepare(&changes)?;
        let epoch = Epoch {
            number: published.epoch.as_ref().map_or(0, |epoch| epoch.number) + 1,
            slots: heads.slots(),
            heads: heads.root(),
            time: now,
        };
        let mut log = published.log.clone();
        let tiles = log.append(&[epoch.leaf_hash()])?;
        let checkpoint = Checkpoint {
            origin: self.signers.origin().clone(),
            size: log.size(),
            root: log.root(),
        };
        let note = self.signers.sign_checkpoint(&checkpoint)?;
        *self.attempt.lock() = Some(Next {
            heads,
            epoch,
            log,
            tiles,
            note,
            changes,
        });
        Ok(())
    }

    /// The batch that stores the signed epoch, what it puts as the last epoch, and its note.
    /// With `followed`, other nodes are told what it changed.
    pub(super) fn attempted(
        &self,
        layout: &Layout,
        followed: bool,
    ) -> Result<Option<(Batch, Vec<u8>, String)>, StoreError> {
        let version = self.published.lock().version;
        let attempt = self.attempt.lock();
        let Some(next) = &*attempt else {
            return Ok(None);
        };
        let stored = next.stored()?;
        let mut batch = next.batch(layout, version, stored.clone());
        if followed {
            let Epoch { number, time, .. } = next.epoch;
            batch = StoredChanges::put(batch, layout, number, &next.changes, time)?;
        }
        Ok(Some((batch, stored, next.note.clone())))
    }

    /// Notes that the signed epoch is stored.
    pub(super) fn finish(&self, version: Version) -> Result<(), HeadsError> {
        let Some(next) = self.attempt.lock().take() else {
            return Ok(());
        };
        let mut published = self.published.lock();
        published.heads.apply(next.heads)?;
        published.epoch = Some(next.epoch);
        published.log = next.log;
        published.version = Some(version);
        let mut waiting = self.waiting.lock();
        for (slot, _) in next.changes {
            waiting.remove(&slot);
        }
        self.note.send_replace(Some(next.note.into()));
        Ok(())
    }
}

impl Next {
    fn stored(&self) -> Result<Vec<u8>, StoreError> {
        let stored = StoredEpoch {
            leaf: self.epoch.encode(),
            log: self.log.encode(),
            note: self.note.clone(),
        };
        postcard::to_stdvec(&stored).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    fn batch(&self, layout: &Layout, version: Option<Version>, stored: Vec<u8>) -> Batch {
        let latest = layout.latest_epoch();
        let batch = match version {
            Some(version) => Batch::new().expect_version(&latest, version),
            None => Batch::new().expect_absent(&latest),
        };
        let batch = batch
            .put(&latest, stored)
            .put(&layout.epoch_leaf(self.epoch.number), self.epoch.encode());
        let put = |batch: Batch, tile: &Tile| batch.put(&layout.epoch_tile(tile.id), tile.encode());
        self.tiles.iter().fold(batch, put)
    }
}

/// Why an epoch cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Heads(#[from] HeadsError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Sign(#[from] SignerError),
}

impl Layout {
    pub(super) fn latest_epoch(&self) -> store::DocKey {
        store::DocKey::new(&self.epochs(), "latest")
    }

    pub(super) fn epoch_leaf(&self, number: u64) -> store::DocKey {
        store::DocKey::new(&self.epochs(), format!("leaf/{number:016x}"))
    }

    /// Begins the ids of the leaves of the log of epochs.
    pub(super) const fn epoch_leaves() -> &'static str {
        "leaf/"
    }

    /// Whoever wrote it last is the process that tends the logs.
    pub(super) fn owner(&self) -> store::DocKey {
        store::DocKey::new(&self.epochs(), "owner")
    }

    pub(super) fn epoch_tile(&self, tile: TileId) -> store::DocKey {
        let TileId { level, index } = tile;
        store::DocKey::new(&self.epochs(), format!("tile/{level}/{index:012x}"))
    }
}
