//! What the handles share: the queue to the writer, the readers, the state of events.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use identity::{Clock, Entropy};
use parking_lot::{Mutex, RwLock};
use store::{Cursor, Epoch, Read, StoreError, StreamKey};
use tokio::sync::oneshot;

use crate::{
    OpenError,
    events::{live::Live, read::Source, unindexed::Unindexed},
    health::Condition,
    lock::FolderLock,
    open,
    queue::{Queue, closed},
    readers::Readers,
    writer::{Command, Writer},
};

/// Bytes of the commands that may wait.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a command costs beside its values; so at most 64 Ki commands wait.
const COMMAND_BYTES: usize = 1024;

/// What the writer, the readers and the tails see together.
pub(crate) struct Shared {
    pub(crate) epoch: Epoch,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) condition: Condition,
    pub(crate) unindexed: RwLock<Unindexed>,
    pub(crate) live: Live,
}

impl Shared {
    pub(crate) fn source(&self) -> Source<'_> {
        Source {
            unindexed: &self.unindexed,
            epoch: self.epoch,
        }
    }
}

/// An open folder.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) readers: Readers,
    pub(crate) folder: PathBuf,
    queue: Arc<Queue<Command>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Core {
    pub(crate) fn open(
        folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Self, OpenError> {
        std::fs::create_dir_all(folder).map_err(|cause| OpenError::io(folder, &cause))?;
        let lock = FolderLock::take(folder)?;
        let (connection, epoch) = open::writer(folder, entropy)?;
        let damaged = |why: String| OpenError::Damaged {
            file: folder.join(open::DATABASE_FILE),
            why,
        };
        let unindexed = Unindexed::load(&connection).map_err(|e| damaged(e.to_string()))?;
        let shared = Arc::new(Shared {
            epoch,
            clock,
            condition: Condition::default(),
            unindexed: RwLock::new(unindexed),
            live: Live::default(),
        });
        let writer = Writer::new(connection, Arc::clone(&shared));
        let writer = writer.map_err(|cause| damaged(cause.to_string()))?;
        let readers = Readers::open(folder)?;
        let queue = Arc::new(Queue::new(QUEUE_BYTES_MAX));
        let thread = writer.spawn(Arc::clone(&queue), lock);
        let thread = thread.map_err(|cause| OpenError::io(folder, &cause))?;
        metrics::gauge!("tenantry_engine_read_only").set(0.0);
        Ok(Self {
            shared,
            readers,
            folder: folder.to_owned(),
            queue,
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Hands a command with `bytes` of values to the writer, and waits for what it is told.
    pub(crate) async fn ask<T, E: From<StoreError>>(
        &self,
        bytes: usize,
        command: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Command,
    ) -> Result<T, E> {
        if let Some(why) = self.shared.condition.failed() {
            return Err(StoreError::ReadOnly(why.to_owned()).into());
        }
        let cost = u32::try_from(bytes + COMMAND_BYTES)
            .map_err(|_| StoreError::Limit("a command has at most 4 GiB".to_owned()))?;
        let (reply, answer) = oneshot::channel();
        self.queue.push(command(reply), cost).await?;
        answer.await.unwrap_or_else(|_| Err(closed().into()))
    }

    /// Reads events.
    pub(crate) async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        let (shared, stream) = (Arc::clone(&self.shared), stream.clone());
        let read =
            move |connection: &mut _| shared.source().read(connection, &stream, after, limit);
        self.readers.run(read).await
    }

    /// Commits what waits, ends tails, closes connections, releases the folder.
    pub(crate) fn close(&self) {
        // The writer closes last: a connection that only reads cannot empty the log.
        self.readers.close();
        self.queue.close();
        if let Some(thread) = self.writer.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread of the embedded engine panicked");
        }
        self.shared.live.close();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.close();
    }
}
