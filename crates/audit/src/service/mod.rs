//! The audit log at work: records are appended, integrated, signed and read.
//!
//! Start at [`Audit`]. A record is acknowledged when it is durable in the stream
//! of its log. About once a second a round integrates what was appended into
//! the trees, and closes an epoch with a signed checkpoint.
//!
//! **Invariants:**
//! - what cannot be recorded where it belongs waits in the spool, and the caller is told;
//! - nothing is signed that contradicts what was signed before, here or in the anchor.

mod advance;
mod anchor;
mod append;
mod config;
mod continued;
mod erase;
mod follow;
mod integrate;
mod layout;
mod leaves;
mod logs;
mod nodes;
mod ocsf;
mod orphans;
mod proofs;
mod publish;
mod publisher;
mod query;
mod reader;
mod recent;
mod recorder;
mod recover;
mod refusals;
mod retention;
mod retry;
mod spool;
mod standing;
mod stored;
mod subjects;
mod target;
mod terms;
mod training;
mod wrap;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use futures_util::future::join;
use identity::{Clock, Entropy, SystemAuthority, TenantId, UserId};
use store::{Documents, EventLog};
use tokio::sync::Mutex;

pub use config::{AuditConfig, InvalidRetention, Retention};
pub use erase::{EraseError, Erased};
pub use layout::LogId;
pub use nodes::AuditRole;
pub use proofs::ProofError;
pub use query::{EntryPage, Filter, LOOKED_AT_MAX};
pub use reader::{Entry, ReadError};
pub use recorder::AuditRecorder;
pub use recover::OpenAuditError;
pub use spool::SPOOL_BYTES_MAX;
pub use wrap::{InvalidWrappingKey, WrappingKey};

pub(crate) use query::{actor, target};

use follow::Erasures;
use layout::Layout;
use logs::Logs;
use nodes::{Lease, Nodes};
use publisher::Publisher;
use refusals::Refusals;
use retention::Walk;
use spool::Spool;
use subjects::Subjects;

use crate::{Signers, Training};

/// Says for each record whether it may be used for training.
#[async_trait]
pub trait TrainingPolicy: Send + Sync {
    /// What holds for what `user` does in `tenant`; what cannot be read is a denial.
    async fn training(&self, tenant: &TenantId, user: &UserId) -> Training;
}

/// What [`Audit`] stands on.
pub struct AuditDeps {
    /// Heads, tiles, keys and epochs.
    pub documents: Arc<dyn Documents>,
    /// The records.
    pub events: Arc<dyn EventLog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Salts, nonces and keys.
    pub entropy: Arc<dyn Entropy>,
    /// The trees and the spool are tended when no member asks.
    pub authority: SystemAuthority,
    /// Who signs the checkpoints.
    pub signers: Signers,
    /// Under which subject keys are stored.
    pub wrapping: WrappingKey,
    /// Whether a record may be used for training.
    pub training: Arc<dyn TrainingPolicy>,
}

/// The audit log of all tenants.
pub struct Audit {
    documents: Arc<dyn Documents>,
    events: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    training: Arc<dyn TrainingPolicy>,
    layout: Layout,
    config: AuditConfig,
    logs: Logs,
    subjects: Subjects,
    spool: Arc<Spool>,
    refusals: Refusals,
    erasures: Erasures,
    publisher: Publisher,
    /// Whether this process owns the logs.
    lease: Lease,
    /// What there is because there may be other nodes; absent when there are none.
    nodes: Option<Nodes>,
    /// What the store should not say, before it is known why it does.
    suspicion: parking_lot::Mutex<Option<String>>,
    /// Held by whoever changes heads, so that an epoch tells of all or nothing of a change.
    rounds: Mutex<()>,
    walk: Walk,
    /// Why nothing is recorded or signed any more, if so.
    frozen: OnceLock<String>,
}

impl Audit {
    /// Opens the audit log: checks what was signed last against what is stored,
    /// closes intents that a crash left open, and takes up the spool.
    ///
    /// Call [`Audit::tend`] from a task of its own afterwards.
    ///
    /// # Errors
    /// [`OpenAuditError`]. A store that contradicts what was signed is no error
    /// here: the log is frozen, says why, and signs nothing.
    pub async fn open(deps: AuditDeps, config: AuditConfig) -> Result<Arc<Self>, OpenAuditError> {
        let audit = Self::lay(deps, config, false)?;
        audit.recover().await?;
        Ok(Arc::new(audit))
    }

