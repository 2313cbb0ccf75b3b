//! Reading a canvas.

use std::sync::Arc;

use identity::Scope;
use realtime::{Canvas, CanvasKey, NewCanvas};
use store::{Page, PageRequest};

use super::CanvasService;
use crate::{
    CanvasError, Commit,
    model::{Digest, State},
    stored::{Version, read, versions},
};

/// A canvas at one revision.
#[derive(Debug, Clone)]
pub struct View {
    /// The revision.
    pub rev: u64,
    /// The epoch.
    pub epoch: u64,
    /// The nodes.
    pub state: State,
    /// Their hash.
    pub state_hash: Digest,
    /// The cursor of the rail from which a client goes on after this.
    pub resume_id: Option<String>,
}

/// A part of the log of commits.
#[derive(Debug, Clone)]
pub struct CommitPage {
    /// The commits, in order.
    pub items: Vec<Commit>,
    /// Ask again after this revision.
    pub next: Option<u64>,
    /// The oldest commit that is kept.
    pub oldest_rev: u64,
}

impl CanvasService {
    /// Registers a canvas, or finds it again; the flag says whether it is new.
    ///
    /// # Errors
    /// As for [`realtime::Canvases::register`].
    pub async fn create(
        &self,
        scope: &Scope,
        new: NewCanvas,
    ) -> Result<(Canvas, View, bool), CanvasError> {
        let (key, canvas, created) = self.registry().register(scope, new).await?;
        Ok((canvas, self.view(&key).await?, created))
    }

    /// The canvas as it is.
    ///
    /// # Errors
    /// [`CanvasError::Store`].
    pub async fn view(&self, key: &CanvasKey) -> Result<View, CanvasError> {
        let resume_id = self.resume_id(key).await;
        let current = self.look(key).await?;
        Ok(View {
            rev: current.head.rev,
            epoch: current.head.epoch,
            state: current.state.clone(),
            state_hash: current.head.state_hash,
            resume_id,
        })
    }

    /// The canvas as it was; its epoch is the one of then.
    ///
    /// # Errors
    /// [`CanvasError::NotFound`] when the revision is not kept.
    pub async fn view_at(&self, key: &CanvasKey, rev: u64) -> Result<View, CanvasError> {
        let current = self.look(key).await?;
        if rev > current.head.rev {
            return Err(CanvasError::NotFound);
        }
        let mut state = self.state_at(key, rev).await?;
        let epoch = match self.commit_at(key, rev).await? {
            Some(stored) => stored.commit.epoch,
            None if rev == 0 => 1,
            None => return Err(CanvasError::NotFound),
        };
        Ok(View {
            rev,
            epoch,
            state_hash: state.hash(),
            state,
            resume_id: None,
        })
    }

    /// Up to `limit` commits after the revision `after`, from the oldest that is kept on.
    ///
    /// # Errors
    /// [`CanvasError::Store`].
    pub async fn commits(
        &self,
        key: &CanvasKey,
        after: u64,
        limit: usize,
    ) -> Result<CommitPage, CanvasError> {
        let current = self.look(key).await?;
        let head = &current.head;
        let after = after.max(head.floor - 1);
        let found = self.commits_between(key, after, head.rev, limit).await?;
        let last = found.last().map(|stored| stored.commit.rev);
        let items = found
            .into_iter()
            .map(|stored| match Arc::try_unwrap(stored) {
                Ok(stored) => stored.commit,
                Err(shared) => shared.commit.clone(),
            });
        Ok(CommitPage {
            items: items.collect(),
            next: last.filter(|last| *last < head.rev),
            oldest_rev: head.floor,
        })
    }

    /// The versions of the canvas, the newest first.
    ///
    /// # Errors
    /// [`CanvasError::Store`].
    pub async fn versions(
        &self,
        key: &CanvasKey,
        page: &PageRequest,
    ) -> Result<Page<Version>, CanvasError> {
        let prefix = versions(key);
        let found = page
            .read_prefixed(&*self.documents, &prefix.partition, &prefix.id)
            .await?;
        found.try_map(|document| read(&document))
    }
}
