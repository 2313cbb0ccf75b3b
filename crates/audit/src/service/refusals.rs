//! Refused attempts: recorded soon after, alike ones as one record with a count.
//!
//! A flood of refusals costs one record per kind and turn, and bounded memory.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde_json::Map;

use super::{Audit, LogId};
use crate::{Actor, DatasetEvent, Label, Outcome, Phase};

/// Kinds of refusals that are told apart in one turn; those beyond are counted together.
const KINDS_MAX: usize = 4096;
/// Refusals that are recorded at the same time.
const AT_ONCE: usize = 64;

/// What makes refusals alike.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    tenant: identity::TenantId,
    env: identity::Env,
    user: Option<identity::UserId>,
    action: Label,
    outcome: String,
}

/// What was refused since the last turn.
#[derive(Default)]
struct Taken {
    /// The first of each kind, with how often it came.
    kinds: HashMap<Kind, DatasetEvent>,
    /// The first of further kinds, made one that stands for all of those.
    others: Option<DatasetEvent>,
}

/// Refusals that are not on record yet.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Taken>);

impl Refusals {
    /// Counts a refused attempt; never waits.
    pub(super) fn count(&self, event: DatasetEvent) {
        let Phase::Event(Outcome::Refused(code)) = &event.phase else {
            return;
        };
        metrics::counter!("tenantry_audit_refusals_total").increment(1);
        let user = match &event.actor {
            Actor::User { id, .. } => Some(id.clone()),
            Actor::System(_) | Actor::Anonymous => None,
        };
        let kind = Kind {
            tenant: event.tenant.clone(),
            env: event.env,
            user,
            action: event.action.clone(),
            outcome: code.to_string(),
        };
        let mut taken = self.0.lock();
        if let Some(first) = taken.kinds.get_mut(&kind) {
            first.repeated = first.repeated.saturating_add(1);
        } else if taken.kinds.len() < KINDS_MAX {
            taken.kinds.insert(kind, event);
        } else if let Some(others) = &mut taken.others {
            others.repeated = others.repeated.saturating_add(1);
        } else {
            taken.others = Some(of_any_kind(event));
        }
    }

    fn take(&self) -> Vec<DatasetEvent> {
        let taken = std::mem::take(&mut *self.0.lock());
        taken.kinds.into_values().chain(taken.others).collect()
    }
}

/// An event in the log of the system that stands for refusals of any kind.
fn of_any_kind(first: DatasetEvent) -> DatasetEvent {
    let LogId { tenant, env } = LogId::system();
    DatasetEvent {
        tenant,
        env,
        project: None,
        actor: Actor::System(Label::refusals()),
        action: Label::refusals(),
        target: None,
        phase: Phase::Event(Outcome::Refused(Label::unknown())),
        metadata: Map::new(),
        personal: Vec::new(),
        ..first
    }
}

impl Audit {
    /// Records what was refused since the last turn.
    pub(super) async fn record_refusals(self: &Arc<Self>) {
        let refused = stream::iter(self.refusals.take());
        let recorded = refused.for_each_concurrent(AT_ONCE, |mut event| async {
            self.ask(&mut event).await;
            // A degraded record waits in the spool; a refusal has nobody to tell.
            if let Err(error) = self.record(event).await {
                tracing::error!(%error, "a refused attempt could not be recorded");
            }
        });
        recorded.await;
    }
}
