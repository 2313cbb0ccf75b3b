//! The one writer: a thread that commits what waits in groups.
//!
//! All commands that wait become one transaction with one fsync, and are
//! answered after it. A command sees what earlier ones of its group did.
//!
//! **Invariant:** nothing is acknowledged, and no reader or tail sees it,
//! before the transaction that holds it is durable. A group that fails leaves
//! nothing; after a failed write or fsync all later ones are refused.

mod bloom;
mod documents;
mod events;
mod group;
mod index;
mod keys;
mod streams;
#[cfg(test)]
mod tests;
mod upkeep;

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use rusqlite::Connection;
use store::{
    AppendError, Appended, Batch, CommitError, Cursor, Epoch, ImportError, NewEvent, StoreError,
    StreamKey, Version,
};
use tokio::sync::oneshot;

use crate::{
    engine::Shared,
    lock::FolderLock,
    queue::{Queue, Taken},
};
use documents::DocumentWriter;
use events::EventWriter;
use upkeep::Upkeep;

/// Commands of one group.
const GROUP_COMMANDS_MAX: usize = 4_096;
/// Cost of one group, in bytes.
const GROUP_BYTES_MAX: u32 = 8 * 1024 * 1024;
/// How long the writer waits for the callers whom it has just answered to come
/// again, so that one fsync covers them all.
const GATHER_PATIENCE: Duration = Duration::from_micros(50);
/// How long the writer waits for commands before it looks for upkeep.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Groups after which upkeep has a turn although commands wait.
const UPKEEP_GROUPS: u32 = 256;

/// Something to write, and where to answer.
pub(crate) enum Command {
    /// Documents.
    Commit {
        batch: Batch,
        reply: oneshot::Sender<Result<Version, CommitError>>,
    },
    /// An event.
    Append {
        stream: StreamKey,
        event: NewEvent,
        reply: oneshot::Sender<Result<Appended, AppendError>>,
    },
    /// Events of another engine.
    Import {
        stream: StreamKey,
        after: Cursor,
        events: Vec<NewEvent>,
        reply: oneshot::Sender<Result<(), ImportError>>,
    },
    /// Another epoch of a stream.
    Renew {
        stream: StreamKey,
        epoch: Epoch,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// The end of all that a stream has.
    Erase {
        stream: StreamKey,
        next: Epoch,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// The end of old events.
    Trim {
        stream: StreamKey,
        up_to: u64,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
}

pub(crate) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    documents: DocumentWriter,
    events: EventWriter,
    upkeep: Upkeep,
}

impl Writer {
    pub(crate) fn new(connection: Connection, shared: Arc<Shared>) -> rusqlite::Result<Self> {
        Ok(Self {
            documents: DocumentWriter::load(&connection)?,
            events: EventWriter::new(Arc::clone(&shared)),
            upkeep: Upkeep::default(),
            connection,
            shared,
        })
    }

    /// Writes until `queue` is closed and empty; `lock` is released at the very end.
    pub(crate) fn spawn(
        self,
        queue: Arc<Queue<Command>>,
        lock: FolderLock,
    ) -> std::io::Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("tenantry-write".to_owned());
        thread.spawn(move || {
            let closing = CloseAtEnd(&queue);
            self.run(closing.0);
            drop(closing);
            drop(lock);
        })
    }

    fn run(mut self, queue: &Queue<Command>) {
        let mut commands = Vec::new();
        let mut groups = 0;
        let mut more_upkeep = false;
        loop {
            let wait = if more_upkeep {
                Duration::ZERO
            } else {
                UPKEEP_INTERVAL
            };
            let most = (GROUP_COMMANDS_MAX, GROUP_BYTES_MAX);
            match queue.take(&mut commands, most, Some(wait)) {
                Taken::Some => {
                    metrics::gauge!("tenantry_engine_queue_depth").set(queue.len() as f64);
                    let answered = commands.len();
                    self.commit(&mut commands);
                    queue.gather(answered / 2, GATHER_PATIENCE);
                    groups += 1;
                    if groups < UPKEEP_GROUPS {
                        continue;
                    }
                }
                Taken::Idle => {}
                Taken::Closed => break,
            }
            groups = 0;
            more_upkeep = self.keep_up();
        }
        self.finish();
    }

    /// Leaves a file that needs no recovery. What was acknowledged is safe without it.
    fn finish(mut self) {
        self.index_all();
        if let Err((_, cause)) = self.connection.close() {
            tracing::warn!(%cause, "the database was not closed in order");
        }
    }
}

/// However the writer ends, callers must not wait for it.
struct CloseAtEnd<'q>(&'q Queue<Command>);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
