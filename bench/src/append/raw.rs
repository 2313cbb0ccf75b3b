//! The physical baseline: one file, one writer thread, one fdatasync for all that wait.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::Appender;

/// Appends that wait for the disk; the same bound as nobody reaches with 64 writers.
const WAITING_MAX: usize = 1024;

type Waiting = oneshot::Sender<Result<(), Arc<std::io::Error>>>;

/// A file that grows.
pub(crate) struct RawLog {
    queue: Option<mpsc::Sender<Waiting>>,
    writer: Option<JoinHandle<()>>,
}

impl RawLog {
    /// A new file, to which each append adds `bytes`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(path: &Path, bytes: usize) -> Result<Self> {
        let file = File::create(path)?;
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let writer = thread::spawn(move || commit_groups(file, waiting, bytes));
        Ok(Self {
            queue: Some(queue),
            writer: Some(writer),
        })
    }
}

impl Drop for RawLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ended = writer.join();
        }
    }
}

#[async_trait]
impl Appender for RawLog {
    async fn append(&self, _: usize, _: u64) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().context("the log is open")?;
        queue.send(reply).await?;
        Ok(answer.await??)
    }
}

fn commit_groups(mut file: File, mut waiting: mpsc::Receiver<Waiting>, bytes: usize) {
    let mut group = Vec::new();
    let most = vec![b'x'; bytes * WAITING_MAX];
    while waiting.blocking_recv_many(&mut group, WAITING_MAX) > 0 {
        let length = group.len() * bytes;
        let written = file
            .write_all(most.get(..length).unwrap_or(&most))
            .and_then(|()| file.sync_data())
            .map_err(Arc::new);
        for reply in group.drain(..) {
            // A writer that stopped waiting needs no answer.
            let _gone = reply.send(written.clone());
        }
    }
}
