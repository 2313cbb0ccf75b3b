//! What a canvas gives to the outside: artifacts, behind the gates.

use std::sync::Arc;

use gatechain::{Mutation, PayloadHash, Permit};
use identity::Scope;
use nexus::assets::{Asset, Assets, Meta, NewArtifact, Parent};
use realtime::CanvasKey;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::{
    CanvasError, CanvasService, MadeReplay, MakePreview, MakeReplay, ReplayRange, RunId, RunOf,
    View, model::AgentName, preview,
};

/// The kind of artifacts that are replays.
pub const REPLAY_KIND: &str = "canvas_replay";
/// Their media type.
pub const REPLAY_CONTENT_TYPE: &str = "application/vnd.tenantry.replay";
/// The kind of artifacts that are previews.
pub const PREVIEW_KIND: &str = "canvas_preview";
/// Artifacts that are made at once in one process; each takes up to some 100 MiB.
const MAKING_MAX: usize = 2;

/// Making a replay of a canvas.
#[derive(Debug, Clone)]
pub struct ReplayOf {
    key: CanvasKey,
    range: ReplayRange,
    payload: Option<PayloadHash>,
}

impl ReplayOf {
    /// Makes one of `range`; `payload` is the hash of the body that asks for it.
    #[must_use]
    pub const fn new(key: CanvasKey, range: ReplayRange, payload: Option<PayloadHash>) -> Self {
        Self {
            key,
            range,
            payload,
        }
    }
}

impl Mutation for ReplayOf {
    type Action = MakeReplay;
    const KIND: &'static str = "canvas";

    fn target(&self) -> Option<&str> {
        Some(self.key.canvas().as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.payload
    }
}

/// Making a picture of a canvas.
#[derive(Debug, Clone)]
pub struct PreviewOf {
    key: CanvasKey,
    rev: Option<u64>,
    payload: Option<PayloadHash>,
}

impl PreviewOf {
    /// Makes one of the revision `rev`, or of the head; `payload` is the hash of the body that asks
    /// for it.
    #[must_use]
    pub const fn new(key: CanvasKey, rev: Option<u64>, payload: Option<PayloadHash>) -> Self {
        Self { key, rev, payload }
    }
}

impl Mutation for PreviewOf {
    type Action = MakePreview;
    const KIND: &'static str = "canvas";

    fn target(&self) -> Option<&str> {
        Some(self.key.canvas().as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.payload
    }
}

/// The run that a replay is of.
pub(crate) struct AboutRun<'a> {
    pub(crate) run_id: &'a RunId,
    pub(crate) agent: &'a AgentName,
}

/// Makes artifacts of canvases.
pub struct Exports {
    pub(crate) canvases: Arc<CanvasService>,
    pub(crate) assets: Arc<Assets>,
    making: Semaphore,
}

impl Exports {
    /// Artifacts of `canvases`, kept among `assets`.
    #[must_use]
    pub const fn new(canvases: Arc<CanvasService>, assets: Arc<Assets>) -> Self {
        Self {
            canvases,
            assets,
            making: Semaphore::const_new(MAKING_MAX),
        }
    }

    /// Makes a replay, and stores it as an artifact whose parent is the canvas.
    ///
    /// # Errors
    /// As for [`CanvasService::replay`]; [`CanvasError::Busy`] when others are being made;
    /// [`CanvasError::Artifact`] when it was not stored, because the gates have closed say.
    pub async fn replay(
        &self,
        scope: &Scope,
        permit: Permit<ReplayOf>,
    ) -> Result<Asset, CanvasError> {
        let _turn = self.making.try_acquire().map_err(|_| CanvasError::Busy)?;
        let ReplayOf { key, range, .. } = permit.mutation().clone();
        let made = self.canvases.replay(&key, range).await?;
        let artifact = artifact_of(made, None)?;
        self.keep(scope, permit, &key, artifact).await
    }

