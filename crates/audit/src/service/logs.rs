//! Which logs there are: each has a slot from its first record on.
//!
//! Logs that begin at the same time get their slots in one batch, because the
//! number of slots is one document, of which there is one change at a time.
//!
//! **Invariant:** a log's slot is stored before its first record is, so that
//! whoever lists the heads knows every log.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use identity::Entropy;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use store::{BATCH_STEPS_MAX, Batch, CommitError, Documents, Epoch, StoreError, StreamKey};
use tokio::sync::Mutex as Turns;

use super::{LogId, layout::Layout, recent::Recent, stored::StoredHead};
use crate::Salt;

/// Logs that are remembered.
const LOGS_MAX: usize = 128 * 1024;
/// How often a slot is asked for again because another process took one meanwhile.
const TRIES_MAX: usize = 64;
/// Logs that get their slots in one batch: four steps each, and two for the number of slots.
const BEGINNING_MAX: usize = (BATCH_STEPS_MAX - 2) / 4;

/// A log that is in use.
pub(super) struct Log {
    pub(super) id: LogId,
    pub(super) slot: u32,
    pub(super) records: StreamKey,
    /// Whether it waits to be integrated.
    changed: AtomicBool,
    /// Whether a page of its index was found to be lost.
    index_lost: AtomicBool,
    /// How many records the tree is known to have.
    integrated: AtomicU64,
    /// The epoch in which its stream was seen to hold what the tree does.
    epoch: Mutex<Option<Epoch>>,
    /// What was appended here and waits to be integrated.
    pub(super) recent: Recent,
}

impl Log {
    /// Notes that the tree has `size` records.
    pub(super) fn has_integrated(&self, size: u64) {
        self.integrated.fetch_max(size, Ordering::AcqRel);
        self.recent.let_go(size);
    }

    /// How many records the tree is known to have; what is appended from now on comes after them.
    pub(super) fn integrated(&self) -> u64 {
        self.integrated.load(Ordering::Acquire)
    }

    /// Whether the stream was seen to hold what the tree does, in this epoch.
    pub(super) fn is_known_in(&self, epoch: Epoch) -> bool {
        *self.epoch.lock() == Some(epoch)
    }

    /// Notes that it does.
    pub(super) fn know_in(&self, epoch: Epoch) {
        *self.epoch.lock() = Some(epoch);
    }

    /// Notes that the index is to be built anew.
    pub(super) fn lose_index(&self) {
        self.index_lost.store(true, Ordering::Release);
    }

    /// Whether the index is to be built anew.
    pub(super) fn take_index_lost(&self) -> bool {
        self.index_lost.swap(false, Ordering::AcqRel)
    }
}

/// The number of slots, as stored.
#[derive(Default, Serialize, Deserialize)]
struct Slots {
    count: u32,
}

#[derive(Serialize, Deserialize)]
struct Slot {
    slot: u32,
}

pub(super) struct Logs {
    documents: Arc<dyn Documents>,
    layout: Layout,
    entropy: Arc<dyn Entropy>,
    known: Cache<LogId, Arc<Log>>,
    changed: Mutex<Vec<Arc<Log>>>,
    /// Whether this process integrates what is appended.
    tended: AtomicBool,
    /// Logs without a slot that somebody waits for.
    beginning: Mutex<BTreeSet<LogId>>,
    /// Held by whoever gives out slots.
    assigning: Turns<()>,
    /// Records that wait to be integrated and are held, of all logs.
    held: Arc<AtomicUsize>,
}

impl Logs {
    pub(super) fn new(
        documents: Arc<dyn Documents>,
        layout: Layout,
        entropy: Arc<dyn Entropy>,
        tended: bool,
    ) -> Self {
        Self {
            documents,
            layout,
            entropy,
            known: Cache::new(LOGS_MAX),
            changed: Mutex::default(),
            tended: AtomicBool::new(tended),
            beginning: Mutex::default(),
            assigning: Turns::default(),
            held: Arc::default(),
        }
    }

    /// The log, if it has a slot.
    pub(super) async fn find(&self, id: &LogId) -> Result<Option<Arc<Log>>, StoreError> {
        if let Some(log) = self.known.get(id) {
            return Ok(Some(log));
        }
        let Some(stored) = self.documents.get(&self.layout.slot(id)).await? else {
            return Ok(None);
        };
        let Slot { slot } = read(&stored.value)?;
        Ok(Some(self.remember(id, slot)))
    }

