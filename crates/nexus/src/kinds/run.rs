//! Runs: something that is done in steps, and how far it is.

use std::collections::BTreeSet;

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Body, Invalid, Model, Writing,
    checks::{count, json, line, tags, text},
};

const NAME_BYTES_MAX: usize = 300;
const STEPS_MAX: usize = 200;
const DATA_BYTES_MAX: usize = 64 * 1024;
const CODE_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

identity::action!(ReadRuns, "nexus.runs.read", Viewer);
identity::action!(CreateRun, "nexus.runs.create", Member);
identity::action!(UpdateRun, "nexus.runs.update", Member);
identity::action!(DeleteRun, "nexus.runs.delete", Member);

/// How far a run or a step is. It never goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It has not begun.
    #[default]
    Queued,
    /// It goes on.
    Running,
    /// It has done what it was to do.
    Succeeded,
    /// It has not.
    Failed,
    /// It was called off.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether `next` may follow, or is the same.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            // What never ran did not succeed.
            Self::Queued => next != Self::Succeeded,
            Self::Running => next != Self::Queued,
            Self::Succeeded | Self::Failed | Self::Cancelled => next == self,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Failure {
    /// For programs: one line, at most 64 bytes.
    pub code: String,
    /// For people: at most 4 KiB.
    #[serde(default)]
    pub message: String,
}

/// What a client writes of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RunBody {
    /// What is done: one line, at most 300 bytes.
    pub name: String,
    /// `queued` unless said; a new run is `queued` or `running`.
    #[serde(default)]
    pub status: RunStatus,
    /// At most 200, by different names.
    #[serde(default)]
    pub steps: Vec<StepBody>,
    /// What it begins with, at most 64 KiB.
    #[serde(default)]
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub input: Map<String, Value>,
    /// What came of it, at most 64 KiB.
    #[serde(default)]
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub output: Map<String, Value>,
    /// Why it failed: required when it did, and then alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// At most 50 different ones of at most 64 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// What a client writes of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct StepBody {
    /// By which it is known in its run: one line, at most 300 bytes.
    pub name: String,
    /// `queued` unless said.
    #[serde(default)]
    pub status: RunStatus,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Run {
    /// What is done.
    pub name: String,
    /// How far it is.
    pub status: RunStatus,
    /// When it was first known to run.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub started_at: Option<Timestamp>,
    /// When it was known to be over.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub finished_at: Option<Timestamp>,
    /// Its steps.
    pub steps: Vec<Step>,
    /// What it began with.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub input: Map<String, Value>,
    /// What came of it.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub output: Map<String, Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Step {
    /// By which it is known in its run.
    pub name: String,
    /// How far it is.
    pub status: RunStatus,
    /// When it was first known to run.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub started_at: Option<Timestamp>,
    /// When it was known to be over.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Model for Run {
    const KIND: &'static str = "runs";
    const ID_PREFIX: &'static str = "rn";

    type Read = ReadRuns;
    type Create = CreateRun;
    type Update = UpdateRun;
    type Delete = DeleteRun;
    type Body = RunBody;

    fn written(
        body: RunBody,
        before: Option<&Self>,
        writing: &Writing<'_>,
    ) -> Result<Self, Invalid> {
        match before {
            None if body.status.is_final() => {
                let why = "a new run is queued or running";
                return Err(Invalid::new("/status", why));
            }
            Some(before) => before.allow(&body)?,
            None => {}
        }
        let timing = before.map(|run| (run.started_at, run.finished_at));
        let (started_at, finished_at) = timed(body.status, timing, writing.now);
        let step = |step: StepBody| {
            let before = before.and_then(|run| run.step(&step.name));
            let timing = before.map(|step| (step.started_at, step.finished_at));
            let (started_at, finished_at) = timed(step.status, timing, writing.now);
            Step {
                name: step.name,
                status: step.status,
                started_at,
                finished_at,
                error: step.error,
            }
        };
        Ok(Self {
            name: body.name,
            status: body.status,
            started_at,
            finished_at,
            steps: body.steps.into_iter().map(step).collect(),
            input: body.input,
            output: body.output,
            error: body.error,
            tags: body.tags,
        })
    }

    fn body(&self) -> RunBody {
        let step = |step: &Step| StepBody {
            name: step.name.clone(),
            status: step.status,
            error: step.error.clone(),
        };
        RunBody {
            name: self.name.clone(),
            status: self.status,
            steps: self.steps.iter().map(step).collect(),
            input: self.input.clone(),
            output: self.output.clone(),
            error: self.error.clone(),
            tags: self.tags.clone(),
        }
    }
}

