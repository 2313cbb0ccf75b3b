//! Artifacts that the system makes itself: a replay of a canvas, say.

use bytes::Bytes;
use gatechain::{Mutation, Permit};
use identity::{AssetId, Scope};
use sha2::{Digest, Sha256};
use store::{Batch, GET_BYTES_MAX};

use super::{
    Area, Asset, Assets, Checksum, ContentType, Facts, Filename, Kind, Meta, Parent,
    care::{ARTIFACT_DUE, Note},
    place::{self, Home},
};
use crate::{Invalid, NexusError};

/// An artifact that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewArtifact {
    /// What it was made from. The access to a canvas was verified by whoever names it.
    pub parent: Parent,
    /// What sort of thing it is, such as `canvas_replay`.
    pub kind: Kind,
    /// What it is called.
    pub filename: Filename,
    /// Its media type.
    pub content_type: ContentType,
    /// What else is said of it.
    pub meta: Meta,
    /// Its bytes, at most [`GET_BYTES_MAX`].
    pub bytes: Bytes,
}

impl Assets {
    /// Stores an artifact and registers it, under the permit of whatever makes it.
    ///
    /// # Errors
    /// [`NexusError::Invalid`] when it is too large or its parent is not there,
    /// [`NexusError::Denied`], [`NexusError::Store`]. What was stored is deleted then.
    pub async fn put_artifact<M: Mutation>(
        &self,
        scope: &Scope,
        permit: Permit<M>,
        artifact: NewArtifact,
    ) -> Result<Asset, NexusError> {
        let size = u64::try_from(artifact.bytes.len()).unwrap_or(u64::MAX);
        if size > GET_BYTES_MAX {
            let why = format!("must be at most {GET_BYTES_MAX} bytes");
            return Err(Invalid::new("/size", why).into());
        }
        let now = self.deps.clock.now();
        let facts = Facts {
            area: Area::Media,
            filename: artifact.filename,
            content_type: artifact.content_type,
            size,
            sha256: Some(Checksum(Sha256::digest(&artifact.bytes).into())),
            kind: artifact.kind,
            parent: Some(artifact.parent),
            meta: artifact.meta,
            project: scope.project().clone(),
            created_by: scope.user().clone(),
            created_at: now,
        };
        let home = Home::of(scope);
        let parent = self.parent(&home, facts.parent.as_ref()).await?;
        let id = AssetId::generate(&*self.deps.entropy);
        let key = place::object_of(scope, &id, &facts)?;
        let note = Note::of(scope, &id, &facts);
        let noted = self.note(&note, now.plus(ARTIFACT_DUE)).await?;
        let blobs = self.blobs(facts.area);
        let content_type = facts.content_type.as_str();
        blobs
            .put_if_absent(&key, content_type, artifact.bytes)
            .await?;
        let head = blobs.head(&key).await?.ok_or(NexusError::ObjectMissing)?;
        let asset = Asset {
            id,
            facts,
            ancestors: parent
                .as_ref()
                .map(|found| found.line.clone())
                .unwrap_or_default(),
            etag: head.etag,
            registered_at: now,
        };
        let batch = Batch::new()
            .expect_version(&noted.key, noted.version)
            .expect_absent(&home.asset(&asset.id));
        let batch = match &parent {
            Some(found) => found.expected(batch),
            None => batch,
        };
        permit.commit(home.put(batch, &asset)?).await?;
        Ok(asset)
    }
}
