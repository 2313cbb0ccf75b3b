//! Writers of indexes, of which there are few at any time: each takes threads and memory.

use std::{collections::VecDeque, path::Path, path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use tantivy::IndexWriter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::generation::{Fault, Generation};

/// The writers that are open.
pub(super) struct Writers {
    /// How many may work at once.
    turns: Arc<Semaphore>,
    most: usize,
    /// Those that rest, the one that worked last at the back; they merge meanwhile. They are
    /// closed under the lock, so that an index never has two.
    resting: Mutex<VecDeque<(PathBuf, IndexWriter)>>,
}

/// The right to write into one index.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    writers: Arc<Writers>,
}

impl Writers {
    /// At most `most` writers.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            turns: Arc::new(Semaphore::new(most)),
            most,
            resting: Mutex::new(VecDeque::new()),
        })
    }

    /// Waits until a writer may work.
    pub(super) async fn turn(self: &Arc<Self>) -> Option<Turn> {
        let permit = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        Some(Turn {
            _permit: permit,
            writers: Arc::clone(self),
        })
    }

    /// Closes the writer of the index in `folder`, if it has one; blocks.
    pub(super) fn close(&self, folder: &Path) {
        self.resting.lock().retain(|(of, _)| of != folder);
    }

    fn take(&self, folder: &Path) -> Option<IndexWriter> {
        let mut resting = self.resting.lock();
        let at = resting.iter().position(|(of, _)| of == folder)?;
        resting.remove(at).map(|(_, writer)| writer)
    }

    /// Closes those that rest and are too many while one more works.
    fn close_surplus(&self) {
        let mut resting = self.resting.lock();
        // Every turn that is taken may have a writer of its own.
        let working = self.most - self.turns.available_permits().min(self.most);
        let surplus = resting.len().saturating_sub(self.most - working);
        resting.drain(..surplus);
    }
}

impl Turn {
    /// Writes into `generation`; blocks. A writer that failed is closed.
    pub(super) fn write(
        self,
        generation: &Generation,
        write: impl FnOnce(&mut IndexWriter) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut writer = match self.writers.take(&generation.folder) {
            Some(writer) => writer,
            None => {
                self.writers.close_surplus();
                generation.writer()?
            }
        };
        write(&mut writer)?;
        let rested = (generation.folder.clone(), writer);
        self.writers.resting.lock().push_back(rested);
        Ok(())
    }
}
