//! Bodies and answers.

use std::time::Duration;

use identity::{CanvasId, Problem};
use realtime::Canvas;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Applied, CanvasError, CommandBatch, Commit, Heading, Identity, Mode, Plan, Played, ReplayRange,
    Restore, RunId, Sent, SentStep, Undoing, Version, View,
    model::{AgentName, BatchId, ClientId, CommandId, Digest, Effective, Node, Skipped, State},
    replay::Keyframe,
};

/// A canvas to register.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct CreateBody {
    /// `cv_…`; made by the server when absent.
    #[schema(value_type = Option<String>)]
    pub(super) canvas_id: Option<CanvasId>,
    /// What people call it.
    pub(super) title: Option<String>,
}

/// Which revision a preview is of.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct PreviewBody {
    /// The revision; the head unless said.
    pub(super) rev: Option<u64>,
}

/// Which revisions a replay is of.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct ReplayBody {
    /// The first; the oldest that is kept unless said.
    from_rev: Option<u64>,
    /// The last; the head unless said.
    to_rev: Option<u64>,
}

impl ReplayBody {
    pub(super) fn range(&self) -> Result<ReplayRange, Problem> {
        let &Self { from_rev, to_rev } = self;
        if to_rev.is_some_and(|to| from_rev.is_some_and(|from| from > to)) {
            return Err(Problem::invalid("/to_rev", "is before from_rev"));
        }
        Ok(ReplayRange { from_rev, to_rev })
    }
}

/// A batch of commands.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct CommandsBody {
    /// The revision that the commands were made for.
    base_rev: u64,
    /// The epoch of that revision.
    epoch: Option<u64>,
    /// The tab, device or run.
    #[schema(value_type = String)]
    client_id: ClientId,
    /// Unique among the batches of the client; sent again, it is carried out once.
    #[schema(value_type = String)]
    batch_id: BatchId,
    #[serde(default)]
    mode: ModeBody,
    /// Carried out together, or not at all.
    commands: Vec<CommandBody>,
}

/// How commits that the client has not seen are met.
#[derive(Deserialize, utoipa::ToSchema, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModeBody {
    #[default]
    Strict,
    Rebase,
}

/// A command.
#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct CommandBody {
    #[schema(value_type = String)]
    cmd_id: CommandId,
    /// `node.create`, `node.update`, `node.move` or `node.delete`.
    kind: String,
    /// What the kind asks for.
    #[schema(value_type = Object)]
    args: Box<RawValue>,
}

impl TryFrom<CommandsBody> for CommandBatch {
    type Error = CanvasError;

    fn try_from(body: CommandsBody) -> Result<Self, CanvasError> {
        let identity = Identity {
            client_id: body.client_id,
            batch_id: body.batch_id,
        };
        let sent = body.commands.into_iter().map(Sent::from).collect();
        Self::new(identity, body.base_rev, body.epoch, body.mode.into(), sent)
    }
}

impl From<ModeBody> for Mode {
    fn from(mode: ModeBody) -> Self {
        match mode {
            ModeBody::Strict => Self::Strict,
            ModeBody::Rebase => Self::Rebase,
        }
    }
}

impl From<CommandBody> for Sent {
    fn from(CommandBody { cmd_id, kind, args }: CommandBody) -> Self {
        Self { cmd_id, kind, args }
    }
}

/// What an agent is to do.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct RunBody {
    /// `rn_…`, chosen by whoever starts it; sent again, it is begun once.
    #[schema(value_type = String)]
    run_id: RunId,
    /// What is done: one line, at most 300 bytes.
    name: String,
    /// Who does it on behalf of the caller.
    #[schema(value_type = String)]
    agent: AgentName,
    /// The revision that the first step was made for.
    base_rev: u64,
    /// The epoch of that revision.
    epoch: Option<u64>,
    #[serde(default)]
    mode: ModeBody,
    /// At most 200, taken one after the other.
    steps: Vec<StepBody>,
}

/// A step of a run.
#[derive(Deserialize, utoipa::ToSchema)]
struct StepBody {
    /// How long to wait before it, in milliseconds, at most 10,000.
    #[serde(default)]
    after_ms: u64,
    /// Carried out together, or not at all.
    commands: Vec<CommandBody>,
}

impl TryFrom<RunBody> for Plan {
    type Error = CanvasError;

    fn try_from(body: RunBody) -> Result<Self, CanvasError> {
        let heading = Heading {
            run_id: body.run_id,
            name: body.name,
            agent: body.agent,
            base_rev: body.base_rev,
            epoch: body.epoch,
            mode: body.mode.into(),
        };
        let steps = body.steps.into_iter().map(|step| SentStep {
            after: Duration::from_millis(step.after_ms),
            commands: step.commands.into_iter().map(Sent::from).collect(),
        });
        Self::new(heading, steps.collect())
    }
}

