//! Commits: what a change becomes, and the head after it.

use identity::{Scope, Timestamp, UserId};
use realtime::CanvasKey;

use super::{
    Applied, CanvasService,
    decide::Next,
    lane::{Answer, Asked, Author, Shift, Waiting, kept},
};
use crate::{
    CanvasError, CommandBatch, Commit, Identity, Mode,
    commit::Actor,
    model::{AgentName, Digest, Effective, Skipped, State},
    stored::{Head, Receipt, Version, read, receipt_key},
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

impl<'a> Draft<'a> {
    /// A batch of commands that was decided on.
    pub(super) fn of_commands(batch: &'a CommandBatch, next: Next) -> Self {
        Self {
            identity: &batch.identity,
            agent: batch.agent.as_ref(),
            fingerprint: batch.fingerprint,
            state: next.state,
            effective: next.effective,
            base_rev: batch.base_rev,
            mode: Some(batch.mode),
            rebased_over: next.rebased_over,
            undoes: None,
            restores: None,
            skipped: Vec::new(),
        }
    }
}

impl CanvasService {
    /// Has a change carried out, in its turn; durable when this returns.
    ///
    /// # Errors
    /// Why it was not; [`CanvasError::Crowded`] when too many wait before it.
    pub(super) async fn ask(
        &self,
        scope: &Scope,
        key: &CanvasKey,
        asked: Asked,
    ) -> Result<Applied, CanvasError> {
        let (waiting, promise) = Waiting::new(Author::of(scope), asked);
        if let Some(shift) = Shift::join(&self.hot(key), waiting)? {
            tokio::spawn(self.clone().empty(key.clone(), shift));
        }
        match kept(promise).await? {
            Answer::Applied(applied) => Ok(applied),
            Answer::Before(receipt) => self.done_before(key, receipt).await,
            // The way to the head is looked up while others go on.
            Answer::Away(away) => Err(self.elsewhere(key, away).await?),
        }
    }

    /// What was answered for a change of which this is the receipt.
    async fn done_before(&self, key: &CanvasKey, receipt: Receipt) -> Result<Applied, CanvasError> {
        let commit = self.commit_at(key, receipt.rev).await?;
        Ok(Applied {
            rev: receipt.rev,
            epoch: receipt.epoch,
            state_hash: receipt.state_hash,
            effective: commit.map_or(Vec::new(), |stored| stored.commit.commands),
            rebased_over: receipt.rebased_over,
            skipped: receipt.skipped,
            duplicate: true,
        })
    }

    /// What became of a change before, if it was sent before.
    pub(super) async fn receipt(
        &self,
        user: &UserId,
        key: &CanvasKey,
        identity: &Identity,
    ) -> Result<Option<Receipt>, CanvasError> {
        let name = receipt_key(key, user, identity);
        let found = self.documents.get(&name).await?;
        found.map(|document| read(&document)).transpose()
    }
}

/// The commit that comes after `head`, and the state that it makes.
pub(super) fn write_commit(
    author: &Author,
    head: &Head,
    draft: Draft<'_>,
    at: Timestamp,
) -> (Commit, State) {
    let mut state = draft.state;
    let commit = Commit {
        actor: Actor {
            agent: draft.agent.cloned(),
            user_id: author.user.clone(),
        },
        at,
        base_rev: draft.base_rev,
        batch_id: draft.identity.batch_id.clone(),
        client_id: draft.identity.client_id.clone(),
        commands: draft.effective,
        commit_hash: None,
        epoch: head.epoch + u64::from(draft.restores.is_some()),
        mode: draft.mode,
        prev_hash: head.commit_hash,
        rebased_over: draft.rebased_over,
        request_id: author.ids.request_id.to_string(),
        restores: draft.restores,
        rev: head.rev + 1,
        state_hash: state.hash(),
        traceparent: author.ids.traceparent.as_str().to_owned(),
        undoes: draft.undoes,
    };
    (commit.sealed(), state)
}

/// The head after a commit with so many bytes.
pub(super) fn next_head(head: &Head, commit: &Commit, bytes: u64, restores: bool) -> Head {
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

/// The version that a commit ends, until the next one does.
pub(super) fn version_of(head: &Head, commit: &Commit) -> Version {
    Version {
        rev: commit.rev,
        first_rev: head.mark.first_rev,
        epoch: commit.epoch,
        at: commit.at,
        actor: commit.actor.user_id.clone(),
        state_hash: commit.state_hash,
    }
}
