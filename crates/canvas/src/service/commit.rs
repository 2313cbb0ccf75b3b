//! Making a commit durable: the commit, the head and the receipt, in one batch.

use std::sync::Arc;

use identity::Scope;
use realtime::CanvasKey;
use store::{Batch, CommitError, Expect};

use super::{
    Applied, CanvasService,
    hot::{Current, Hot},
    snapshot::put_snapshot,
};
use crate::{
    CanvasError, Commit, Identity, Mode,
    commit::Actor,
    model::{AgentName, COMMIT_BYTES_MAX, Digest, Effective, Skipped, State},
    stored::{
        Head, RECEIPT_LIFE, Receipt, StoredCommit, Version, commit_key, head_key, read,
        receipt_key, version_key, write,
    },
};

/// A change, ready to be committed.
pub(super) struct Draft<'a> {
    pub(super) identity: &'a Identity,
    /// Who does it on behalf of the caller.
    pub(super) agent: Option<&'a AgentName>,
    pub(super) fingerprint: Digest,
    pub(super) state: State,
    pub(super) effective: Vec<Effective>,
    pub(super) base_rev: u64,
    pub(super) mode: Option<Mode>,
    pub(super) rebased_over: Vec<u64>,
    pub(super) undoes: Option<u64>,
    pub(super) restores: Option<u64>,
    pub(super) skipped: Vec<Skipped>,
}

impl CanvasService {
    /// What became of a batch before, if it was sent before.
    ///
    /// # Errors
    /// [`CanvasError::IdempotencyConflict`] when its id stands for another.
    pub(super) async fn done_before(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        identity: &Identity,
        fingerprint: &Digest,
    ) -> Result<Option<Applied>, CanvasError> {
        let Some(receipt) = self.receipt(scope, key, identity).await? else {
            return Ok(None);
        };
        if receipt.fingerprint != *fingerprint {
            return Err(CanvasError::IdempotencyConflict);
        }
        let commit = self.commit_at(key, receipt.rev).await?;
        Ok(Some(Applied {
            rev: receipt.rev,
            epoch: receipt.epoch,
            state_hash: receipt.state_hash,
            effective: commit.map_or(Vec::new(), |stored| stored.commit.commands),
            rebased_over: receipt.rebased_over,
            skipped: receipt.skipped,
            duplicate: true,
        }))
    }

    pub(super) async fn receipt(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        identity: &Identity,
    ) -> Result<Option<Receipt>, CanvasError> {
        let name = receipt_key(key, scope.user(), identity);
        let found = self.documents.get(&name).await?;
        found.map(|document| read(&document)).transpose()
    }

    /// Commits a draft that was made for `current`, and has it told. `None` when another node was
    /// faster.
    pub(super) async fn commit(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        hot: &Arc<Hot>,
        current: &Current,
        draft: Draft<'_>,
    ) -> Result<Option<Applied>, CanvasError> {
        let (batch, mut next, applied) = self.prepare(scope, key, hot, current, draft)?;
        let version = match self.documents.commit(batch).await {
            Ok(version) => version,
            Err(CommitError::Conflict(_)) => return Ok(None),
            Err(CommitError::Store(error)) => {
                // It may have been applied all the same.
                hot.forget();
                return Err(error.into());
            }
        };
        next.version = Some(version);
        next.stored_floor = next.head.floor;
        // Known before it is told: who tells finds it here.
        hot.set(&Arc::new(next.clone()));
        self.teller.wake(key, hot);
        // Nothing is let go of before it was told.
        if self.snapshot_if_due(key, &mut next).await && self.teller.told(key, hot).await {
            self.compact(key, &mut next).await;
        }
        hot.set(&Arc::new(next));
        Ok(Some(applied))
    }

