//! Bringing a canvas into memory, and up to what other nodes did.

use std::sync::Arc;

use realtime::CanvasKey;
use store::Document;

use super::{
    CanvasService,
    history::replay,
    hot::{Current, Hot},
};
use crate::{
    CanvasError,
    stored::{Head, head_key, read},
};

/// Commits that may be on their way to the rail; further changes wait for them.
const BEHIND_MAX: u64 = 128;
/// Commits of other nodes that are read by their names: those of a group.
const BY_NAME_MAX: u64 = 96;

impl CanvasService {
    /// Where the canvas is, for who only reads.
    pub(super) async fn look(&self, key: &CanvasKey) -> Result<Arc<Current>, CanvasError> {
        let hot = self.hot(key);
        let found = self.documents.get(&head_key(key)).await?;
        if let Some(current) = hot.current()
            && current.version == found.as_ref().map(|found| found.version)
        {
            self.have_told(key, &hot, &current);
            return Ok(current);
        }
        let _turn = hot.turn.lock().await;
        self.fresh(key, &hot).await
    }

    /// Where the canvas is, for who has the turn. What was durable and not told is told soon; first, if
    /// it is much.
    pub(super) async fn fresh(
        &self,
        key: &CanvasKey,
        hot: &Arc<Hot>,
    ) -> Result<Arc<Current>, CanvasError> {
        let found = self.documents.get(&head_key(key)).await?;
        let known = hot.current();
        let current = match (known, found) {
            (Some(known), found) if known.version == found.as_ref().map(|f| f.version) => known,
            (_, None) => {
                let empty = crate::model::State::default();
                Arc::new(Current::new(Head::new(), None, empty))
            }
            (known, Some(found)) => Arc::new(self.load(key, known.as_deref(), &found).await?),
        };
        hot.set(&current);
        hot.telling.learn(&current.head);
        if hot.untold(&current.head) >= BEHIND_MAX {
            self.teller.told(key, hot).await;
        } else {
            self.have_told(key, hot, &current);
        }
        Ok(current)
    }

    /// Has told what was not told yet, in a task of its own.
    fn have_told(&self, key: &CanvasKey, hot: &Arc<Hot>, current: &Current) {
        if hot.untold(&current.head) > 0 {
            self.teller.wake(key, hot);
        }
    }

    /// Reads what the head says: from what is known on, or from a snapshot.
    async fn load(
        &self,
        key: &CanvasKey,
        known: Option<&Current>,
        found: &Document,
    ) -> Result<Current, CanvasError> {
        let head: Head = read(found)?;
        let reaches = |known: &&Current| {
            known.head.rev <= head.rev
                && known.head.rev >= head.epoch_rev
                && known.head.rev + 1 >= head.floor
        };
        let mut current = match known.filter(reaches) {
            Some(known) => known.clone(),
            None => {
                let (state, rev) = self.snapshot_before(key, head.rev).await?;
                let mut current = Current::new(head.clone(), None, state);
                current.head.rev = rev;
                current
            }
        };
        let known = current.head.rev;
        let commits = if head.rev - known <= BY_NAME_MAX {
            self.commits_by_name(key, known, head.rev).await?
        } else {
            self.commits_between(key, known, head.rev, usize::MAX)
                .await?
        };
        for stored in commits {
            if stored.commit.rev != current.head.rev + 1 {
                break;
            }
            replay(&mut current.state, &stored)?;
            current.head.rev = stored.commit.rev;
            current.remember(stored);
        }
        if current.head.rev != head.rev || current.state.hash() != head.state_hash {
            return Err(CanvasError::damaged("the commits do not lead to the head"));
        }
        current.version = Some(found.version);
        current.stored_floor = head.floor;
        current.head = head;
        Ok(current)
    }
}
