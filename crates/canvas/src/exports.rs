//! What a canvas gives to the outside: artifacts, behind the gates.

use std::sync::Arc;

use gatechain::{Mutation, PayloadHash, Permit};
use identity::Scope;
use nexus::assets::{Asset, Assets, Meta, NewArtifact, Parent};
use realtime::CanvasKey;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::{CanvasError, CanvasService, MadeReplay, MakeReplay, ReplayRange};

/// The kind of artifacts that are replays.
pub const REPLAY_KIND: &str = "canvas_replay";
/// Their media type.
pub const REPLAY_CONTENT_TYPE: &str = "application/vnd.tenantry.replay";
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

/// Makes artifacts of canvases.
pub struct Exports {
    canvases: Arc<CanvasService>,
    assets: Arc<Assets>,
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
        let ReplayOf { key, range, .. } = permit.mutation();
        let made = self.canvases.replay(key, *range).await?;
        let artifact = artifact_of(made)?;
        Ok(self.assets.put_artifact(scope, permit, artifact).await?)
    }
}

fn artifact_of(made: MadeReplay) -> Result<NewArtifact, CanvasError> {
    let MadeReplay {
        header,
        manifest_hash,
        bytes,
    } = made;
    let (canvas, from, to) = (&header.canvas_id, header.from_rev, header.to_rev);
    let meta = Map::from_iter([
        ("epoch".to_owned(), json!(header.epoch)),
        ("from_rev".to_owned(), json!(from)),
        (
            "manifest_hash".to_owned(),
            Value::from(manifest_hash.to_string()),
        ),
        ("to_rev".to_owned(), json!(to)),
    ]);
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
