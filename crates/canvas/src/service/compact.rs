//! Letting go of the oldest commits.
//!
//! The floor rises to just after a snapshot, so every revision from the snapshot on can still be
//! made. It rises in the head first, which the next commit stores; only what lies below a stored
//! floor goes, a page at each snapshot: more than what came since the last one.

use std::collections::BTreeSet;

use realtime::CanvasKey;
use store::{Batch, Listing};

use super::{CanvasService, hot::Current};
use crate::{
    CanvasError,
    stored::{
        Manifest, StoredCommit, commit_key, commits, manifest_key, part_key, read, version_key,
        window_of,
    },
};

/// Commits that go at once; with their versions they fit into one batch of the store.
const COMMITS_AT_ONCE: usize = 150;
/// Pages of them.
const PAGES: usize = 3;
/// Snapshots that go at once.
const SNAPSHOTS_AT_ONCE: usize = 8;

impl CanvasService {
    /// Lets go of what is below the stored floor, and raises the floor. A failure costs space alone.
    pub(super) async fn compact(&self, key: &CanvasKey, current: &mut Current) {
        if let Err(error) = self.try_compact(key, current).await {
            tracing::warn!(%error, "old commits were not removed");
        }
    }

    async fn try_compact(&self, key: &CanvasKey, current: &mut Current) -> Result<(), CanvasError> {
        let head = &current.head;
        let Some(wanted) = head.rev.checked_sub(self.config.commits_kept) else {
            return Ok(());
        };
        for _ in 0..PAGES {
            if !self.drop_commits(key, current.stored_floor).await? {
                break;
            }
        }
        self.drop_snapshots(key, current.stored_floor).await?;
        if let Some(manifest) = self.manifest_before(key, wanted).await? {
            current.head.floor = current.head.floor.max(manifest.rev + 1);
        }
        Ok(())
    }

    /// Removes the oldest commits below `floor`; whether there may be more.
    async fn drop_commits(&self, key: &CanvasKey, floor: u64) -> Result<bool, CanvasError> {
        let prefix = commits(key);
        let listing = Listing {
            prefix: prefix.id.clone(),
            after: None,
            limit: COMMITS_AT_ONCE,
        };
        let found = self.documents.list(&prefix.partition, &listing).await?;
        let found: Vec<StoredCommit> = found.iter().map(read).collect::<Result<_, _>>()?;
        let old: Vec<&StoredCommit> = found.iter().filter(|one| one.commit.rev < floor).collect();
        if old.is_empty() {
            return Ok(false);
        }
        let mut batch = Batch::new();
        let mut windows = BTreeSet::new();
        for stored in &old {
            batch = batch.delete(&commit_key(key, stored.commit.rev));
            windows.insert((window_of(stored.commit.at), stored.commit.epoch));
        }
        // A version whose last revision is kept is kept: it is the one of the first that stays.
        let stays = match self.commit_at(key, floor).await? {
            Some(first) => Some((window_of(first.commit.at), first.commit.epoch)),
            None => windows.last().copied(),
        };
        for (window, epoch) in windows {
            if Some((window, epoch)) != stays {
                batch = batch.delete(&version_key(key, window, epoch));
            }
        }
        let more = old.len() == found.len();
        self.documents.commit(batch).await?;
        Ok(more)
    }

    /// Removes snapshots that no kept revision needs.
    async fn drop_snapshots(&self, key: &CanvasKey, floor: u64) -> Result<(), CanvasError> {
        let Some(oldest_needed) = floor.checked_sub(1) else {
            return Ok(());
        };
        let Some(below) = oldest_needed.checked_sub(1) else {
            return Ok(());
        };
        for document in self.manifests_from(key, below, SNAPSHOTS_AT_ONCE).await? {
            let manifest: Manifest = read(&document)?;
            let batch = Batch::new().delete(&manifest_key(key, manifest.rev));
            let batch = (0..manifest.parts).fold(batch, |batch, part| {
                batch.delete(&part_key(key, manifest.rev, part))
            });
            self.documents.commit(batch).await?;
        }
        Ok(())
    }
}
