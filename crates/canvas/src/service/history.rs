//! What was: commits and states of earlier revisions, read from the store.

use std::sync::Arc;

use futures_util::future::try_join_all;
use realtime::CanvasKey;
use store::{Documents, LIST_LIMIT_MAX, Listing};

use super::CanvasService;
use crate::{
    CanvasError,
    model::State,
    stored::{StoredCommit, commit_key, commits, read},
};

impl CanvasService {
    /// Up to `limit` commits after `after` and up to `to`.
    pub(super) async fn commits_between(
        &self,
        key: &CanvasKey,
        after: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<Arc<StoredCommit>>, CanvasError> {
        read_commits(&*self.documents, key, after, to, limit).await
    }

    /// The commits after `after` and up to `to`, read by their names. For a few, this is cheaper than a
    /// query, which some engines answer slowly while much is written.
    pub(super) async fn commits_by_name(
        &self,
        key: &CanvasKey,
        after: u64,
        to: u64,
    ) -> Result<Vec<Arc<StoredCommit>>, CanvasError> {
        let found = (after + 1..=to).map(|rev| self.commit_at(key, rev));
        let found = try_join_all(found).await?;
        Ok(found.into_iter().flatten().map(Arc::new).collect())
    }

    /// One commit, if it is kept.
    pub(super) async fn commit_at(
        &self,
        key: &CanvasKey,
        rev: u64,
    ) -> Result<Option<StoredCommit>, CanvasError> {
        let found = self.documents.get(&commit_key(key, rev)).await?;
        found.map(|document| read(&document)).transpose()
    }

    /// The state of a revision: the last snapshot before it, and the commits after that.
    ///
    /// # Errors
    /// [`CanvasError::NotFound`] when commits that it needs are gone.
    pub(super) async fn state_at(&self, key: &CanvasKey, rev: u64) -> Result<State, CanvasError> {
        let (mut state, from) = self.snapshot_before(key, rev).await?;
        let commits = self.commits_between(key, from, rev, usize::MAX).await?;
        let mut at = from;
        for stored in &commits {
            if stored.commit.rev != at + 1 {
                return Err(CanvasError::NotFound);
            }
            at = stored.commit.rev;
            replay(&mut state, stored)?;
        }
        if at != rev {
            return Err(CanvasError::NotFound);
        }
        Ok(state)
    }
}

/// See [`CanvasService::commits_between`].
pub(super) async fn read_commits(
    documents: &dyn Documents,
    key: &CanvasKey,
    after: u64,
    to: u64,
    limit: usize,
) -> Result<Vec<Arc<StoredCommit>>, CanvasError> {
    let prefix = commits(key);
    let mut found: Vec<Arc<StoredCommit>> = Vec::new();
    let mut last = after;
    while last < to && found.len() < limit {
        let listing = Listing {
            prefix: prefix.id.clone(),
            after: Some(commit_key(key, last).id),
            limit: (limit - found.len()).min(LIST_LIMIT_MAX),
        };
        let page = documents.list(&prefix.partition, &listing).await?;
        let Some(end) = page.last() else { break };
        let end: StoredCommit = read(end)?;
        for document in &page {
            let stored: StoredCommit = read(document)?;
            if stored.commit.rev <= to {
                found.push(Arc::new(stored));
            }
        }
        last = end.commit.rev;
    }
    Ok(found)
}

/// Does on `state` what a commit did.
pub(super) fn replay(state: &mut State, stored: &StoredCommit) -> Result<(), CanvasError> {
    let commit = &stored.commit;
    if commit.restores.is_some() {
        // A restore is stored with its own snapshot, so no way to a state leads over one.
        return Err(CanvasError::damaged(format!(
            "the snapshot of {} is missing",
            commit.rev
        )));
    }
    commit
        .perform_on(state)
        .map_err(|error| CanvasError::damaged(format!("commit {}: {error}", commit.rev)))?;
    if state.hash() != commit.state_hash {
        let what = format!("commit {} makes another state than it says", commit.rev);
        return Err(CanvasError::damaged(what));
    }
    Ok(())
}
