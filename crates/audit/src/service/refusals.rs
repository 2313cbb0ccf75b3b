//! Refused attempts: recorded soon after, alike ones as one record with a count.
//!
//! A flood of refusals costs one record per kind and turn, and bounded memory.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::Audit;
use crate::{Actor, DatasetEvent, Label, Outcome, Phase};

/// Kinds of refusals that are told apart in one turn; what is beyond is left to the metric.
const KINDS_MAX: usize = 4096;

/// What makes refusals alike.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    tenant: identity::TenantId,
    env: identity::Env,
    user: Option<identity::UserId>,
    action: Label,
    outcome: String,
}

/// The first of each kind since the last turn, with how often it came.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<Kind, DatasetEvent>>);

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
        let mut kinds = self.0.lock();
        if let Some(first) = kinds.get_mut(&kind) {
            first.repeated = first.repeated.saturating_add(1);
        } else if kinds.len() < KINDS_MAX {
            kinds.insert(kind, event);
        } else {
            metrics::counter!("tenantry_audit_refusals_unrecorded_total").increment(1);
        }
    }

    fn take(&self) -> Vec<DatasetEvent> {
        let taken = std::mem::take(&mut *self.0.lock());
        taken.into_values().collect()
    }
}

impl Audit {
    /// Records what was refused since the last turn.
    pub(super) async fn record_refusals(self: &Arc<Self>) {
        for mut event in self.refusals.take() {
            self.ask(&mut event).await;
            // A degraded record waits in the spool; a refusal has nobody to tell.
            if let Err(error) = self.record(event).await {
                tracing::error!(%error, "a refused attempt could not be recorded");
            }
        }
    }
}
