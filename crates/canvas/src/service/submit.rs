//! Batches of commands.

use identity::Scope;
use realtime::CanvasKey;
use store::StoreError;

use super::{Applied, CanvasService, decide::Away, hot::Hot, lane::Asked};
use crate::{CanvasError, CommandBatch, Elsewhere, Elsewise, stored::Head};

/// Commits that may wait to be told while the rail cannot be reached; then changes wait too.
const UNTOLD_MAX: u64 = 200;

impl CanvasService {
    /// Carries a batch out, once; durable when this returns, and told soon. Batches for the same canvas
    /// that come meanwhile are made durable together.
    ///
    /// A batch that was sent before has the answer of then, wherever the canvas is now.
    ///
    /// # Errors
    /// [`CanvasError::Elsewhere`] with the way to the head, [`CanvasError::CommandInvalid`],
    /// [`CanvasError::IdempotencyConflict`], [`CanvasError::Contended`], [`CanvasError::Crowded`],
    /// [`CanvasError::Realtime`] when a rate of the tenant is used up, [`CanvasError::Store`].
    pub async fn submit(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        batch: &CommandBatch,
    ) -> Result<Applied, CanvasError> {
        self.realtime.admit(scope, batch.bytes).await?;
        self.ask(scope, key, Asked::Commands(batch.clone())).await
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
        match self.decide(key, &current, &[], batch).await? {
            Ok(_) => Ok(()),
            Err(away) => Err(self.elsewhere(key, away).await?),
        }
    }

    /// The refusal of a batch whose client is not where the canvas is, with the way there.
    pub(super) async fn elsewhere(
        &self,
        key: &CanvasKey,
        away: Away,
    ) -> Result<CanvasError, CanvasError> {
        // Read first: what is told after it is what the client does not get here.
        let resume_id = self.resume_id(key).await;
        let current = self.look(key).await?;
        // Whoever is in another epoch may mean anything by a revision.
        let base = (away.kind != Elsewise::OtherEpoch).then_some(away.base_rev);
        let recovery = self.recover(key, &current, base, resume_id).await?;
        Ok(CanvasError::Elsewhere(Box::new(Elsewhere {
            kind: away.kind,
            conflicts: away.conflicts,
            recovery,
        })))
    }
}

/// Refuses changes on `head` while too many commits wait to be told.
pub(super) fn heard(hot: &Hot, head: &Head) -> Result<(), CanvasError> {
    let untold = hot.untold(head);
    if untold <= UNTOLD_MAX {
        return Ok(());
    }
    let why = format!("{untold} commits wait to be told");
    Err(StoreError::Unavailable(why).into())
}
