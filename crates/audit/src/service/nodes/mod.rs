//! Several nodes over one store: all append and answer, one leads.
//!
//! Whoever leads ([`lease`]) hears which logs the others append to ([`announce`],
//! [`listen`]), integrates and signs. The others take up each epoch that it closes
//! ([`epochs`]), so that every node answers for every record. What a node remembers of
//! persons it forgets when another erases them ([`hearing`]); a hold that is ordered on a
//! node that follows is put on by the one that leads ([`orders`]); intents that nobody
//! will conclude are closed when they are overdue ([`overdue`]).
//!
//! **Invariant:** what two nodes must not both do is decided by one commit of the store.
//! No two clocks are compared: whatever is waited for, one node waits for by its own.

mod announce;
mod epochs;
mod hearing;
mod lease;
mod listen;
mod orders;
mod overdue;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use identity::{Clock, TenantId};
use store::{EventLog, StreamKey};

pub(super) use announce::Announcer;
pub(super) use epochs::{Followed, StoredChanges};
pub(super) use hearing::{Fresh, Hearing};
pub use lease::AuditRole;
pub(super) use lease::Lease;
use listen::Listening;
use overdue::Overdue;

use super::{Audit, layout::Layout};

/// How often the lease, the last epoch and erasures are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a node keeps because there may be others.
pub(super) struct Nodes {
    pub(super) announcer: Announcer,
    pub(super) hearing: Hearing,
    listening: Listening,
    pub(super) overdue: Overdue,
    /// How often this node has looked at the last epoch.
    looks: AtomicU64,
}

impl Nodes {
    pub(super) fn new(events: &Arc<dyn EventLog>, clock: &Arc<dyn Clock>, layout: Layout) -> Self {
        let (events, clock) = (Arc::clone(events), Arc::clone(clock));
        Self {
            announcer: Announcer::new(events, layout.changes(), clock),
            hearing: Hearing::default(),
            listening: Listening::default(),
            overdue: Overdue::default(),
            looks: AtomicU64::new(0),
        }
    }

    /// Forgets what only the node that leads has to know.
    fn stand_back(&self) {
        self.listening.begin_again();
        self.overdue.clear();
    }
}

impl Audit {
    /// Looks at what other nodes do, again and again, until the task is dropped.
    pub(super) async fn look_around(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.hear().await;
            if self.frozen().is_none() {
                let _round = self.rounds.lock().await;
                self.attend().await;
            }
        }
    }
}

impl Layout {
    /// Logs that were appended to.
    fn changes(&self) -> StreamKey {
        self.of_nodes("logs")
    }

    /// Tenants in which someone was erased.
    fn erased(&self) -> StreamKey {
        self.of_nodes("erased")
    }

    fn of_nodes(&self, object: &str) -> StreamKey {
        let (system, env) = (TenantId::system(), identity::Env::Prod);
        StreamKey::of_tenant(&self.authority, &system, env, "audit-changes", object)
    }
}
