//! Telling of commits on the canvas's rail, in order, each once.
//!
//! A commit is told after it is durable, by whoever made it. When that one stops between the two, the
//! next access on any node tells it. The log knows a commit by its canvas and revision, so telling
//! it again does nothing; of one that is older than the log's memory for that, the end of the rail is
//! looked at first.

use std::time::Duration;

use realtime::{CanvasKey, RealtimeError, Told};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Appended, Cursor, Idempotency, Read, StoredEvent};

use super::{CanvasService, hot::Current};
use crate::{CanvasError, Commit, model::Digest, stored::StoredCommit};

const COMMIT: &str = "canvas.commit";
/// Commits whose text is longer are told without their commands, which are then read from the log
/// of commits: an event has at most 128 KiB.
const TOLD_BYTES_MAX: usize = 96 * 1024;
/// Half of the time for which a log knows what was told.
const KNOWN_FOR: Duration = Duration::from_secs(12 * 3600);
/// Events that are looked at for a commit that may have been told.
const LOOKED_AT: u64 = 200;

/// A commit that is too large for an event.
#[derive(Serialize)]
struct Announced<'a> {
    commit_hash: Digest,
    epoch: u64,
    prev_hash: &'a Digest,
    rev: u64,
    state_hash: &'a Digest,
    truncated: bool,
}

#[derive(Deserialize)]
struct Seen {
    r#type: String,
    data: SeenCommit,
}

#[derive(Deserialize)]
struct SeenCommit {
    rev: u64,
}

impl CanvasService {
    /// Tells of the commits that were not told yet, as far as that is possible now.
    pub(super) async fn tell_pending(&self, key: &CanvasKey, current: &mut Current) {
        if let Err(error) = self.try_tell(key, current).await {
            tracing::warn!(%error, untold = current.untold(), "commits wait to be told");
        }
    }

    async fn try_tell(&self, key: &CanvasKey, current: &mut Current) -> Result<(), CanvasError> {
        let pending = match current.recent_after(current.published) {
            Some(recent) => recent,
            None => {
                let (after, to) = (current.published, current.head.rev);
                self.commits_between(key, after, to, usize::MAX).await?
            }
        };
        let now = self.clock.now();
        let old = |stored: &StoredCommit| now.since(stored.commit.at) > KNOWN_FOR;
        if pending.first().is_some_and(|stored| old(stored)) {
            self.find_told(key, current).await?;
        }
        for stored in pending {
            if stored.commit.rev <= current.published {
                continue;
            }
            match self.tell(key, &stored.commit).await {
                Ok(appended) => current.cursor = Some(appended.cursor),
                Err(RealtimeError::IdempotencyConflict) => {
                    tracing::error!(rev = stored.commit.rev, "another commit was told before");
                }
                Err(error) => return Err(error.into()),
            }
            current.published = stored.commit.rev;
        }
        current.head.published = current.published;
        Ok(())
    }

    async fn tell(&self, key: &CanvasKey, commit: &Commit) -> Result<Appended, RealtimeError> {
        let data = told(commit).map_err(|e| store::StoreError::Corrupt(e.to_string()))?;
        let rev = commit.rev.to_be_bytes();
        let told = Told {
            kind: COMMIT,
            at: commit.at,
            actor: &commit.actor.user_id,
            request_id: &commit.request_id,
            traceparent: &commit.traceparent,
            data: &data,
            idempotency: Idempotency {
                key: Digest::of_parts(&[key.stream().as_str().as_bytes(), &rev]).half(),
                fingerprint: commit.hash().half(),
            },
        };
        self.realtime.tell(key, &told).await
    }

    /// Looks at the end of the rail for the last commit that was told.
    async fn find_told(&self, key: &CanvasKey, current: &mut Current) -> Result<(), CanvasError> {
        let stream = key.stream();
        let bounds = self.log.bounds(stream).await?;
        let after = Cursor {
            epoch: bounds.epoch,
            seq: bounds.head.saturating_sub(LOOKED_AT),
        };
        let after = (after.seq + 1 >= bounds.oldest).then_some(after);
        let read = self.log.read(stream, after, store::READ_EVENTS_MAX).await?;
        let Read::Page { events, .. } = read else {
            return Ok(());
        };
        if let Some((rev, cursor)) = events.iter().rev().find_map(seen) {
            current.published = current.published.max(rev.min(current.head.rev));
            current.cursor = Some(cursor);
        }
        Ok(())
    }
}

fn seen(event: &StoredEvent) -> Option<(u64, Cursor)> {
    let seen: Seen = serde_json::from_slice(&event.body).ok()?;
    (seen.r#type == COMMIT).then_some((seen.data.rev, event.cursor))
}

fn told(commit: &Commit) -> Result<Box<RawValue>, serde_json::Error> {
    let whole = serde_json::value::to_raw_value(commit)?;
    if whole.get().len() <= TOLD_BYTES_MAX {
        return Ok(whole);
    }
    serde_json::value::to_raw_value(&Announced {
        commit_hash: commit.hash(),
        epoch: commit.epoch,
        prev_hash: &commit.prev_hash,
        rev: commit.rev,
        state_hash: &commit.state_hash,
        truncated: true,
    })
}
