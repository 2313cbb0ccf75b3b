//! What can go wrong, and the problem each becomes.

use identity::{Code, Problem};
use nexus::NexusError;
use realtime::RealtimeError;
use serde_json::json;
use store::{CommitError, InvalidPage, StoreError};

use crate::{
    Recovery,
    model::{CommandId, Conflict, Skipped},
};

/// Most conflicts that are listed.
const CONFLICTS_MAX: usize = 100;

/// Why a canvas was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CanvasError {
    /// A command cannot be carried out; nothing was.
    #[error("a command cannot be carried out: {why}")]
    CommandInvalid {
        /// The command; `None` when it is about the batch.
        cmd_id: Option<CommandId>,
        /// Why.
        why: String,
    },
    /// A plan is none that can be carried out.
    #[error("{pointer}: {why}")]
    PlanInvalid {
        /// Where, as a JSON pointer into the body.
        pointer: String,
        /// Why.
        why: String,
    },
    /// The batch id stands for another batch.
    #[error("the batch id was used for another batch")]
    IdempotencyConflict,
    /// The canvas is not where the client thinks; here is the way there.
    #[error("the canvas is at another revision")]
    Elsewhere(Box<Elsewhere>),
    /// Nothing of the batch is as it left it.
    #[error("nothing is left to undo")]
    UndoConflict(Vec<Skipped>),
    /// There is no such revision, batch or version here (any more).
    #[error("there is no such revision here")]
    NotFound,
    /// The replay would be too large.
    #[error("the replay would be too large")]
    ReplayTooLarge {
        /// The last revision with which it would not be; `None` when there is none.
        fits_to: Option<u64>,
    },
    /// As many artifacts are being made as may be at once.
    #[error("other artifacts are being made")]
    Busy,
    /// The artifact was not stored.
    #[error(transparent)]
    Artifact(#[from] NexusError),
    /// Other nodes were faster, again and again.
    #[error("the canvas was changed by other nodes meanwhile")]
    Contended,
    /// As many changes wait for the canvas as may.
    #[error("too many changes wait for the canvas")]
    Crowded,
    /// The registry or the rail refused.
    #[error(transparent)]
    Realtime(#[from] RealtimeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A client that is not where the canvas is.
#[derive(Debug)]
pub struct Elsewhere {
    /// In which way.
    pub kind: Elsewise,
    /// What would have been overwritten.
    pub conflicts: Vec<Conflict>,
    /// All that the client needs to be where the canvas is.
    pub recovery: Recovery,
}

/// How a client's knowledge differs from the canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewise {
    /// There are commits that it has not seen.
    Behind,
    /// It has seen a revision that there is not.
    Ahead,
    /// It is in another epoch.
    OtherEpoch,
}

impl CanvasError {
    pub(crate) fn invalid(cmd_id: Option<&CommandId>, why: impl Into<String>) -> Self {
        Self::CommandInvalid {
            cmd_id: cmd_id.cloned(),
            why: why.into(),
        }
    }

    /// Stored data that cannot be understood.
    pub(crate) fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Store(StoreError::Corrupt(what.to_string()))
    }
}

impl From<CommitError> for CanvasError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) => Self::Contended,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl From<InvalidPage> for CanvasError {
    fn from(error: InvalidPage) -> Self {
        Self::invalid(None, error.to_string())
    }
}

impl From<CanvasError> for Problem {
    fn from(error: CanvasError) -> Self {
        match error {
            CanvasError::CommandInvalid { cmd_id, why } => {
                let at = cmd_id
                    .as_ref()
                    .map_or(String::new(), |id| format!("{id}: "));
                Self::new(
                    Code::CommandInvalid,
                    format!("{at}{why}. Nothing was applied."),
                )
                .with("cmd_id", cmd_id.map(|id| id.to_string()))
                .with("reason", why)
                .with("applied", false)
            }
            CanvasError::PlanInvalid { pointer, why } => Self::invalid(&pointer, why),
            CanvasError::IdempotencyConflict => Self::new(
                Code::IdempotencyConflict,
                "The id was used for another batch, or for another run.",
            ),
            CanvasError::Elsewhere(elsewhere) => (*elsewhere).into(),
            CanvasError::UndoConflict(skipped) => Self::new(
                Code::UndoConflict,
                "Everything that the batch did was changed since, so nothing is taken back.",
            )
            .with("skipped", json!(skipped)),
            CanvasError::NotFound => Self::not_found(),
            CanvasError::ReplayTooLarge { fits_to } => Self::invalid(
                "/to_rev",
                "the replay would be too large; ask for fewer revisions",
            )
            .with("fits_to", json!(fits_to)),
            CanvasError::Artifact(error) => error.into(),
            unable @ (CanvasError::Contended | CanvasError::Crowded | CanvasError::Busy) => {
                Self::unavailable(&unable)
            }
            CanvasError::Realtime(error) => error.into(),
            CanvasError::Store(error) => Self::unavailable(&error),
        }
    }
}

impl From<Elsewhere> for Problem {
    fn from(elsewhere: Elsewhere) -> Self {
        let Elsewhere {
            kind,
            mut conflicts,
            recovery,
        } = elsewhere;
        conflicts.truncate(CONFLICTS_MAX);
        let (code, detail) = match kind {
            Elsewise::Behind => (
                Code::RevMismatch,
                "The canvas has commits that the batch does not know; nothing was applied.",
            ),
            Elsewise::Ahead => (
                Code::RevAhead,
                "The canvas has no such revision; nothing was applied.",
            ),
            Elsewise::OtherEpoch => (
                Code::EpochMismatch,
                "The canvas is in another epoch; nothing was applied.",
            ),
        };
        let problem = Self::new(code, detail)
            .with("head_rev", recovery.head_rev)
            .with("epoch", recovery.epoch)
            .with("head_hash", recovery.head_hash.to_string())
            .with("applied", false)
            .with("resume_id", recovery.resume_id.clone())
            .with("conflicts", json!(conflicts));
        let (snapshot, commits) = recovery.way.to_json();
        let problem = problem.with("commits", commits);
        match snapshot {
            Some(snapshot) => problem.with("snapshot", snapshot),
            None => problem,
        }
    }
}
