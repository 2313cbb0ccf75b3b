//! Going back: undoing a batch, and restoring a revision.

use identity::{Scope, UserId};
use realtime::CanvasKey;

use super::{Applied, CanvasService, commit::Draft, hot::Current, lane::Asked};
use crate::{
    CanvasError, Identity,
    model::{BatchId, Digest},
};

/// A batch to take back.
#[derive(Debug, Clone)]
pub struct Undoing {
    /// What names this request.
    pub identity: Identity,
    /// The batch to take back: one of the same user and client.
    pub batch_id: BatchId,
}

/// A revision to go back to.
#[derive(Debug, Clone)]
pub struct Restore {
    /// What names this request.
    pub identity: Identity,
    /// The revision.
    pub rev: u64,
}

impl Undoing {
    pub(super) fn fingerprint(&self) -> Digest {
        Digest::of_parts(&[b"undo", self.batch_id.as_str().as_bytes()])
    }

    /// What names the batch to take back.
    pub(super) fn target(&self) -> Identity {
        Identity {
            client_id: self.identity.client_id.clone(),
            batch_id: self.batch_id.clone(),
        }
    }
}

impl Restore {
    pub(super) fn fingerprint(&self) -> Digest {
        Digest::of_parts(&[b"restore", &self.rev.to_be_bytes()])
    }
}

impl CanvasService {
    /// Takes a batch back: with commands on the state as it is now, and only where it is still as
    /// the batch left it. What others have changed since is left alone, and named.
    ///
    /// # Errors
    /// [`CanvasError::NotFound`] when there is no such batch (any more), [`CanvasError::UndoConflict`]
    /// when nothing is as it left it, and as for [`CanvasService::submit`].
    pub async fn undo(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        undoing: &Undoing,
    ) -> Result<Applied, CanvasError> {
        self.realtime.admit(scope, 0).await?;
        self.ask(scope, key, Asked::Undo(undoing.clone())).await
    }

    /// What takes a batch back on the canvas as it is.
    ///
    /// # Errors
    /// As for [`CanvasService::undo`].
    pub(super) async fn draft_undo<'a>(
        &self,
        key: &CanvasKey,
        user: &UserId,
        current: &Current,
        undoing: &'a Undoing,
    ) -> Result<Draft<'a>, CanvasError> {
        let receipt = self.receipt(user, key, &undoing.target()).await?;
        let rev = receipt.ok_or(CanvasError::NotFound)?.rev;
        let commit = self.commit_at(key, rev).await?;
        let commit = commit.ok_or(CanvasError::NotFound)?.commit;
        let was = self.state_at(key, rev.saturating_sub(1)).await?;
        let mut state = current.state.clone();
        let undo = state.undo(&was, &commit.commands);
        if undo.effective.is_empty() {
            return Err(CanvasError::UndoConflict(undo.skipped));
        }
        Ok(Draft {
            identity: &undoing.identity,
            agent: None,
            fingerprint: undoing.fingerprint(),
            state,
            effective: undo.effective,
            base_rev: current.head.rev,
            mode: None,
            rebased_over: Vec::new(),
            undoes: Some(rev),
            restores: None,
            skipped: undo.skipped,
        })
    }

    /// Makes the state of an earlier revision the state of the canvas. That begins an epoch: what
    /// clients have made for the one before is refused.
    ///
    /// # Errors
    /// [`CanvasError::NotFound`] when the revision is not kept, and as for [`CanvasService::submit`].
    pub async fn restore(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        restore: &Restore,
    ) -> Result<Applied, CanvasError> {
        self.realtime.admit(scope, 0).await?;
        self.ask(scope, key, Asked::Restore(restore.clone())).await
    }

    /// What makes the state of an earlier revision the state of the canvas.
    ///
    /// # Errors
    /// As for [`CanvasService::restore`].
    pub(super) async fn draft_restore<'a>(
        &self,
        key: &CanvasKey,
        current: &Current,
        restore: &'a Restore,
    ) -> Result<Draft<'a>, CanvasError> {
        if restore.rev > current.head.rev {
            return Err(CanvasError::NotFound);
        }
        Ok(Draft {
            identity: &restore.identity,
            agent: None,
            fingerprint: restore.fingerprint(),
            state: self.state_at(key, restore.rev).await?,
            effective: Vec::new(),
            base_rev: current.head.rev,
            mode: None,
            rebased_over: Vec::new(),
            undoes: None,
            restores: Some(restore.rev),
            skipped: Vec::new(),
        })
    }
}
