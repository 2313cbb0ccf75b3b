//! A refusal of the gates, and the problem that it becomes.

use std::time::Duration;

use identity::{Code, Problem};
use smol_str::SmolStr;
use store::StoreError;

use crate::{Gate, Refusal, Verdict};

/// The gates refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the gate {gate} refused: {}", .refusal.detail)]
pub struct Denied {
    /// Names the decision on the audit log.
    pub decision_id: SmolStr,
    /// The first gate that refused.
    pub gate: Gate,
    /// Why.
    pub refusal: Refusal,
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let Denied {
            decision_id,
            gate,
            refusal,
        } = denied;
        let problem = Self::new(refusal.code, refusal.detail)
            .with("gate", gate.as_str())
            .with("decision_id", decision_id.as_str())
            .with("lift", refusal.lift);
        let problem = match refusal.row {
            Some(row) => problem.with("row", row.to_string()),
            None => problem,
        };
        match (refusal.retry_after, refusal.code) {
            (Some(wait), _) => problem.retry_after(wait),
            (None, Code::BackendUnavailable) => problem.retry_after(Duration::from_secs(1)),
            (None, _) => problem,
        }
    }
}

/// The verdict when rows could not be read at all.
pub(super) fn unavailable(gate: Gate, error: &StoreError) -> Verdict {
    Verdict {
        gate,
        refusal: Some(Box::new(backend(error))),
        nanos: 0,
    }
}

pub(super) fn backend(error: &StoreError) -> Refusal {
    tracing::error!(%error, "the state of the gates is unavailable");
    Refusal {
        code: Code::BackendUnavailable,
        detail: "The state of the gates is unavailable. Try again later.".to_owned(),
        row: None,
        lift: "The store of the gates answers again.",
        retry_after: Some(Duration::from_secs(1)),
    }
}
