//! The durable engine of a single node, on SQLite.
//!
//! Start at [`Embedded::open`]. One writer thread commits everything that
//! waits in groups, one fsync each; a few readers work beside it. SQLite was
//! chosen for operability: the file opens in milliseconds, and its users can
//! look inside, back it up and replicate it with tools that they know.
//!
//! With the feature `s3-endpoint` a folder of objects is served too, as
//! [`S3Endpoint`]: for development and tests, over the protocol that a real store speaks.
//!
//! Metrics: `tenantry_engine_commit_group_size`, `tenantry_engine_commit_seconds`
//! (the whole group, its fsync included), `tenantry_engine_queue_depth`,
//! `tenantry_engine_read_only` (1 when writes are refused).
//!
//! **Invariant:** what was acknowledged is on disk, and what is not certain to
//! be there is not acknowledged: after a failed write or fsync the engine only
//! reads, until it is opened again.

mod backup;
mod codec;
mod documents;
mod engine;
mod error;
mod events;
mod generations;
mod health;
mod lock;
mod open;
mod queue;
mod readers;
#[cfg(feature = "s3-endpoint")]
mod s3;
mod schema;
mod throttle;
mod writer;

use std::{path::Path, sync::Arc};

use identity::{Clock, Entropy};
use store::{Bus, Documents, EventLog, LocalBus, Relocation, Throttle};

pub use backup::backup;
pub use error::OpenError;
pub use health::Health;
#[cfg(feature = "s3-endpoint")]
pub use s3::{S3Endpoint, S3EndpointSettings};

use documents::EmbeddedDocuments;
use engine::Core;
use events::EmbeddedEventLog;
use throttle::EmbeddedThrottle;

/// An open folder. Clones share it; it closes with [`Embedded::close`], or
/// when the last handle and the last tail are gone.
#[derive(Clone)]
pub struct Embedded {
    core: Arc<Core>,
    throttle: Arc<EmbeddedThrottle>,
    bus: Arc<LocalBus>,
}

impl Embedded {
    /// Opens `folder`, which is made if it does not exist.
    ///
    /// `clock` ends documents, forgets idempotency keys and refills rates;
    /// `entropy` draws the epoch of a new or restored folder.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the folder or its file.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "clock and chance are handed over alike"
    )]
    pub fn open(
        folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let core = Core::open(folder, Arc::clone(&clock), &*entropy)?;
        Ok(Self {
            core: Arc::new(core),
            throttle: Arc::new(EmbeddedThrottle::new(clock)),
            bus: Arc::default(),
        })
    }

    /// The documents.
    #[must_use]
    pub fn documents(&self) -> Arc<dyn Documents> {
        Arc::new(EmbeddedDocuments(Arc::clone(&self.core)))
    }

    /// The event streams.
    #[must_use]
    pub fn events(&self) -> Arc<dyn EventLog> {
        Arc::new(EmbeddedEventLog(Arc::clone(&self.core)))
    }

    /// The same event logs, to be moved.
    #[must_use]
    pub fn relocation(&self) -> Arc<dyn Relocation> {
        Arc::new(EmbeddedEventLog(Arc::clone(&self.core)))
    }

    /// The rates.
    #[must_use]
    pub fn throttle(&self) -> Arc<dyn Throttle> {
        Arc::clone(&self.throttle) as Arc<dyn Throttle>
    }

    /// The bus, within this process.
    #[must_use]
    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus) as Arc<dyn Bus>
    }

    /// Whether writes are accepted; for readiness.
    #[must_use]
    pub fn health(&self) -> Health {
        self.core.shared.condition.health()
    }

    /// Copies everything that was acknowledged before this call to the new file `to`.
    ///
    /// # Errors
    /// As [`backup`].
    pub async fn backup(&self, to: &Path) -> Result<(), OpenError> {
        let (folder, to) = (self.core.folder.clone(), to.to_owned());
        let path = to.clone();
        let copied = tokio::task::spawn_blocking(move || backup(&folder, &to)).await;
        copied.unwrap_or_else(|cause| {
            Err(OpenError::Io {
                path,
                why: cause.to_string(),
            })
        })
    }

    /// Commits what waits, ends all tails and releases the folder, whoever
    /// still holds a handle; their calls are then `Unavailable`.
    pub async fn close(&self) {
        let core = Arc::clone(&self.core);
        if let Err(cause) = tokio::task::spawn_blocking(move || core.close()).await {
            tracing::error!(%cause, "closing the embedded engine failed");
        }
    }
}
