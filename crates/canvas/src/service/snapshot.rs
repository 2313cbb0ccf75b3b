//! Snapshots: all nodes of a revision, in parts that fit into documents.

use realtime::CanvasKey;
use store::{Batch, CommitError, Document, Listing};

use super::{CanvasService, hot::Current};
use crate::{
    CanvasError,
    model::{Node, State},
    stored::{Head, Manifest, manifest_key, manifests, part_key, read, write},
};

/// Bytes of a part, about; a node more fits into a document still.
const PART_BYTES: usize = 384 * 1024;

impl CanvasService {
    /// The last snapshot up to `rev`, and its revision; the empty state when there is none.
    pub(super) async fn snapshot_before(
        &self,
        key: &CanvasKey,
        rev: u64,
    ) -> Result<(State, u64), CanvasError> {
        let Some(manifest) = self.manifest_before(key, rev).await? else {
            return Ok((State::default(), 0));
        };
        let mut nodes: Vec<Node> = Vec::new();
        for part in 0..manifest.parts {
            let found = self
                .documents
                .get(&part_key(key, manifest.rev, part))
                .await?;
            let found = found.ok_or_else(|| missing(&manifest))?;
            nodes.append(&mut read(&found)?);
        }
        let mut state = State::of(nodes).map_err(CanvasError::damaged)?;
        if state.hash() != manifest.state_hash {
            return Err(missing(&manifest));
        }
        Ok((state, manifest.rev))
    }

    /// The last snapshot up to `rev`, without its nodes.
    pub(super) async fn manifest_before(
        &self,
        key: &CanvasKey,
        rev: u64,
    ) -> Result<Option<Manifest>, CanvasError> {
        let found = self.manifests_from(key, rev, 1).await?;
        found.first().map(read).transpose()
    }

    /// The snapshots up to `rev`, the newest first.
    pub(super) async fn manifests_from(
        &self,
        key: &CanvasKey,
        rev: u64,
        limit: usize,
    ) -> Result<Vec<Document>, CanvasError> {
        let prefix = manifests(key);
        let listing = Listing {
            prefix: prefix.id.clone(),
            after: Some(manifest_key(key, rev.saturating_add(1)).id),
            limit,
        };
        Ok(self.documents.list(&prefix.partition, &listing).await?)
    }

    /// Whether so much was committed since the last snapshot that there is to be another.
    pub(super) fn snapshot_is_due(&self, head: &Head) -> bool {
        let commits = head.rev - head.snapshot_rev;
        let bytes = head.log_bytes - head.snapshot_log_bytes;
        commits >= self.config.snapshot_commits || bytes >= self.config.snapshot_bytes
    }

    /// Makes a snapshot when one is due; a failure only makes the next load longer.
    pub(super) async fn snapshot_if_due(&self, key: &CanvasKey, current: &mut Current) -> bool {
        let head = &current.head;
        if !self.snapshot_is_due(head) {
            return false;
        }
        let made = match put_snapshot(Batch::new(), key, head, &current.state) {
            Ok(batch) => self.documents.commit(batch).await.map(drop),
            Err(error) => {
                tracing::error!(%error, "a snapshot could not be written down");
                return false;
            }
        };
        match made {
            // Another node made the same one.
            Ok(()) | Err(CommitError::Conflict(_)) => {
                current.head.snapshot_rev = current.head.rev;
                current.head.snapshot_log_bytes = current.head.log_bytes;
                true
            }
            Err(CommitError::Store(error)) => {
                tracing::warn!(%error, "a snapshot was not made");
                false
            }
        }
    }
}

/// Adds the snapshot of a revision to a batch.
pub(super) fn put_snapshot(
    batch: Batch,
    key: &CanvasKey,
    head: &Head,
    state: &State,
) -> Result<Batch, CanvasError> {
    let parts = parts_of(state)?;
    let manifest = Manifest {
        rev: head.rev,
        state_hash: head.state_hash,
        commit_hash: head.commit_hash,
        parts: parts.len(),
    };
    let name = manifest_key(key, head.rev);
    let batch = batch.expect_absent(&name).put(&name, write(&manifest)?);
    let numbered = parts.into_iter().enumerate();
    Ok(numbered.fold(batch, |batch, (at, part)| {
        batch.put(&part_key(key, head.rev, at), part)
    }))
}

/// The nodes as JSON lists of at most about [`PART_BYTES`].
fn parts_of(state: &State) -> Result<Vec<Vec<u8>>, CanvasError> {
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    for node in state.nodes() {
        if part.len() > PART_BYTES {
            part.push(b']');
            parts.push(std::mem::take(&mut part));
        }
        part.push(if part.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut part, node).map_err(CanvasError::damaged)?;
    }
    if !part.is_empty() {
        part.push(b']');
        parts.push(part);
    }
    Ok(parts)
}

fn missing(manifest: &Manifest) -> CanvasError {
    CanvasError::damaged(format!("the snapshot of {} is not whole", manifest.rev))
}
