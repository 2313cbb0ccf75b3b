//! A run as it is kept: how far it is, and how it ended.

use std::time::Duration;

use identity::{AssetId, Problem, RequestIds, Scope, Timestamp, UserId};
use nexus::RunStatus;
use realtime::CanvasKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::DocKey;

use super::{Plan, RunId};
use crate::{
    CanvasError, Mode,
    model::{AgentName, Conflict, Digest},
};

/// Whoever carries a run out says so this often; one that was silent for so long has stopped.
pub const LEASE: Duration = Duration::from_secs(30);
/// The code of a run whose server stopped.
pub const INTERRUPTED: &str = "interrupted";
/// Most conflicts that are kept.
const CONFLICTS_MAX: usize = 10;
/// Longest message of a failure, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A run of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id, unique on its canvas.
    pub run_id: RunId,
    /// What is done.
    pub name: String,
    /// Who does it on behalf of `created_by`.
    pub agent: AgentName,
    /// How its steps meet commits that the agent has not seen.
    pub mode: Mode,
    /// The revision that its first step was made for.
    pub base_rev: u64,
    /// How far it is.
    pub status: RunStatus,
    /// How many steps it has.
    pub steps: usize,
    /// The revision that each step made, of those that were taken.
    pub revs: Vec<u64>,
    /// On whose behalf.
    pub created_by: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Failed>,
    /// The replay of what it did.
    pub asset_id: Option<AssetId>,
    /// Whether someone has called it off.
    pub cancel_requested: bool,
    pub(super) request_id: String,
    pub(super) traceparent: String,
    pub(super) fingerprint: Digest,
    pub(super) alive_until: Timestamp,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// For programs: a code of a problem, or [`INTERRUPTED`].
    pub code: String,
    /// For people.
    pub message: String,
    /// The step at which, from 1; `None` when all were taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// What it would have overwritten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

impl Run {
    /// A run that begins now.
    pub(super) fn begin(scope: &Scope, plan: &Plan, now: Timestamp) -> Self {
        let (heading, ids) = (&plan.heading, scope.ids());
        Self {
            run_id: heading.run_id.clone(),
            name: heading.name.clone(),
            agent: heading.agent.clone(),
            mode: heading.mode,
            base_rev: heading.base_rev,
            status: RunStatus::Running,
            steps: plan.steps.len(),
            revs: Vec::new(),
            created_by: scope.user().clone(),
            created_at: now,
            finished_at: None,
            error: None,
            asset_id: None,
            cancel_requested: false,
            request_id: ids.request_id.to_string(),
            traceparent: ids.traceparent.as_str().to_owned(),
            fingerprint: plan.fingerprint,
            alive_until: now.plus(LEASE),
        }
    }

    /// Whether `scope` asks for this very run again.
    pub(super) fn is_of(&self, scope: &Scope, plan: &Plan) -> bool {
        self.fingerprint == plan.fingerprint && self.created_by == *scope.user()
    }

    /// Whether whoever carried it out has stopped.
    pub(super) fn is_abandoned(&self, now: Timestamp) -> bool {
        !self.status.is_final() && self.alive_until < now
    }

    /// Ends it.
    pub(super) fn end(&mut self, status: RunStatus, error: Option<Failed>, now: Timestamp) {
        self.status = status;
        self.error = error;
        self.finished_at = Some(now);
    }

    /// Ends one that was abandoned. What its steps did stays, and is in the log of the canvas.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        if self.cancel_requested {
            return self.end(RunStatus::Cancelled, None, now);
        }
        let error = Failed {
            code: INTERRUPTED.to_owned(),
            message: "The server that carried it out stopped. What was committed stays.".to_owned(),
            step: self.next_step(),
            conflicts: Vec::new(),
        };
        self.end(RunStatus::Failed, Some(error), now);
    }

    /// The number of the first step that was not taken, if there is one.
    pub(super) fn next_step(&self) -> Option<usize> {
        let next = self.revs.len() + 1;
        (next <= self.steps).then_some(next)
    }
}

impl Failed {
    /// What went wrong at `step`, and its code.
    pub(super) fn at(
        step: Option<usize>,
        error: CanvasError,
        ids: &RequestIds,
    ) -> (Self, &'static str) {
        let mut conflicts = Vec::new();
        if let CanvasError::Elsewhere(elsewhere) = &error {
            conflicts.clone_from(&elsewhere.conflicts);
            conflicts.truncate(CONFLICTS_MAX);
        }
        let problem = Problem::from(error);
        let failed = Self {
            conflicts,
            ..Self::of(step, &problem, ids)
        };
        (failed, problem.code().as_str())
    }

    /// What is told as `problem`.
    pub(super) fn of(step: Option<usize>, problem: &Problem, ids: &RequestIds) -> Self {
        let told = problem.to_json(ids);
        let mut message = told
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or_default();
        message = message
            .get(..message.floor_char_boundary(MESSAGE_BYTES_MAX))
            .unwrap_or(message);
        Self {
            code: problem.code().as_str().to_owned(),
            message: message.to_owned(),
            step,
            conflicts: Vec::new(),
        }
    }
}

/// What the names of all runs of a canvas begin with.
pub(super) fn runs(key: &CanvasKey) -> DocKey {
    key.document("a/")
}

pub(super) fn run_key(key: &CanvasKey, id: &RunId) -> DocKey {
    key.document(&format!("a/{id}"))
}
