//! What an agent is to do: batches of commands, one after the other; valid from birth.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use gatechain::{Mutation, PayloadHash};
use realtime::CanvasKey;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    CanvasError, CommandBatch, Identity, Mode, RunAgent, Sent,
    model::{AgentName, BatchId, ClientId, Digest},
};

/// Most steps of a run.
pub const RUN_STEPS_MAX: usize = 200;
/// Longest wait before a step.
pub const STEP_WAIT_MAX: Duration = Duration::from_secs(10);
/// Longest wait of all steps together.
pub const RUN_WAIT_MAX: Duration = Duration::from_secs(600);
/// Longest name of a run, in bytes.
pub const RUN_NAME_BYTES_MAX: usize = 300;
/// What the ids of runs begin with.
const PREFIX: &str = "rn_";

/// A run, named by whoever starts it; it is also the client whose batches the steps are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct RunId(ClientId);

/// A text names no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be rn_ and then A-Z a-z 0-9 _ -, at most 64 bytes in all")]
pub struct InvalidRunId;

impl RunId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The client under which the steps are sent.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, InvalidRunId> {
        let rest = text.strip_prefix(PREFIX).ok_or(InvalidRunId)?;
        let in_ids = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if rest.is_empty() || !rest.bytes().all(in_ids) {
            return Err(InvalidRunId);
        }
        text.parse().map(Self).map_err(|_| InvalidRunId)
    }
}

impl TryFrom<SmolStr> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: SmolStr) -> Result<Self, InvalidRunId> {
        text.parse()
    }
}

impl From<RunId> for SmolStr {
    fn from(id: RunId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a run is called, who does it, and from where.
#[derive(Debug, Clone)]
pub struct Heading {
    /// The run.
    pub run_id: RunId,
    /// What is done, for people: at most [`RUN_NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Who does it on behalf of the caller.
    pub agent: AgentName,
    /// The revision that the first step is made for.
    pub base_rev: u64,
    /// The epoch of that.
    pub epoch: Option<u64>,
    /// How the steps meet commits that the agent has not seen.
    pub mode: Mode,
}

/// A step as it was sent.
#[derive(Debug)]
pub struct SentStep {
    /// How long to wait before it, at most [`STEP_WAIT_MAX`].
    pub after: Duration,
    /// Carried out together, or not at all.
    pub commands: Vec<Sent>,
}

/// Steps that an agent takes, one after the other.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) heading: Heading,
    pub(super) steps: Vec<Step>,
    pub(super) fingerprint: Digest,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) after: Duration,
    /// Made for the base of the run; sent for where the run is.
    pub(super) batch: CommandBatch,
}

impl Plan {
    /// A plan of these steps.
    ///
    /// # Errors
    /// [`CanvasError::PlanInvalid`], [`CanvasError::CommandInvalid`] names the command.
    pub fn new(heading: Heading, sent: Vec<SentStep>) -> Result<Self, CanvasError> {
        let invalid = |pointer: &str, why: String| CanvasError::PlanInvalid {
            pointer: pointer.to_owned(),
            why,
        };
        let (name, count) = (&heading.name, sent.len());
        if name.is_empty() || name.len() > RUN_NAME_BYTES_MAX || name.contains(char::is_control) {
            let why = format!("is one line of 1 to {RUN_NAME_BYTES_MAX} bytes");
            return Err(invalid("/name", why));
        }
        if count == 0 || count > RUN_STEPS_MAX {
            let why = format!("a run has 1 to {RUN_STEPS_MAX} steps");
            return Err(invalid("/steps", why));
        }
        let (mut steps, mut wait) = (Vec::with_capacity(count), Duration::ZERO);
        for (at, step) in sent.into_iter().enumerate() {
            wait += step.after;
            if step.after > STEP_WAIT_MAX || wait > RUN_WAIT_MAX {
                let (one, all) = (STEP_WAIT_MAX.as_millis(), RUN_WAIT_MAX.as_millis());
                let why = format!("a step waits at most {one} ms, and all together {all} ms");
                return Err(invalid(&format!("/steps/{at}/after_ms"), why));
            }
            steps.push(Step {
                after: step.after,
                batch: heading.batch(at, step.commands)?,
            });
        }
        let fingerprint = heading.fingerprint(&steps);
        Ok(Self {
            heading,
            steps,
            fingerprint,
        })
    }
}

impl Heading {
    /// The batch of a step; they are numbered from 1.
    fn batch(&self, at: usize, commands: Vec<Sent>) -> Result<CommandBatch, CanvasError> {
        let number = at + 1;
        let batch_id: BatchId = number.to_string().parse().map_err(CanvasError::damaged)?;
        let identity = Identity {
            client_id: self.run_id.client().clone(),
            batch_id,
        };
        let batch = CommandBatch::new(identity, self.base_rev, self.epoch, self.mode, commands);
        batch.map_err(|error| match error {
            CanvasError::CommandInvalid { cmd_id, why } => CanvasError::CommandInvalid {
                cmd_id,
                why: format!("step {number}: {why}"),
            },
            other => other,
        })
    }

    fn fingerprint(&self, steps: &[Step]) -> Digest {
        let mut parts = vec![
            self.name.clone().into_bytes(),
            self.agent.as_str().as_bytes().to_vec(),
        ];
        for step in steps {
            parts.push(step.after.as_millis().to_string().into_bytes());
            parts.push(step.batch.fingerprint.to_string().into_bytes());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Digest::of_parts(&parts)
    }
}

/// A run of an agent: what it does stays in the canvas, and the replay of it goes to the outside.
#[derive(Debug, Clone)]
pub struct RunOf {
    pub(super) key: CanvasKey,
    pub(super) plan: Arc<Plan>,
    payload: Option<PayloadHash>,
}

impl RunOf {
    /// Carries out `plan`; `payload` is the hash of the body that asks for it.
    #[must_use]
    pub fn new(key: CanvasKey, plan: Plan, payload: Option<PayloadHash>) -> Self {
        Self {
            key,
            plan: Arc::new(plan),
            payload,
        }
    }
}

impl Mutation for RunOf {
    type Action = RunAgent;
    const KIND: &'static str = "canvas";

    fn target(&self) -> Option<&str> {
        Some(self.key.canvas().as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_ids_of_one_form() {
        for good in ["rn_1", "rn_A-9_", &format!("rn_{}", "x".repeat(61))] {
            assert_eq!(good.parse::<RunId>().unwrap().to_string(), *good);
        }
        for bad in [
            "",
            "rn_",
            "r_1",
            "rn_a.b",
            "rn_a b",
            &format!("rn_{}", "x".repeat(62)),
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
    }
}
