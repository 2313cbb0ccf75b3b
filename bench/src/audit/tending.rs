//! Epochs, closed as [`Audit::tend`] closes them.

use std::sync::Arc;

use anyhow::Result;
use audit::service::Audit;
use tokio::{sync::Notify, task::JoinHandle};

use super::world::EPOCH_EVERY;

/// Closes epochs as [`Audit::tend`] does, and ends between two, which that cannot.
pub(super) struct Tending {
    ends: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Tending {
    pub(super) fn begin(audit: Arc<Audit>) -> Self {
        let ends = Arc::new(Notify::new());
        let told = Arc::clone(&ends);
        let task = tokio::spawn(async move {
            while tokio::time::timeout(EPOCH_EVERY, told.notified())
                .await
                .is_err()
            {
                audit.turn().await;
            }
            audit.turn().await;
        });
        Self { ends, task }
    }

    /// Until everything is in its tree, and the last epoch is closed.
    pub(super) async fn finish(self) -> Result<()> {
        self.ends.notify_one();
        Ok(self.task.await?)
    }
}
