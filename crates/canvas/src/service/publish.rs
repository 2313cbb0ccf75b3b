//! Telling of commits on the canvas's rail, in order, each once.
//!
//! A commit is told after it is durable, beside whoever made it, who does not wait for that. When a
//! server stops between the two, the next access on any node has it told, and so has the opening of
//! a stream. The log knows a commit by its canvas and revision, so telling it again does nothing; for
//! one that is older than the log's memory for that, the rail is looked through first.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use identity::Clock;
use realtime::{Backlog, CanvasKey, Realtime, RealtimeError, Told};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Appended, Cursor, Documents, EventLog, Idempotency, Read, StoredEvent};
use tokio::time::sleep;

use super::{
    history::read_commits,
    hot::{Current, Hot, Shelf},
};
use crate::{
    CanvasError, Commit,
    model::Digest,
    stored::{Head, StoredCommit, head_key, read},
};

const COMMIT: &str = "canvas.commit";
/// Commits whose text is longer are told without their commands, which are then read from the log
/// of commits: an event has at most 128 KiB.
const TOLD_BYTES_MAX: usize = 96 * 1024;
/// Half of the time for which a log knows what was told.
const KNOWN_FOR: Duration = Duration::from_secs(12 * 3600);
/// When telling is tried again after it failed: later each time.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

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

/// Tells of commits.
pub(super) struct Teller {
    pub(super) documents: Arc<dyn Documents>,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) realtime: Arc<Realtime>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shelf: Arc<Shelf>,
}

impl Teller {
    /// Has told what this process knows and was not told yet, in a task of its own; again and again,
    /// until it is told or the service is gone.
    pub(super) fn wake(self: &Arc<Self>, key: &CanvasKey, hot: &Arc<Hot>) {
        if hot.telling.scheduled.swap(true, Ordering::AcqRel) {
            return;
        }
        let (teller, key, hot) = (Arc::downgrade(self), key.clone(), Arc::clone(hot));
        tokio::spawn(async move {
            let mut retry = RETRY_FIRST;
            while let Some(teller) = teller.upgrade() {
                if teller.told(&key, &hot).await {
                    return;
                }
                drop(teller);
                if hot.telling.scheduled.swap(true, Ordering::AcqRel) {
                    return;
                }
                sleep(retry).await;
                retry = (retry * 2).min(RETRY_MAX);
            }
        });
    }

    /// Tells what this process knows; says whether all of it was told.
    pub(super) async fn told(&self, key: &CanvasKey, hot: &Hot) -> bool {
        let _turn = hot.telling.turn.lock().await;
        // Who commits from now on has it told anew.
        hot.telling.scheduled.swap(false, Ordering::AcqRel);
        let Some(current) = hot.current() else {
            return true;
        };
        let told = self.tell_up_to(key, hot, &current.head, Some(&current));
        match told.await {
            Ok(()) => true,
            Err(error) => {
                let untold = hot.untold(&current.head);
                tracing::warn!(%error, untold, "commits wait to be told");
                false
            }
        }
    }

    /// Tells what the store knows.
    pub(super) async fn settle(&self, key: &CanvasKey) -> Result<(), CanvasError> {
        let Some(found) = self.documents.get(&head_key(key)).await? else {
            return Ok(());
        };
        let head: Head = read(&found)?;
        let hot = self.shelf.get(key.stream());
        let _turn = hot.telling.turn.lock().await;
        let known = hot.current();
        let known = known.filter(|known| known.version == Some(found.version));
        self.tell_up_to(key, &hot, &head, known.as_deref()).await
    }

    /// Tells up to `head`, for who has the turn. `known` is the canvas there, if it is in memory.
    async fn tell_up_to(
        &self,
        key: &CanvasKey,
        hot: &Hot,
        head: &Head,
        known: Option<&Current>,
    ) -> Result<(), CanvasError> {
        hot.telling.learn(head);
        let after = hot.telling.told().rev;
        if after >= head.rev {
            return Ok(());
        }
        let pending = match known.and_then(|known| known.recent_after(after)) {
            Some(recent) => recent,
            None => read_commits(&*self.documents, key, after, head.rev, usize::MAX).await?,
        };
        let now = self.clock.now();
        let old = |stored: &StoredCommit| now.since(stored.commit.at) > KNOWN_FOR;
        if pending.first().is_some_and(|stored| old(stored)) {
            self.find_told(key, hot, head.rev).await?;
        }
        for stored in pending {
            let rev = stored.commit.rev;
            if rev <= hot.telling.told().rev {
                continue;
            }
            let cursor = match self.tell(key, &stored.commit).await {
                Ok(appended) => Some(appended.cursor),
                Err(RealtimeError::IdempotencyConflict) => {
                    tracing::error!(rev, "another commit was told before");
                    None
                }
                Err(error) => return Err(error.into()),
            };
            hot.telling.note(rev, cursor);
        }
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

    /// Looks through the rail for commits up to `head` that were told, from the last one on of which
    /// that is known: others may have said much since.
    async fn find_told(&self, key: &CanvasKey, hot: &Hot, head: u64) -> Result<(), CanvasError> {
        let mut after = hot.telling.told().cursor;
        while hot.telling.told().rev < head {
            let page = store::READ_EVENTS_MAX;
            let events = match self.log.read(key.stream(), after, page).await? {
                Read::Page { events, .. } => events,
                // What was there is not kept any more, or that log is gone.
                Read::Gap { .. } if after.take().is_some() => continue,
                Read::Gap { .. } => break,
            };
            let Some(last) = events.last() else { break };
            after = Some(last.cursor);
            for (rev, cursor) in events.iter().filter_map(seen) {
                hot.telling.note(rev.min(head), Some(cursor));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Backlog for Teller {
    async fn tell(&self, key: &CanvasKey) {
        if let Err(error) = self.settle(key).await {
            tracing::warn!(%error, "a stream opens while commits wait to be told");
        }
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