/// A batch to take back.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct UndoBody {
    /// The client, of the undo and of the batch.
    #[schema(value_type = String)]
    client_id: ClientId,
    /// Names the undo.
    #[schema(value_type = String)]
    batch_id: BatchId,
    /// The batch to take back, an undo perhaps.
    #[schema(value_type = String)]
    undo: BatchId,
}

impl From<UndoBody> for Undoing {
    fn from(body: UndoBody) -> Self {
        Self {
            identity: Identity {
                client_id: body.client_id,
                batch_id: body.batch_id,
            },
            batch_id: body.undo,
        }
    }
}

/// A revision to go back to.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct RestoreBody {
    #[schema(value_type = String)]
    client_id: ClientId,
    /// Names the restore.
    #[schema(value_type = String)]
    batch_id: BatchId,
    /// The revision.
    rev: u64,
}

impl From<RestoreBody> for Restore {
    fn from(body: RestoreBody) -> Self {
        Self {
            identity: Identity {
                client_id: body.client_id,
                batch_id: body.batch_id,
            },
            rev: body.rev,
        }
    }
}

/// A canvas that was registered.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CreatedView {
    canvas_id: String,
    title: Option<String>,
    epoch: u64,
    head_rev: u64,
}

impl CreatedView {
    pub(super) fn new(canvas: Canvas, view: &View) -> Self {
        Self {
            canvas_id: canvas.canvas_id.to_string(),
            title: canvas.title,
            epoch: view.epoch,
            head_rev: view.rev,
        }
    }
}

/// A canvas in a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CanvasView {
    canvas_id: String,
    project_id: String,
    title: Option<String>,
    created_by: String,
    created_at: String,
}

impl From<&Canvas> for CanvasView {
    fn from(canvas: &Canvas) -> Self {
        Self {
            canvas_id: canvas.canvas_id.to_string(),
            project_id: canvas.project_id.to_string(),
            title: canvas.title.clone(),
            created_by: canvas.created_by.to_string(),
            created_at: canvas.created_at.to_string(),
        }
    }
}

/// A page of a list.
#[derive(Serialize)]
pub(crate) struct PageView<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

/// A page of commits.
#[derive(Serialize)]
pub(crate) struct CommitsView {
    pub(super) items: Vec<Commit>,
    pub(super) next: Option<String>,
    /// The oldest commit that is kept.
    pub(super) oldest_rev: u64,
}

/// A page of versions.
pub(super) type VersionsView = PageView<Version>;

/// A canvas at a revision.
#[derive(Serialize)]
pub(crate) struct StateView<'a> {
    canvas_id: &'a str,
    rev: u64,
    epoch: u64,
    state: Nodes<'a>,
    state_hash: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Nodes<'a> {
    nodes: Vec<&'a Node>,
}

impl<'a> StateView<'a> {
    pub(super) fn new(canvas_id: &'a str, view: &'a View) -> Self {
        Self {
            canvas_id,
            rev: view.rev,
            epoch: view.epoch,
            state: nodes(&view.state),
            state_hash: view.state_hash,
            resume_id: view.resume_id.as_deref(),
        }
    }
}

/// A part of the log, as a player shows it.
#[derive(Serialize)]
pub(crate) struct PlayedView<'a> {
    canvas_id: &'a str,
    epoch: u64,
    keyframe: Keyframe<'a>,
    commits: &'a [Commit],
    next: Option<String>,
    resume_id: Option<&'a str>,
}

impl<'a> PlayedView<'a> {
    pub(super) fn new(canvas_id: &'a str, played: &'a Played) -> Self {
        Self {
            canvas_id,
            epoch: played.epoch,
            keyframe: Keyframe::of(played.commit.as_ref(), played.rev, &played.state),
            commits: &played.commits,
            next: played.next.map(|next| next.to_string()),
            resume_id: played.resume_id.as_deref(),
        }
    }
}

fn nodes(state: &State) -> Nodes<'_> {
    Nodes {
        nodes: state.nodes().map(AsRef::as_ref).collect(),
    }
}

/// A change that was made.
#[derive(Serialize)]
pub(crate) struct AppliedView {
    rev: u64,
    epoch: u64,
    state_hash: Digest,
    effective: Vec<Effective>,
    rebased_over: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<Skipped>,
    duplicate: bool,
}

impl From<Applied> for AppliedView {
    fn from(applied: Applied) -> Self {
        Self {
            rev: applied.rev,
            epoch: applied.epoch,
            state_hash: applied.state_hash,
            effective: applied.effective,
            rebased_over: applied.rebased_over,
            skipped: applied.skipped,
            duplicate: applied.duplicate,
        }
    }
}