    /// The log; it gets a slot if it has none.
    pub(super) async fn open(&self, id: &LogId) -> Result<Arc<Log>, StoreError> {
        for _ in 0..TRIES_MAX {
            if let Some(log) = self.find(id).await? {
                return Ok(log);
            }
            self.beginning.lock().insert(id.clone());
            let _turn = self.assigning.lock().await;
            // Whoever had the turn before may have taken this one along.
            if self.known.get(id).is_none() {
                self.begin(self.group(id)).await?;
            }
        }
        let why = "too many processes begin logs at once";
        Err(StoreError::Unavailable(why.to_owned()))
    }

    /// How many logs have a slot.
    pub(super) async fn assigned(&self) -> Result<u32, StoreError> {
        match self.documents.get(&self.layout.slots()).await? {
            Some(stored) => Ok(read::<Slots>(&stored.value)?.count),
            None => Ok(0),
        }
    }

    /// The log `id` and others that wait for a slot, as many as fit into a batch.
    fn group(&self, id: &LogId) -> Vec<LogId> {
        let mut beginning = self.beginning.lock();
        beginning.remove(id);
        let others = std::iter::from_fn(|| beginning.pop_first());
        std::iter::once(id.clone())
            .chain(others.take(BEGINNING_MAX - 1))
            .collect()
    }

    /// Remembers a log that was listed.
    pub(super) fn remember(&self, id: &LogId, slot: u32) -> Arc<Log> {
        let log = Arc::new(Log {
            id: id.clone(),
            slot,
            records: self.layout.records(id),
            changed: AtomicBool::new(false),
            index_lost: AtomicBool::new(false),
            integrated: AtomicU64::new(0),
            epoch: Mutex::default(),
            recent: Recent::new(&self.held),
        });
        self.known.insert(id.clone(), Arc::clone(&log));
        log
    }

    /// Gives the next slots to `group`, unless another process was faster.
    async fn begin(&self, group: Vec<LogId>) -> Result<(), StoreError> {
        let counter = self.layout.slots();
        let stored = self.documents.get(&counter).await?;
        let (first, batch) = match &stored {
            Some(stored) => (
                read::<Slots>(&stored.value)?.count,
                Batch::new().expect_version(&counter, stored.version),
            ),
            None => (0, Batch::new().expect_absent(&counter)),
        };
        let full = || StoreError::Limit("there are no more slots".to_owned());
        let more = u32::try_from(group.len()).map_err(|_| full())?;
        let count = first.checked_add(more).ok_or_else(full)?;
        let mut batch = batch.put(&counter, write(&Slots { count })?);
        for (id, slot) in group.iter().zip(first..count) {
            let place = self.layout.slot(id);
            let head = StoredHead::empty(id, slot, Salt::generate(&*self.entropy));
            batch = batch
                .expect_absent(&place)
                .put(&place, write(&Slot { slot })?)
                .expect_absent(&self.layout.head(slot))
                .put(&self.layout.head(slot), head.encode()?);
        }
        match self.documents.commit(batch).await {
            Ok(_) => {
                for (id, slot) in group.iter().zip(first..count) {
                    // An empty log has its place in the next epoch, too.
                    self.mark(&self.remember(id, slot));
                }
                Ok(())
            }
            Err(CommitError::Conflict(_)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Begins to tend logs, or ceases to; what was known of them is forgotten.
    pub(super) fn tend(&self, tended: bool) {
        self.tended.store(tended, Ordering::Release);
        self.known.clear();
        self.changed.lock().clear();
    }

    /// Whether this process integrates what is appended.
    pub(super) fn are_tended(&self) -> bool {
        self.tended.load(Ordering::Acquire)
    }

    /// Notes that a log has something to integrate, if it is this process that does it.
    pub(super) fn mark(&self, log: &Arc<Log>) {
        if self.are_tended() && !log.changed.swap(true, Ordering::AcqRel) {
            self.changed.lock().push(Arc::clone(log));
        }
    }

    /// The logs that have something to integrate; what comes later is marked anew.
    pub(super) fn take_changed(&self) -> Vec<Arc<Log>> {
        let mut taken = std::mem::take(&mut *self.changed.lock());
        for log in &taken {
            log.changed.store(false, Ordering::Release);
        }
        // One that was forgotten and remembered meanwhile may be there twice.
        taken.sort_unstable_by_key(|log| log.slot);
        taken.dedup_by_key(|log| log.slot);
        taken
    }
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}
