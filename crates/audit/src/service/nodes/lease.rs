//! Which node leads: one integrates and signs, all append.
//!
//! The owner document is a lease. Whoever leads puts it again every few seconds; a node
//! that sees it unchanged for longer puts its own name there. Every commit of heads and
//! epochs expects the state of that document, so a node that was taken over from commits
//! nothing more, however late it wakes: it finds another's name, and follows.
//!
//! Alone over its store ([`Audit::open`]) a node takes over at once and renews nothing.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use store::{Batch, CommitError, DocKey, StoreError, Version};
use tokio::time::Instant;

use super::{
    super::{Audit, recover::OpenAuditError},
    Nodes,
};

/// How often the node that leads puts its name again.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How long the lease must have stood still before another node takes it.
const LAPSES_AFTER: Duration = Duration::from_secs(10);
/// How often the log is taken over again because another process does, too.
const TRIES_MAX: usize = 8;

/// What a node is.
#[derive(Clone)]
enum Role {
    /// Its name is on the owner document.
    Leads {
        name: Bytes,
        version: Version,
        renewed: Instant,
        /// Whether it has taken up the work.
        ready: bool,
    },
    /// Another's is, or nobody's.
    Follows {
        seen: Option<Version>,
        since: Instant,
    },
}

/// The node's side of the lease.
pub(in super::super) struct Lease(Mutex<Role>);

impl Lease {
    pub(in super::super) fn new() -> Self {
        Self(Mutex::new(Role::Follows {
            seen: None,
            since: Instant::now(),
        }))
    }

    /// The name and the state of the owner document, while it is this node's.
    fn held(&self) -> Option<(Bytes, Version)> {
        match &*self.0.lock() {
            Role::Leads { name, version, .. } => Some((name.clone(), *version)),
            Role::Follows { .. } => None,
        }
    }

    /// Whether this node leads and has taken up the work.
    fn is_ready(&self) -> bool {
        matches!(&*self.0.lock(), Role::Leads { ready: true, .. })
    }

    fn set_ready(&self) {
        if let Role::Leads { ready, .. } = &mut *self.0.lock() {
            *ready = true;
        }
    }

    fn lead(&self, name: Bytes, version: Version) {
        *self.0.lock() = Role::Leads {
            name,
            version,
            renewed: Instant::now(),
            ready: false,
        };
    }

    fn follow(&self, seen: Option<Version>) {
        let since = Instant::now();
        *self.0.lock() = Role::Follows { seen, since };
    }

    /// Notes the state in which the document with this node's name is.
    fn adopt(&self, found: Version) {
        if let Role::Leads { version, .. } = &mut *self.0.lock() {
            *version = found;
        }
    }

    fn was_renewed(&self, at: Instant, to: Version) {
        if let Role::Leads {
            version, renewed, ..
        } = &mut *self.0.lock()
        {
            (*version, *renewed) = (to, at);
        }
    }

    fn is_due(&self) -> bool {
        match &*self.0.lock() {
            Role::Leads { renewed, .. } => renewed.elapsed() >= RENEW_EVERY,
            Role::Follows { .. } => false,
        }
    }

    /// Notes what was seen; whether it has stood still for so long that its node is gone.
    fn has_lapsed(&self, found: Version) -> bool {
        let mut role = self.0.lock();
        match &*role {
            Role::Follows { seen, since } if *seen == Some(found) => {
                since.elapsed() >= LAPSES_AFTER
            }
            Role::Follows { .. } => {
                *role = Role::Follows {
                    seen: Some(found),
                    since: Instant::now(),
                };
                false
            }
            Role::Leads { .. } => false,
        }
    }
}

/// What a node does for the audit log, as it is told to monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditRole {
    /// It is the only one over its store, and integrates and signs.
    Sole,
    /// It is one of several, and integrates and signs for all.
    Leads,
    /// Another one does, or none at this moment. One that is frozen follows.
    Follows,
}

impl AuditRole {
    /// A stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sole => "sole",
            Self::Leads => "leads",
            Self::Follows => "follows",
        }
    }
}