    fn prepare(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        hot: &Hot,
        current: &Current,
        draft: Draft<'_>,
    ) -> Result<(Batch, Current, Applied), CanvasError> {
        let restores = draft.restores.is_some();
        let receipt_name = receipt_key(key, scope.user(), draft.identity);
        let (fingerprint, skipped) = (draft.fingerprint, draft.skipped.clone());
        let mut state = draft.state.clone();
        let commit = self.write_commit(scope, &current.head, &mut state, draft);
        let text = write(&commit)?;
        if text.len() > COMMIT_BYTES_MAX {
            let why = format!("what a batch does has at most {COMMIT_BYTES_MAX} bytes");
            return Err(CanvasError::invalid(None, why));
        }
        let mut head = next_head(&current.head, &commit, text.len() as u64, restores);
        hot.telling.mark(&mut head);
        let stored = StoredCommit {
            log_bytes: head.log_bytes,
            commit,
        };
        let commit = &stored.commit;
        let receipt = Receipt {
            fingerprint,
            rev: commit.rev,
            epoch: commit.epoch,
            state_hash: commit.state_hash,
            rebased_over: commit.rebased_over.clone(),
            skipped: skipped.clone(),
        };
        let (head_name, commit_name) = (head_key(key), commit_key(key, commit.rev));
        let batch = Batch::new();
        let batch = match current.version.map_or(Expect::Absent, Expect::Version) {
            Expect::Absent => batch.expect_absent(&head_name),
            Expect::Version(version) => batch.expect_version(&head_name, version),
        };
        let mut batch = batch
            .expect_absent(&receipt_name)
            .expect_absent(&commit_name)
            .put(&head_name, write(&head)?)
            .put(&commit_name, write(&stored)?)
            .put_until(
                &receipt_name,
                write(&receipt)?,
                commit.at.plus(RECEIPT_LIFE),
            )
            .put(
                &version_key(key, head.mark.window, head.mark.epoch),
                write(&version_of(&head, commit))?,
            );
        if restores {
            batch = put_snapshot(batch, key, &head, &state)?;
        }
        let applied = Applied {
            rev: commit.rev,
            epoch: commit.epoch,
            state_hash: commit.state_hash,
            effective: commit.commands.clone(),
            rebased_over: commit.rebased_over.clone(),
            skipped,
            duplicate: false,
        };
        let mut next = current.clone();
        next.head = head;
        next.state = state;
        next.remember(Arc::new(stored));
        Ok((batch, next, applied))
    }

    fn write_commit(
        &self,
        scope: &Scope,
        head: &Head,
        state: &mut State,
        draft: Draft<'_>,
    ) -> Commit {
        let ids = scope.ids();
        let commit = Commit {
            actor: Actor {
                agent: draft.agent.cloned(),
                user_id: scope.user().clone(),
            },
            at: self.clock.now(),
            base_rev: draft.base_rev,
            batch_id: draft.identity.batch_id.clone(),
            client_id: draft.identity.client_id.clone(),
            commands: draft.effective,
            commit_hash: None,
            epoch: head.epoch + u64::from(draft.restores.is_some()),
            mode: draft.mode,
            prev_hash: head.commit_hash,
            rebased_over: draft.rebased_over,
            request_id: ids.request_id.to_string(),
            restores: draft.restores,
            rev: head.rev + 1,
            state_hash: state.hash(),
            traceparent: ids.traceparent.as_str().to_owned(),
            undoes: draft.undoes,
        };
        commit.sealed()
    }
}

fn next_head(head: &Head, commit: &Commit, bytes: u64, restores: bool) -> Head {
    let mut next = head.clone();
    next.rev = commit.rev;
    next.epoch = commit.epoch;
    next.state_hash = commit.state_hash;
    next.commit_hash = commit.hash();
    next.log_bytes = head.log_bytes + bytes;
    next.mark = head.mark.next(commit.at, commit.epoch, commit.rev);
    if restores {
        next.epoch_rev = commit.rev;
        next.snapshot_rev = commit.rev;
        next.snapshot_log_bytes = next.log_bytes;
    }
    next
}

fn version_of(head: &Head, commit: &Commit) -> Version {
    Version {
        rev: commit.rev,
        first_rev: head.mark.first_rev,
        epoch: commit.epoch,
        at: commit.at,
        actor: commit.actor.user_id.clone(),
        state_hash: commit.state_hash,
    }
}