impl Run {
    fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Refuses what would undo something that has happened.
    fn allow(&self, body: &RunBody) -> Result<(), Invalid> {
        follows("/status", self.status, body.status)?;
        if self.status.is_final() && self.body() != *body {
            return Err(Invalid::new("", "the run is over, so it does not change"));
        }
        for step in &self.steps {
            let mut next = body.steps.iter().enumerate();
            match next.find(|(_, next)| next.name == step.name) {
                Some((at, next)) => {
                    follows(&format!("/steps/{at}/status"), step.status, next.status)?;
                }
                None if step.status == RunStatus::Queued => {}
                None => {
                    let why = format!("the step {:?} has begun, so it stays", step.name);
                    return Err(Invalid::new("/steps", why));
                }
            }
        }
        Ok(())
    }
}

fn follows(pointer: &str, before: RunStatus, next: RunStatus) -> Result<(), Invalid> {
    if before.may_become(next) {
        return Ok(());
    }
    let (before, next) = (before.as_str(), next.as_str());
    Err(Invalid::new(
        pointer,
        format!("{before} does not become {next}"),
    ))
}

type Timing = (Option<Timestamp>, Option<Timestamp>);

/// When it started and finished, if it now has `status` and had these times before.
fn timed(status: RunStatus, before: Option<Timing>, now: Timestamp) -> Timing {
    let (started, finished) = before.unwrap_or_default();
    // What is done without having been seen running began at the latest now.
    let begun = matches!(status, RunStatus::Running | RunStatus::Succeeded);
    let started = started.or(begun.then_some(now));
    (started, finished.or(status.is_final().then_some(now)))
}

impl Body for RunBody {
    fn check(&self) -> Result<(), Invalid> {
        line("/name", &self.name, NAME_BYTES_MAX)?;
        explained("", self.status, self.error.as_ref())?;
        if self.status == RunStatus::Failed && self.error.is_none() {
            return Err(Invalid::new("/error", "says why the run failed"));
        }
        count("/steps", self.steps.len(), STEPS_MAX)?;
        let mut names = BTreeSet::new();
        for (at, step) in self.steps.iter().enumerate() {
            let pointer = format!("/steps/{at}");
            line(&format!("{pointer}/name"), &step.name, NAME_BYTES_MAX)?;
            explained(&pointer, step.status, step.error.as_ref())?;
            if !names.insert(&step.name) {
                return Err(Invalid::new(format!("{pointer}/name"), "is there twice"));
            }
            if self.status.is_final() && step.status == RunStatus::Running {
                let why = "does not run when the run is over";
                return Err(Invalid::new(format!("{pointer}/status"), why));
            }
        }
        json("/input", &self.input, DATA_BYTES_MAX)?;
        json("/output", &self.output, DATA_BYTES_MAX)?;
        tags(&self.tags)
    }
}

/// Refuses a failure of what did not fail.
fn explained(pointer: &str, status: RunStatus, error: Option<&Failure>) -> Result<(), Invalid> {
    let Some(error) = error else {
        return Ok(());
    };
    if status != RunStatus::Failed {
        let why = "is for what has failed";
        return Err(Invalid::new(format!("{pointer}/error"), why));
    }
    line(
        &format!("{pointer}/error/code"),
        &error.code,
        CODE_BYTES_MAX,
    )?;
    let message = format!("{pointer}/error/message");
    text(&message, &error.message, MESSAGE_BYTES_MAX)
}
