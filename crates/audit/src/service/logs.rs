//! Which logs there are: each has a slot from its first record on.
//!
//! **Invariant:** a log's slot is stored before its first record is, so that
//! whoever lists the heads knows every log.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use identity::Entropy;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Documents, StoreError, StreamKey};

use super::{LogId, layout::Layout, stored::StoredHead};
use crate::Salt;

/// Logs that are remembered.
const LOGS_MAX: usize = 128 * 1024;
/// How often a slot is asked for again because others took theirs meanwhile.
const TRIES_MAX: usize = 64;

/// A log that is in use.
pub(super) struct Log {
    pub(super) id: LogId,
    pub(super) slot: u32,
    pub(super) records: StreamKey,
    /// Whether it waits to be integrated.
    changed: AtomicBool,
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
}

impl Logs {
    pub(super) fn new(
        documents: Arc<dyn Documents>,
        layout: Layout,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            documents,
            layout,
            entropy,
            known: Cache::new(LOGS_MAX),
            changed: Mutex::default(),
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
            if let Some(slot) = self.assign(id).await? {
                let log = self.remember(id, slot);
                // An empty log has its place in the next epoch, too.
                self.mark(&log);
                return Ok(log);
            }
        }
        let why = "too many logs begin at once";
        Err(StoreError::Unavailable(why.to_owned()))
    }

    /// Remembers a log that was listed.
    pub(super) fn remember(&self, id: &LogId, slot: u32) -> Arc<Log> {
        let log = Arc::new(Log {
            id: id.clone(),
            slot,
            records: self.layout.records(id),
            changed: AtomicBool::new(false),
        });
        self.known.insert(id.clone(), Arc::clone(&log));
        log
    }

    /// Takes the next slot; `None` when someone else was faster.
    async fn assign(&self, id: &LogId) -> Result<Option<u32>, StoreError> {
        let counter = self.layout.slots();
        let stored = self.documents.get(&counter).await?;
        let (slot, batch) = match &stored {
            Some(stored) => (
                read::<Slots>(&stored.value)?.count,
                Batch::new().expect_version(&counter, stored.version),
            ),
            None => (0, Batch::new().expect_absent(&counter)),
        };
        let count = slot
            .checked_add(1)
            .ok_or_else(|| StoreError::Limit("there are no more slots".to_owned()))?;
        let place = self.layout.slot(id);
        let head = StoredHead::empty(id, slot, Salt::generate(&*self.entropy));
        let batch = batch
            .put(&counter, write(&Slots { count })?)
            .expect_absent(&place)
            .put(&place, write(&Slot { slot })?)
            .put(&self.layout.head(slot), head.encode()?);
        match self.documents.commit(batch).await {
            Ok(_) => Ok(Some(slot)),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Notes that a log has something to integrate.
    pub(super) fn mark(&self, log: &Arc<Log>) {
        if !log.changed.swap(true, Ordering::AcqRel) {
            self.changed.lock().push(Arc::clone(log));
        }
    }

    /// The logs that have something to integrate; what comes later is marked anew.
    pub(super) fn take_changed(&self) -> Vec<Arc<Log>> {
        let taken = std::mem::take(&mut *self.changed.lock());
        for log in &taken {
            log.changed.store(false, Ordering::Release);
        }
        taken
    }
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}
