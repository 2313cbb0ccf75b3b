//! Readers: a few threads with a read-only connection each.
//!
//! **Invariant:** a read never waits for the writer, and sees everything that
//! was acknowledged before it began.

use std::{path::Path, sync::Arc, thread::JoinHandle};

use parking_lot::Mutex;
use rusqlite::Connection;
use store::StoreError;
use tokio::sync::oneshot;

use crate::{
    OpenError, open,
    queue::{Queue, Taken, closed},
};

/// Threads that read.
const READERS: usize = 4;
/// Reads that may wait for one of them.
const WAITING_MAX: usize = 4_096;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

pub(crate) struct Readers {
    jobs: Arc<Queue<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(crate) fn open(folder: &Path) -> Result<Self, OpenError> {
        let jobs = Arc::new(Queue::<Job>::new(WAITING_MAX));
        let mut threads = Vec::with_capacity(READERS);
        for n in 0..READERS {
            let mut connection = open::reader(folder)?;
            let jobs = Arc::clone(&jobs);
            let thread = std::thread::Builder::new()
                .name(format!("tenantry-read-{n}"))
                .spawn(move || {
                    let mut taken = Vec::with_capacity(1);
                    while matches!(jobs.take(&mut taken, (1, 1), None), Taken::Some) {
                        for job in taken.drain(..) {
                            job(&mut connection);
                        }
                    }
                });
            threads.push(thread.map_err(|cause| OpenError::io(folder, &cause))?);
        }
        Ok(Self {
            jobs,
            threads: Mutex::new(threads),
        })
    }

    /// Runs `read` on one of the connections.
    pub(crate) async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever asked may be gone; then nobody misses the answer.
            let _ = reply.send(read(connection));
        });
        self.jobs.push(job, 1).await?;
        answer.await.map_err(|_| closed())?
    }

    /// Finishes what waits and closes the connections.
    pub(crate) fn close(&self) {
        self.jobs.close();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader thread of the embedded engine panicked");
            }
        }
    }
}