    /// Opens the audit log as one of several nodes over one store, each with a spool and an anchor
    /// of its own. One of them leads: it integrates and signs. All record, and answer with what
    /// the one that leads has signed, about a second later.
    ///
    /// Call [`Audit::tend`] from a task of its own afterwards, and [`Audit::close`] at the end.
    ///
    /// # Errors
    /// As [`Audit::open`].
    pub async fn join(deps: AuditDeps, config: AuditConfig) -> Result<Arc<Self>, OpenAuditError> {
        let audit = Self::lay(deps, config, true)?;
        audit.hear().await;
        audit.lead_or_follow().await?;
        Ok(Arc::new(audit))
    }

    fn lay(deps: AuditDeps, config: AuditConfig, shared: bool) -> Result<Self, OpenAuditError> {
        let spool = open_spool(&config.spool)?;
        let layout = Layout::new(deps.authority);
        let nodes = shared.then(|| Nodes::new(&deps.events, &deps.clock, layout));
        Ok(Self {
            logs: Logs::new(
                Arc::clone(&deps.documents),
                layout,
                Arc::clone(&deps.entropy),
                !shared,
            ),
            subjects: Subjects::new(
                Arc::clone(&deps.documents),
                layout,
                Arc::clone(&deps.entropy),
                deps.wrapping,
                nodes.as_ref().map(|nodes| Arc::clone(&nodes.hearing.fresh)),
            ),
            publisher: Publisher::new(deps.signers),
            documents: deps.documents,
            events: deps.events,
            clock: deps.clock,
            entropy: deps.entropy,
            training: deps.training,
            layout,
            config,
            spool,
            refusals: Refusals::default(),
            erasures: Erasures::default(),
            lease: Lease::new(),
            nodes,
            suspicion: parking_lot::Mutex::default(),
            rounds: Mutex::default(),
            walk: Walk::default(),
            frozen: OnceLock::new(),
        })
    }

    /// Why nothing is recorded or signed any more, if so.
    #[must_use]
    pub fn frozen(&self) -> Option<&str> {
        self.frozen.get().map(String::as_str)
    }

    /// The signed note that covers every log, if anything was signed yet.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Arc<str>> {
        self.publisher.note()
    }

    /// Stops signing for good; an operator must look at it.
    fn freeze(&self, why: impl Into<String>) {
        let why = why.into();
        tracing::error!(why, "the audit log is frozen");
        metrics::gauge!("tenantry_audit_frozen").set(1.0);
        metrics::gauge!("tenantry_audit_leader").set(0.0);
        // The first reason stands.
        let _ = self.frozen.set(why);
    }

    /// Integrates, signs, and retries what waits, until the task is dropped.
    pub async fn tend(self: Arc<Self>) {
        if self.nodes.is_some() {
            join(Arc::clone(&self).rounds(), self.look_around()).await;
        } else {
            self.rounds().await;
        }
    }

    async fn rounds(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.config.epoch_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.turn().await;
        }
    }

    /// One round: sampled refusals are recorded, what waits is tried again, what
    /// was appended is integrated and signed, and what is too old is removed. A node that
    /// follows takes up what was signed.
    pub async fn turn(self: &Arc<Self>) {
        self.hear().await;
        self.record_refusals().await;
        if self.frozen().is_none() {
            self.retry_spooled().await;
            let _round = self.rounds.lock().await;
            self.attend().await;
            if !self.leads() {
                return;
            }
            match self.settle().await {
                Ok(()) => {
                    self.obey().await;
                    self.listen().await;
                    self.integrate().await;
                    self.close_overdue().await;
                    self.retain().await;
                }
                Err(error) => tracing::warn!(%error, "nothing is integrated before this is known"),
            }
        }
    }
}

fn open_spool(path: &Path) -> Result<Arc<Spool>, OpenAuditError> {
    Spool::open(path).map_err(|error| OpenAuditError::Spool(path.to_owned(), error))
}
