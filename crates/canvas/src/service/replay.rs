//! Replays of what is kept.

use std::sync::Arc;

use realtime::CanvasKey;

use super::CanvasService;
use crate::{
    CanvasError,
    model::{Digest, State},
    replay::{Header, Recorder, Unrecorded},
    stored::StoredCommit,
};

/// Commits that are read, and recorded, at once.
const COMMITS_AT_ONCE: usize = 200;

/// Which revisions a replay is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayRange {
    /// The first; the oldest that is kept unless said.
    pub from_rev: Option<u64>,
    /// The last; the head unless said.
    pub to_rev: Option<u64>,
}

/// A replay that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeReplay {
    /// What it is of.
    pub header: Header,
    /// The hash that binds all of it.
    pub manifest_hash: Digest,
    /// The file.
    pub bytes: Vec<u8>,
}

impl CanvasService {
    /// A replay of `range`: made again, it is the same to the byte.
    ///
    /// # Errors
    /// [`CanvasError::NotFound`] when not all of it is kept, [`CanvasError::ReplayTooLarge`],
    /// [`CanvasError::Store`].
    pub async fn replay(
        &self,
        key: &CanvasKey,
        range: ReplayRange,
    ) -> Result<MadeReplay, CanvasError> {
        let current = self.look(key).await?;
        let (head, oldest) = (current.head.rev, current.oldest());
        let from = range.from_rev.unwrap_or(oldest);
        let to = range.to_rev.unwrap_or(head);
        if from < oldest || to > head || from > to {
            return Err(CanvasError::NotFound);
        }
        let state = self.state_at(key, from).await?;
        let first = self.made_by(key, from).await?;
        let epoch = self
            .made_by(key, to)
            .await?
            .map_or(1, |one| one.commit.epoch);
        let header = Header::new(key.canvas().clone(), epoch, from, to);
        let mut recording = Recording::begin(header, state, first).await?;
        let mut at = from;
        while at < to {
            let page = self.commits_between(key, at, to, COMMITS_AT_ONCE).await?;
            if page.first().is_none_or(|first| first.commit.rev != at + 1) {
                return Err(CanvasError::NotFound);
            }
            at = page.last().map_or(to, |last| last.commit.rev);
            for run in page.chunk_by(|_, next| next.commit.restores.is_none()) {
                recording = self.record(key, recording, run.to_vec()).await?;
            }
        }
        recording.finish().await
    }

    /// The commit that made a revision; none made revision 0.
    pub(super) async fn made_by(
        &self,
        key: &CanvasKey,
        rev: u64,
    ) -> Result<Option<StoredCommit>, CanvasError> {
        match (rev, self.commit_at(key, rev).await?) {
            (0, _) => Ok(None),
            (_, None) => Err(CanvasError::NotFound),
            (_, found) => Ok(found),
        }
    }

    /// Records commits, of which the first alone may be a restore.
    async fn record(
        &self,
        key: &CanvasKey,
        recording: Recording,
        commits: Vec<Arc<StoredCommit>>,
    ) -> Result<Recording, CanvasError> {
        let first = commits.first().map(|first| &first.commit);
        let restored = match first.filter(|commit| commit.restores.is_some()) {
            Some(commit) => Some(self.state_at(key, commit.rev).await?),
            None => None,
        };
        recording.push(commits, restored).await
    }
}

/// A recorder, whose work is done where it keeps no one else waiting.
struct Recording {
    header: Header,
    recorder: Recorder,
}

impl Recording {
    async fn begin(
        header: Header,
        state: State,
        first: Option<StoredCommit>,
    ) -> Result<Self, CanvasError> {
        aside(move || {
            let first = first.as_ref().map(|stored| &stored.commit);
            let recorder = Recorder::begin(&header, state, first)?;
            Ok(Self { header, recorder })
        })
        .await
    }

    async fn push(
        mut self,
        commits: Vec<Arc<StoredCommit>>,
        mut restored: Option<State>,
    ) -> Result<Self, CanvasError> {
        aside(move || {
            for stored in &commits {
                self.recorder.push(&stored.commit, restored.take())?;
            }
            Ok(self)
        })
        .await
    }

    async fn finish(self) -> Result<MadeReplay, CanvasError> {
        aside(move || {
            let (bytes, manifest_hash) = self.recorder.finish()?;
            Ok(MadeReplay {
                header: self.header,
                manifest_hash,
                bytes,
            })
        })
        .await
    }
}

async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Unrecorded> + Send + 'static,
) -> Result<T, CanvasError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(CanvasError::damaged)?
        .map_err(CanvasError::from)
}

impl From<Unrecorded> for CanvasError {
    fn from(unrecorded: Unrecorded) -> Self {
        match unrecorded {
            Unrecorded::TooLarge(fits_to) => Self::ReplayTooLarge { fits_to },
            Unrecorded::Damaged(error) => error,
        }
    }
}
