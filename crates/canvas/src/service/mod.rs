//! The service: what the routes, and embedders, call.

mod commit;
mod compact;
mod decide;
mod group;
mod history;
mod hot;
mod lane;
mod load;
mod play;
mod publish;
mod read;
mod recover;
mod replay;
mod revert;
mod snapshot;
mod stage;
mod submit;

use std::sync::Arc;

use identity::{Clock, Entropy};
use realtime::{Backlog, CanvasKey, Realtime, RealtimeError, Told};
use store::{Appended, Documents, EventLog};

pub use play::{Played, Seek};
pub use read::{CommitPage, View};
pub use recover::{Recovery, Snapshot, Way};
pub use replay::{MadeReplay, ReplayRange};
pub use revert::{Restore, Undoing};

use crate::{
    CanvasError,
    model::{Digest, Effective, Skipped},
};
use hot::Shelf;
use publish::Teller;

/// What the service stands on.
pub struct CanvasDeps {
    /// Keeps commits.
    pub documents: Arc<dyn Documents>,
    /// Keeps what was told; the one that `realtime` tells.
    pub log: Arc<dyn EventLog>,
    /// Knows who owns a canvas, and tells of commits.
    pub realtime: Arc<Realtime>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives chance: nodes that meet at a canvas do not meet again.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub config: CanvasConfig,
}

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct CanvasConfig {
    /// Commits that a canvas keeps, about; older ones go, with their versions.
    pub commits_kept: u64,
    /// Commits between two snapshots, at most.
    pub snapshot_commits: u64,
    /// Bytes of commits between two snapshots, about.
    pub snapshot_bytes: u64,
}

impl Default for CanvasConfig {
    fn default() -> Self {
        Self {
            commits_kept: 100_000,
            snapshot_commits: 200,
            snapshot_bytes: 256 * 1024,
        }
    }
}

/// Canvases, and all that is done to them. A clone stands for the same ones.
#[derive(Clone)]
pub struct CanvasService {
    documents: Arc<dyn Documents>,
    log: Arc<dyn EventLog>,
    realtime: Arc<Realtime>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: CanvasConfig,
    shelf: Arc<Shelf>,
    teller: Arc<Teller>,
}

/// A change that was made, now or when it was sent before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The revision that it made.
    pub rev: u64,
    /// The epoch of that.
    pub epoch: u64,
    /// The hash of the state of that.
    pub state_hash: Digest,
    /// What was done; empty when the commit is so old that it is not kept any more.
    pub effective: Vec<Effective>,
    /// The commits that its client had not seen.
    pub rebased_over: Vec<u64>,
    /// What an undo left alone.
    pub skipped: Vec<Skipped>,
    /// Whether it was sent before.
    pub duplicate: bool,
}

impl CanvasService {
    /// A service over `deps`.
    #[must_use]
    pub fn new(deps: CanvasDeps) -> Self {
        let CanvasDeps {
            documents,
            log,
            realtime,
            clock,
            entropy,
            config,
        } = deps;
        let shelf = Arc::new(Shelf::default());
        let teller = Arc::new(Teller {
            documents: Arc::clone(&documents),
            log: Arc::clone(&log),
            realtime: Arc::clone(&realtime),
            clock: Arc::clone(&clock),
            shelf: Arc::clone(&shelf),
        });
        let backlog: Arc<dyn Backlog> = teller.clone();
        realtime.tell_before_opening(Arc::downgrade(&backlog));
        Self {
            documents,
            log,
            realtime,
            clock,
            entropy,
            config,
            shelf,
            teller,
        }
    }

    /// Waits until every commit of a canvas that is durable was told.
    ///
    /// # Errors
    /// [`CanvasError::Realtime`], [`CanvasError::Store`].
    pub async fn settle(&self, key: &CanvasKey) -> Result<(), CanvasError> {
        self.teller.settle(key).await
    }

    /// The registry of canvases.
    #[must_use]
    pub fn registry(&self) -> &realtime::Canvases {
        self.realtime.canvases()
    }

    /// Tells something beside commits on a canvas's rail, after those that were made before.
    pub(crate) async fn tell_of(
        &self,
        key: &CanvasKey,
        told: &Told<'_>,
    ) -> Result<Appended, RealtimeError> {
        self.teller.told(key, &self.hot(key)).await;
        self.realtime.tell(key, told).await
    }

    fn hot(&self, key: &CanvasKey) -> Arc<hot::Hot> {
        self.shelf.get(key.stream())
    }
}
