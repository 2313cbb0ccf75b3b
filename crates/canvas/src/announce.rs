//! Artifacts of a canvas are told on its rail, once they can be fetched.

use gatechain::{Mutation, Permit};
use identity::Scope;
use nexus::assets::{Asset, NewArtifact};
use realtime::{CanvasKey, Told};
use serde::Serialize;
use serde_json::{Map, Value, value::to_raw_value};
use store::Idempotency;

use crate::{CanvasError, Exports, model::Digest};

const READY: &str = "artifact.ready";

/// What is told of an artifact: enough to know whether to fetch it.
#[derive(Serialize)]
struct Ready<'a> {
    asset_id: &'a str,
    kind: &'a str,
    content_type: &'a str,
    size: u64,
    sha256: Option<String>,
    meta: &'a Map<String, Value>,
}

impl Exports {
    /// Stores an artifact of the canvas, and tells of it.
    ///
    /// The artifact is there even if nobody could be told: then it is found in the list of those of
    /// the canvas alone.
    pub(crate) async fn keep<M: Mutation>(
        &self,
        scope: &Scope,
        permit: Permit<M>,
        key: &CanvasKey,
        artifact: NewArtifact,
    ) -> Result<Asset, CanvasError> {
        let asset = self.assets.put_artifact(scope, permit, artifact).await?;
        if let Err(error) = self.announce(scope, key, &asset).await {
            tracing::warn!(%error, asset_id = %asset.id, "an artifact is not told of");
        }
        Ok(asset)
    }

    async fn announce(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        asset: &Asset,
    ) -> Result<(), CanvasError> {
        let facts = &asset.facts;
        let ready = Ready {
            asset_id: asset.id.as_str(),
            kind: facts.kind.as_str(),
            content_type: facts.content_type.as_str(),
            size: facts.size,
            sha256: facts.sha256.as_ref().map(ToString::to_string),
            meta: facts.meta.object(),
        };
        let data = to_raw_value(&ready).map_err(CanvasError::damaged)?;
        let ids = scope.ids();
        let told = Told {
            kind: READY,
            at: asset.registered_at,
            actor: scope.user(),
            request_id: ids.request_id.as_str(),
            traceparent: ids.traceparent.as_str(),
            data: &data,
            idempotency: Idempotency {
                key: Digest::of_parts(&[READY.as_bytes(), asset.id.as_str().as_bytes()]).half(),
                fingerprint: Digest::of_parts(&[data.get().as_bytes()]).half(),
            },
        };
        self.canvases.tell_of(key, &told).await?;
        Ok(())
    }
}