    /// Makes the replay of a run, and stores it under the permit of that; waits for its turn.
    ///
    /// # Errors
    /// As for [`Exports::replay`].
    pub(crate) async fn keep_replay_of(
        &self,
        scope: &Scope,
        permit: Permit<RunOf>,
        key: &CanvasKey,
        range: ReplayRange,
        run: &AboutRun<'_>,
    ) -> Result<Asset, CanvasError> {
        let _turn = self.making.acquire().await.map_err(|_| CanvasError::Busy)?;
        let made = self.canvases.replay(key, range).await?;
        let artifact = artifact_of(made, Some(run))?;
        self.keep(scope, permit, key, artifact).await
    }

    /// Makes a picture of a revision, and stores it as an artifact whose parent is the canvas.
    ///
    /// # Errors
    /// [`CanvasError::NotFound`] when the revision is not kept; else as for [`Exports::replay`].
    pub async fn preview(
        &self,
        scope: &Scope,
        permit: Permit<PreviewOf>,
    ) -> Result<Asset, CanvasError> {
        let _turn = self.making.try_acquire().map_err(|_| CanvasError::Busy)?;
        let PreviewOf { key, rev, .. } = permit.mutation().clone();
        let view = match rev {
            Some(rev) => self.canvases.view_at(&key, rev).await?,
            None => self.canvases.view(&key).await?,
        };
        let artifact = picture_of(&key, view).await?;
        self.keep(scope, permit, &key, artifact).await
    }
}

async fn picture_of(key: &CanvasKey, view: View) -> Result<NewArtifact, CanvasError> {
    let canvas = key.canvas().clone();
    let meta = Map::from_iter([
        ("epoch".to_owned(), json!(view.epoch)),
        ("rev".to_owned(), json!(view.rev)),
        (
            "state_hash".to_owned(),
            Value::from(view.state_hash.to_string()),
        ),
    ]);
    let filename = format!("{canvas}-{}.svg", view.rev);
    let name = format!("{canvas} revision {}", view.rev);
    let draw = move || preview::svg(&name, &view.state_hash, &view.state);
    let svg = tokio::task::spawn_blocking(draw).await;
    Ok(NewArtifact {
        filename: filename.parse().map_err(CanvasError::damaged)?,
        parent: Parent::Canvas(canvas),
        kind: PREVIEW_KIND.parse().map_err(CanvasError::damaged)?,
        content_type: "image/svg+xml".parse().map_err(CanvasError::damaged)?,
        meta: Meta::try_from(meta).map_err(CanvasError::damaged)?,
        bytes: svg.map_err(CanvasError::damaged)?.into(),
    })
}

fn artifact_of(made: MadeReplay, run: Option<&AboutRun<'_>>) -> Result<NewArtifact, CanvasError> {
    let MadeReplay {
        header,
        manifest_hash,
        bytes,
    } = made;
    let (canvas, from, to) = (&header.canvas_id, header.from_rev, header.to_rev);
    let mut meta = Map::from_iter([
        ("epoch".to_owned(), json!(header.epoch)),
        ("from_rev".to_owned(), json!(from)),
        (
            "manifest_hash".to_owned(),
            Value::from(manifest_hash.to_string()),
        ),
        ("to_rev".to_owned(), json!(to)),
    ]);
    if let Some(AboutRun { run_id, agent }) = run {
        meta.insert("agent".to_owned(), json!(agent));
        meta.insert("run_id".to_owned(), json!(run_id));
    }
    // Ours are good; if one is not, that is a fault of ours.
    Ok(NewArtifact {
        filename: format!("{canvas}-{from}-{to}.replay")
            .parse()
            .map_err(CanvasError::damaged)?,
        parent: Parent::Canvas(header.canvas_id),
        kind: REPLAY_KIND.parse().map_err(CanvasError::damaged)?,
        content_type: REPLAY_CONTENT_TYPE.parse().map_err(CanvasError::damaged)?,
        meta: Meta::try_from(meta).map_err(CanvasError::damaged)?,
        bytes: bytes.into(),
    })
}
