//! The way to the head, in one answer: the commits that a client missed, or the state of the head.
//!
//! Which of the two is known from counted bytes, before either is read. The state of the head is in
//! memory, so no snapshot is read, and no commits follow it.

use std::sync::Arc;

use realtime::CanvasKey;
use serde_json::{Value, json};

use super::{CanvasService, hot::Current};
use crate::{
    CanvasError, Commit,
    model::{Digest, State},
    stored::StoredCommit,
};

/// All that a client needs to be where the canvas is.
#[derive(Debug)]
pub struct Recovery {
    /// The revision of the head.
    pub head_rev: u64,
    /// The epoch of the head.
    pub epoch: u64,
    /// The hash of the state of the head.
    pub head_hash: Digest,
    /// The cursor of the rail from which a client goes on after this; `None` when that could
    /// not be read.
    pub resume_id: Option<String>,
    /// The way there.
    pub way: Way,
}

/// How a client gets to the head.
#[derive(Debug)]
pub enum Way {
    /// By these commits, in order.
    Commits(Vec<Commit>),
    /// From this state; nothing follows it.
    Snapshot(Box<Snapshot>),
}

/// The state of a revision.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision.
    pub rev: u64,
    /// The state.
    pub state: State,
    /// Its hash.
    pub state_hash: Digest,
    /// The hash of the commit that made it.
    pub commit_hash: Digest,
}

impl Snapshot {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "rev": self.rev,
            "state": state_json(&self.state),
            "state_hash": self.state_hash.to_string(),
            "commit_hash": self.commit_hash.to_string(),
        })
    }
}

impl Way {
    /// The snapshot, if it is one, and the commits.
    pub(crate) fn to_json(&self) -> (Option<Value>, Value) {
        match self {
            Self::Commits(commits) => (None, json!(commits)),
            Self::Snapshot(snapshot) => (Some(snapshot.to_json()), json!([])),
        }
    }
}

/// A state as clients see it.
pub(crate) fn state_json(state: &State) -> Value {
    let nodes: Vec<&crate::model::Node> = state.nodes().map(Arc::as_ref).collect();
    json!({ "nodes": nodes })
}

impl CanvasService {
    /// The way to the head for a client at `base`, whichever is shorter; for one that is nowhere, the
    /// state.
    pub(super) async fn recover(
        &self,
        key: &CanvasKey,
        current: &Current,
        base: Option<u64>,
        resume_id: Option<String>,
    ) -> Result<Recovery, CanvasError> {
        let head = &current.head;
        let commits = match base {
            Some(base) => self.missed_commits(key, current, base).await?,
            None => None,
        };
        let way = match commits {
            Some(commits) => {
                let commits = commits.into_iter().map(|stored| stored.commit.clone());
                Way::Commits(commits.collect())
            }
            None => Way::Snapshot(Box::new(Snapshot {
                rev: head.rev,
                state: current.state.clone(),
                state_hash: head.state_hash,
                commit_hash: head.commit_hash,
            })),
        };
        Ok(Recovery {
            head_rev: head.rev,
            epoch: head.epoch,
            head_hash: head.state_hash,
            resume_id,
            way,
        })
    }

    /// The commits after `base`, if they are all kept and no longer than the state.
    async fn missed_commits(
        &self,
        key: &CanvasKey,
        current: &Current,
        base: u64,
    ) -> Result<Option<Vec<Arc<StoredCommit>>>, CanvasError> {
        let head = &current.head;
        // Over a restore no commits lead: it takes its state from elsewhere.
        if base > head.rev || base < head.epoch_rev || base + 1 < head.floor {
            return Ok(None);
        }
        let recent = current.recent_after(base);
        let before = match (&recent, base) {
            (_, 0) => Some(0),
            (Some(recent), _) => recent
                .first()
                .map(|first| first.log_bytes - bytes_of(first)),
            (None, _) => self
                .commit_at(key, base)
                .await?
                .map(|stored| stored.log_bytes),
        };
        let bytes = match before {
            Some(before) => head.log_bytes.saturating_sub(before),
            // Nothing was missed, or the commit before is gone.
            None if base == head.rev => 0,
            None => return Ok(None),
        };
        if bytes > current.state.bytes() as u64 {
            return Ok(None);
        }
        if recent.is_some() {
            return Ok(recent);
        }
        let found = self
            .commits_between(key, base, head.rev, usize::MAX)
            .await?;
        // Some may have gone while this was read.
        let whole = found.len() as u64 == head.rev - base;
        Ok(whole.then_some(found))
    }

    /// The end of the rail. To a client that gets the canvas as it is found after this was read, all
    /// that it does not get is told later.
    pub(super) async fn resume_id(&self, key: &CanvasKey) -> Option<String> {
        match self.log.bounds(key.stream()).await {
            Ok(bounds) => Some(bounds.at_head().to_string()),
            Err(error) => {
                tracing::warn!(%error, "the rail cannot be read");
                None
            }
        }
    }
}

/// The bytes of one commit.
fn bytes_of(stored: &StoredCommit) -> u64 {
    serde_json::to_vec(&stored.commit).map_or(0, |text| text.len() as u64)
}
