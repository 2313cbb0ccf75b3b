//! What happened: the event as those who record it know it.
//!
//! Start at [`DatasetEvent`]. An event names personal values beside their
//! subject; [`seal`](crate::seal::seal) turns it into a leaf that holds only
//! commitments to them, and a sealed part that can be made unreadable.

use std::{collections::BTreeSet, fmt, str::FromStr};

use identity::{Env, ProjectId, RequestId, Role, TenantId, Timestamp, Traceparent, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::{Hash, Label, Seq};

/// Most personal values beside actor and target.
pub const PERSONAL_MAX: usize = 8;
/// Longest personal value, in bytes.
pub const PERSONAL_VALUE_BYTES_MAX: usize = 1024;
/// Longest id of a target, in bytes.
pub const TARGET_ID_BYTES_MAX: usize = 256;

/// One thing that was attempted or done in a tenant's environment.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetEvent {
    /// The tenant in whose log it belongs.
    pub tenant: TenantId,
    /// The environment in whose log it belongs.
    pub env: Env,
    /// The project, for what happened in one.
    pub project: Option<ProjectId>,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, such as `control.member.remove`.
    pub action: Label,
    /// To what.
    pub target: Option<Target>,
    /// Whether this announces, concludes, or is the whole of it.
    pub phase: Phase,
    /// The request; equal to the `trace_id` of its other traces.
    pub request_id: RequestId,
    /// The W3C trace, for what a request caused.
    pub traceparent: Option<Traceparent>,
    /// Whether this may be used for training.
    pub training: Training,
    /// The hash of the caller's idempotency key.
    pub idempotency: Option<Hash>,
    /// How many alike this record stands for, 1 unless refusals were sampled.
    pub repeated: u32,
    /// Anything else worth knowing, without personal data.
    pub metadata: Map<String, Value>,
    /// Personal values worth keeping until their subject is erased.
    pub personal: Vec<Personal>,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A user; the id is personal, the role is not.
    User {
        /// Who, and the subject of the id.
        id: UserId,
        /// In what role, where one was established.
        role: Option<Role>,
    },
    /// A part of Tenantry itself, such as `audit.recovery`.
    System(Label),
    /// Nobody who was known.
    Anonymous,
}

/// What was acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What kind of thing, such as `project`.
    pub kind: Label,
    /// Which one.
    pub id: TargetId,
}

/// Which thing was acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetId {
    /// A thing whose id is not personal, at most 256 bytes.
    Thing(SmolStr),
    /// A user, whose id is personal.
    User(UserId),
}

/// Where this record stands in what it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It is about to be done; an outcome follows, or recovery writes `unknown`.
    Intent,
    /// What became of an intent.
    Outcome {
        /// The intent's place in the same log.
        intent: Seq,
        /// What became of it.
        outcome: Outcome,
    },
    /// The whole of it in one record.
    Event(Outcome),
}

/// How it ended. As text: `done`, `refused:<code>`, `failed:<code>` or `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, with the code of the problem that the caller got.
    Refused(Label),
    /// It failed, with a code.
    Failed(Label),
    /// Nobody knows: the process ended between intent and outcome.
    Unknown,
}

/// A text is no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an outcome: done, refused:<code>, failed:<code> or unknown")]
pub struct InvalidOutcome;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Refused(code) => write!(f, "refused:{code}"),
            Self::Failed(code) => write!(f, "failed:{code}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl FromStr for Outcome {
    type Err = InvalidOutcome;
    fn from_str(text: &str) -> Result<Self, InvalidOutcome> {
        let code = |code: &str| code.parse().map_err(|_| InvalidOutcome);
        match text.split_once(':') {
            None if text == "done" => Ok(Self::Done),
            None if text == "unknown" => Ok(Self::Unknown),
            Some(("refused", rest)) => code(rest).map(Self::Refused),
            Some(("failed", rest)) => code(rest).map(Self::Failed),
            _ => Err(InvalidOutcome),
        }
    }
}

impl TryFrom<String> for Outcome {
    type Error = InvalidOutcome;
    fn try_from(text: String) -> Result<Self, InvalidOutcome> {
        text.parse()
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> String {
        outcome.to_string()
    }
}

/// Whether a record may be used for training, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Whether it may.
    pub allowed: bool,
    /// The layer that decided, such as `user` or `system`.
    pub source: SmolStr,
    /// The version of that layer's preference.
    pub version: u64,
}

/// A personal value, kept until its subject is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personal {
    /// What it is, such as `email`.
    pub name: Label,
    /// Whose it is.
    pub subject: UserId,
    /// The value, at most 1,024 bytes.
    pub value: String,
}

impl DatasetEvent {
    /// Everyone whose personal values the event holds: their keys are needed to seal it.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<&UserId> {
        let actor = match &self.actor {
            Actor::User { id, .. } => Some(id),
            Actor::System(_) | Actor::Anonymous => None,
        };
        let target = match self.target.as_ref().map(|target| &target.id) {
            Some(TargetId::User(id)) => Some(id),
            Some(TargetId::Thing(_)) | None => None,
        };
        let values = self.personal.iter().map(|personal| &personal.subject);
        actor.into_iter().chain(target).chain(values).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_one_spelling() {
        for text in [
            "done",
            "unknown",
            "refused:role_forbidden",
            "failed:backend_unavailable",
        ] {
            assert_eq!(text.parse::<Outcome>().unwrap().to_string(), text);
        }
        for bad in [
            "", "Done", "refused", "refused:", "failed:A", "done:x", "unknown:",
        ] {
            assert_eq!(bad.parse::<Outcome>(), Err(InvalidOutcome), "{bad}");
        }
    }
}