impl Audit {
    /// Whether this node integrates and signs; always, unless there may be others.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.nodes.is_none() || self.lease.is_ready()
    }

    /// What this node does for the audit log at this moment.
    #[must_use]
    pub fn role(&self) -> AuditRole {
        match &self.nodes {
            None => AuditRole::Sole,
            Some(_) if self.lease.is_ready() && self.frozen().is_none() => AuditRole::Leads,
            Some(_) => AuditRole::Follows,
        }
    }

    /// Takes the logs over: from now on no other process changes a head or closes an epoch.
    pub(in super::super) async fn take_over(&self) -> Result<(), StoreError> {
        let owner = self.layout.owner();
        for _ in 0..TRIES_MAX {
            let found = self.documents.get(&owner).await?;
            if self.take(found.map(|found| found.version)).await? {
                return Ok(());
            }
        }
        let why = "other processes open the audit log all the time";
        Err(StoreError::Unavailable(why.to_owned()))
    }

    /// Puts this node's name on the owner document, unless it is not as `expected` any more.
    async fn take(&self, expected: Option<Version>) -> Result<bool, StoreError> {
        let owner = self.layout.owner();
        let mut name = [0; 16];
        self.entropy.fill(&mut name);
        let name = Bytes::copy_from_slice(&name);
        let batch = expecting(&owner, expected).put(&owner, name.clone());
        match self.documents.commit(batch).await {
            Ok(version) => {
                self.lease.lead(name, version);
                Ok(true)
            }
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Commits what concerns heads and epochs, unless another process has taken the logs over.
    pub(in super::super) async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let Some((_, version)) = self.lease.held() else {
            return Err(StoreError::Unavailable("another node leads".to_owned()).into());
        };
        let batch = batch.expect_version(&self.layout.owner(), version);
        let outcome = self.documents.commit(batch).await;
        if let Err(CommitError::Conflict(_)) = &outcome {
            self.still_owns().await?;
        }
        outcome
    }

    /// Whether this node's name is on the owner document still. If it is not, it follows,
    /// or is frozen if there should be no other.
    pub(in super::super) async fn still_owns(&self) -> Result<bool, StoreError> {
        let found = self.documents.get(&self.layout.owner()).await?;
        let Some((name, _)) = self.lease.held() else {
            return Ok(false);
        };
        match found {
            Some(found) if found.value == name => {
                // The answer to a renewal was lost.
                self.lease.adopt(found.version);
                return Ok(true);
            }
            found => match &self.nodes {
                Some(nodes) => self.step_down(nodes, found.map(|found| found.version)),
                None => self.freeze("another process has taken over the audit log of this store"),
            },
        }
        Ok(false)
    }

    /// Freezes, because the store contradicts what this node knows; unless it was another
    /// node, which leads by now, that has changed the store.
    pub(in super::super) async fn contradicted(
        &self,
        why: impl Into<String> + Send,
    ) -> Result<(), StoreError> {
        if self.nodes.is_none() || self.still_owns().await? {
            self.freeze(why);
        }
        Ok(())
    }

    fn step_down(&self, nodes: &Nodes, seen: Option<Version>) {
        tracing::warn!("another node leads the audit log from now on");
        self.lease.follow(seen);
        self.logs.tend(false);
        self.publisher.stand_back();
        nodes.stand_back();
        metrics::gauge!("tenantry_audit_leader").set(0.0);
    }

    /// Puts the lease again if it is time to; whether this node leads still.
    pub(in super::super) async fn stays(&self) -> bool {
        if self.nodes.is_none() {
            return true;
        }
        let Some((name, _)) = self.lease.held() else {
            return false;
        };
        if self.lease.is_due() {
            let now = Instant::now();
            match self
                .commit(Batch::new().put(&self.layout.owner(), name))
                .await
            {
                Ok(version) => self.lease.was_renewed(now, version),
                Err(error) => tracing::warn!(%error, "the lease of the audit log is not renewed"),
            }
        }
        self.lease.held().is_some()
    }

    /// Leads or follows, as it is this node's turn. Part of a round.
    pub(in super::super) async fn attend(&self) {
        if let Err(error) = self.lead_or_follow().await {
            tracing::warn!(%error, "this node of the audit log waits");
        }
    }

    /// See [`Audit::join`].
    pub(in super::super) async fn lead_or_follow(&self) -> Result<(), OpenAuditError> {
        let Some(nodes) = &self.nodes else {
            return Ok(());
        };
        if !self.stays().await && !self.take_if_free().await? {
            return self.follow_epochs().await;
        }
        if self.lease.is_ready() {
            return Ok(());
        }
        self.begin_to_lead(nodes).await
    }

    /// Takes the lease if nobody has it, or whoever had it is gone.
    async fn take_if_free(&self) -> Result<bool, StoreError> {
        let expected = match self.documents.get(&self.layout.owner()).await? {
            None => None,
            Some(found) if found.value.is_empty() => Some(found.version),
            Some(found) if self.lease.has_lapsed(found.version) => Some(found.version),
            Some(_) => return Ok(false),
        };
        self.take(expected).await
    }

    async fn begin_to_lead(&self, nodes: &Nodes) -> Result<(), OpenAuditError> {
        nodes.stand_back();
        self.logs.tend(true);
        self.publisher.stand_back();
        let unfinished = self.resume().await?;
        if self.frozen().is_some() || self.lease.held().is_none() {
            return Ok(());
        }
        for (log, head) in unfinished {
            nodes.overdue.see(&log.id, &head.open);
        }
        self.lease.set_ready();
        tracing::info!("this node leads the audit log");
        metrics::gauge!("tenantry_audit_leader").set(1.0);
        metrics::counter!("tenantry_audit_takeovers_total").increment(1);
        Ok(())
    }

    /// Signs what waits, and lets another node lead at once. Records can be appended
    /// still; call it when nothing else will be.
    pub async fn close(self: &std::sync::Arc<Self>) {
        self.turn().await;
        let Some(nodes) = &self.nodes else {
            return;
        };
        let _round = self.rounds.lock().await;
        if self.lease.held().is_some() {
            let free = Batch::new().put(&self.layout.owner(), Bytes::new());
            match self.commit(free).await {
                Ok(version) => self.step_down(nodes, Some(version)),
                Err(error) => tracing::warn!(%error, "the audit log is taken over later"),
            }
        }
    }
}

fn expecting(key: &DocKey, version: Option<Version>) -> Batch {
    match version {
        Some(version) => Batch::new().expect_version(key, version),
        None => Batch::new().expect_absent(key),
    }
}
