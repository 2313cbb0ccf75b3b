//! Batches of commands.

use identity::Scope;
use realtime::CanvasKey;
use store::StoreError;

use super::{
    Applied, CanvasService, TRIES_MAX,
    commit::Draft,
    decide::{Away, Next},
    hot::{Current, Hot},
};
use crate::{CanvasError, CommandBatch, Elsewhere, Elsewise};

/// Commits that may wait to be told while the rail cannot be reached; then changes wait too.
const UNTOLD_MAX: u64 = 200;

impl CanvasService {
    /// Carries a batch out, once; durable when this returns, and told soon.
    ///
    /// A batch that was sent before has the answer of then, wherever the canvas is now.
    ///
    /// # Errors
    /// [`CanvasError::Elsewhere`] with the way to the head, [`CanvasError::CommandInvalid`],
    /// [`CanvasError::IdempotencyConflict`], [`CanvasError::Contended`], [`CanvasError::Realtime`] when a
    /// rate of the tenant is used up, [`CanvasError::Store`].
    pub async fn submit(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        batch: &CommandBatch,
    ) -> Result<Applied, CanvasError> {
        self.realtime.admit(scope, batch.bytes).await?;
        let hot = self.hot(key);
        let turn = hot.turn.lock().await;
        for _ in 0..TRIES_MAX {
            let current = self.fresh(key, &hot).await?;
            let before = self
                .done_before(scope, key, &batch.identity, &batch.fingerprint)
                .await?;
            if let Some(done) = before {
                return Ok(done);
            }
            heard(&hot, &current)?;
            let Next {
                state,
                effective,
                rebased_over,
            } = match self.decide(key, &current, batch).await? {
                Ok(next) => next,
                Err(away) => {
                    // The way to the head is looked up while others go on.
                    drop(turn);
                    return Err(self.elsewhere(key, batch.base_rev, away).await?);
                }
            };
            let draft = Draft {
                identity: &batch.identity,
                agent: batch.agent.as_ref(),
                fingerprint: batch.fingerprint,
                state,
                effective,
                base_rev: batch.base_rev,
                mode: Some(batch.mode),
                rebased_over,
                undoes: None,
                restores: None,
                skipped: Vec::new(),
            };
            if let Some(applied) = self.commit(scope, key, &hot, &current, draft).await? {
                return Ok(applied);
            }
        }
        Err(CanvasError::Contended)
    }

    /// Refuses a batch that would be refused now; nothing is done.
    ///
    /// # Errors
    /// As for [`CanvasService::submit`].
    pub(crate) async fn foresee(
        &self,
        key: &CanvasKey,
        batch: &CommandBatch,
    ) -> Result<(), CanvasError> {
        let current = self.look(key).await?;
        match self.decide(key, &current, batch).await? {
            Ok(_) => Ok(()),
            Err(away) => Err(self.elsewhere(key, batch.base_rev, away).await?),
        }
    }

    async fn elsewhere(
        &self,
        key: &CanvasKey,
        base: u64,
        away: Away,
    ) -> Result<CanvasError, CanvasError> {
        // Read first: what is told after it is what the client does not get here.
        let resume_id = self.resume_id(key).await;
        let current = self.look(key).await?;
        // Whoever is in another epoch may mean anything by a revision.
        let base = (away.kind != Elsewise::OtherEpoch).then_some(base);
        let recovery = self.recover(key, &current, base, resume_id).await?;
        Ok(CanvasError::Elsewhere(Box::new(Elsewhere {
            kind: away.kind,
            conflicts: away.conflicts,
            recovery,
        })))
    }
}

/// Refuses changes while too many commits wait to be told.
pub(super) fn heard(hot: &Hot, current: &Current) -> Result<(), CanvasError> {
    let untold = hot.untold(&current.head);
    if untold <= UNTOLD_MAX {
        return Ok(());
    }
    let why = format!("{untold} commits wait to be told");
    Err(StoreError::Unavailable(why).into())
}
