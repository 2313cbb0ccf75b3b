//! What a player shows: a revision, and what came after it.
//!
//! A page is a segment of a replay: a keyframe, and the commits after it up to the next restore. So a
//! player that shows the one shows the other, and goes on with the commits that the rail tells.

use std::sync::Arc;

use identity::Timestamp;
use realtime::CanvasKey;

use super::{CanvasService, hot::Current};
use crate::{
    CanvasError, Commit, model::State, replay::SEGMENT_REVISIONS_MAX, stored::StoredCommit,
};

/// Bytes of the commits of a page, about.
const PAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Commits that are read at once.
const COMMITS_AT_ONCE: usize = 25;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// At the oldest revision that is kept.
    Oldest,
    /// At this revision.
    Rev(u64),
    /// At the last revision that was made by then, or the oldest that is kept.
    Time(Timestamp),
}

/// A part of the log, as a player shows it.
#[derive(Debug, Clone)]
pub struct Played {
    /// The revision that it begins with.
    pub rev: u64,
    /// The epoch of that.
    pub epoch: u64,
    /// The state of that.
    pub state: State,
    /// The commit that made it; none made revision 0.
    pub commit: Option<Commit>,
    /// What came after it.
    pub commits: Vec<Commit>,
    /// Where the next part begins; `None` at the head.
    pub next: Option<u64>,
    /// The cursor of the rail from which a player goes on at the head.
    pub resume_id: Option<String>,
}

impl CanvasService {
    /// The part of the log that begins where `seek` says.
    ///
    /// # Errors
    /// [`CanvasError::NotFound`] when that is not kept, [`CanvasError::Store`].
    pub async fn play(&self, key: &CanvasKey, seek: Seek) -> Result<Played, CanvasError> {
        let resume_id = self.resume_id(key).await;
        let current = self.look(key).await?;
        let (head, oldest) = (current.head.rev, current.oldest());
        let rev = match seek {
            Seek::Oldest => oldest,
            Seek::Rev(rev) => rev,
            Seek::Time(time) => self.last_by(key, &current, time).await?,
        };
        if rev < oldest || rev > head {
            return Err(CanvasError::NotFound);
        }
        let state = self.state_at(key, rev).await?;
        let commit = self.made_by(key, rev).await?.map(|stored| stored.commit);
        let found = self.commits_of_page(key, rev, head).await?;
        let after = found.last().map_or(rev, |last| last.commit.rev);
        let commits = found.iter().map(|stored| stored.commit.clone());
        Ok(Played {
            rev,
            epoch: commit.as_ref().map_or(1, |commit| commit.epoch),
            state,
            commit,
            commits: commits.collect(),
            next: (after < head).then_some(after + 1),
            resume_id: resume_id.filter(|_| after == head),
        })
    }

    /// The commits after `rev`: before a restore, no more than a segment has, and within the bytes.
    async fn commits_of_page(
        &self,
        key: &CanvasKey,
        rev: u64,
        head: u64,
    ) -> Result<Vec<Arc<StoredCommit>>, CanvasError> {
        let to = head.min(rev + SEGMENT_REVISIONS_MAX - 1);
        let mut page: Vec<Arc<StoredCommit>> = Vec::new();
        let mut after = rev;
        while after < to {
            let found = self
                .commits_between(key, after, to, COMMITS_AT_ONCE)
                .await?;
            if found
                .first()
                .is_none_or(|first| first.commit.rev != after + 1)
            {
                return Err(CanvasError::NotFound);
            }
            for stored in found {
                let first = page
                    .first()
                    .map_or(stored.log_bytes, |first| first.log_bytes);
                if stored.commit.restores.is_some() || stored.log_bytes - first > PAGE_BYTES_MAX {
                    return Ok(page);
                }
                after = stored.commit.rev;
                page.push(stored);
            }
        }
        Ok(page)
    }

    /// The last revision that was made by `time`, or the oldest. Clocks of several nodes differ, so it
    /// may be one beside it.
    async fn last_by(
        &self,
        key: &CanvasKey,
        current: &Current,
        time: Timestamp,
    ) -> Result<u64, CanvasError> {
        // All up to `low` were made by then, none after `high` was.
        let (mut low, mut high) = (current.oldest(), current.head.rev);
        while low < high {
            let middle = high - (high - low) / 2;
            let made = self
                .commit_at(key, middle)
                .await?
                .ok_or(CanvasError::NotFound)?;
            if made.commit.at <= time {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(low)
    }
}
