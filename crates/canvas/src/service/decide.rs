//! What becomes of a batch, given where the canvas is.

use realtime::CanvasKey;

use super::{CanvasService, hot::Current};
use crate::{
    CanvasError, CommandBatch, Elsewise, Mode,
    model::{Conflict, Effective, Missed, Reason, State},
    stored::StoredCommit,
};
use std::sync::Arc;

/// Commits over which a batch is put, at most; from further behind a client catches up first.
pub(super) const REBASE_MAX: u64 = 1_000;

/// A batch that can be committed.
pub(super) struct Next {
    pub(super) state: State,
    pub(super) effective: Vec<Effective>,
    pub(super) rebased_over: Vec<u64>,
}

/// A batch whose client is not where the canvas is.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) kind: Elsewise,
    /// Where it is.
    pub(super) base_rev: u64,
    pub(super) conflicts: Vec<Conflict>,
}

impl CanvasService {
    /// Carries the batch out on a copy of the state. `last` are the last commits of `current`: those that
    /// are not stored yet, and others that are at hand.
    ///
    /// # Errors
    /// [`CanvasError::CommandInvalid`] for a command that cannot be carried out on what its client knows.
    pub(super) async fn decide(
        &self,
        key: &CanvasKey,
        current: &Current,
        last: &[Arc<StoredCommit>],
        batch: &CommandBatch,
    ) -> Result<Result<Next, Away>, CanvasError> {
        let head = &current.head;
        let away = |kind| {
            Ok(Err(Away {
                kind,
                base_rev: batch.base_rev,
                conflicts: Vec::new(),
            }))
        };
        if batch.epoch.is_some_and(|epoch| epoch != head.epoch) {
            return away(Elsewise::OtherEpoch);
        }
        if batch.base_rev > head.rev {
            return away(Elsewise::Ahead);
        }
        if batch.base_rev == head.rev {
            return at_head(&current.state, batch).map(Ok);
        }
        let missed = self.missed(key, current, last, batch.base_rev).await?;
        let Some(missed) = missed else {
            return away(Elsewise::Behind);
        };
        let rebased = rebase(&current.state, batch, &missed, head.rev);
        Ok(match batch.mode {
            Mode::Rebase => rebased,
            // What would be in the way tells the client which of its commands to look at again.
            Mode::Strict => Err(rebased.err().unwrap_or(Away {
                kind: Elsewise::Behind,
                base_rev: batch.base_rev,
                conflicts: Vec::new(),
            })),
        })
    }

    /// The commits after `base`, if a batch may be put over them.
    pub(super) async fn missed(
        &self,
        key: &CanvasKey,
        current: &Current,
        last: &[Arc<StoredCommit>],
        base: u64,
    ) -> Result<Option<Vec<Arc<StoredCommit>>>, CanvasError> {
        let head = &current.head;
        let near = head.rev - base <= REBASE_MAX && base + 1 >= head.floor;
        if !near || base < head.epoch_rev {
            return Ok(None);
        }
        if let Some(recent) = current.recent_after(base) {
            return Ok(Some(recent));
        }
        let before = head.rev - last.len() as u64;
        let mut found = self.commits_between(key, base, before, usize::MAX).await?;
        let unseen = |commit: &&Arc<StoredCommit>| commit.commit.rev > base;
        found.extend(last.iter().filter(unseen).cloned());
        let whole = found.len() as u64 == head.rev - base;
        Ok(whole.then_some(found))
    }
}

fn at_head(state: &State, batch: &CommandBatch) -> Result<Next, CanvasError> {
    let mut state = state.clone();
    let mut effective = Vec::with_capacity(batch.commands.len());
    for (cmd_id, command) in &batch.commands {
        let carried = state.carry_out(cmd_id, command);
        let carried = carried.map_err(|why| CanvasError::invalid(Some(cmd_id), why.to_string()))?;
        effective.push(carried.effective);
    }
    Ok(Next {
        state,
        effective,
        rebased_over: Vec::new(),
    })
}

fn rebase(
    state: &State,
    batch: &CommandBatch,
    missed: &[Arc<StoredCommit>],
    head: u64,
) -> Result<Next, Away> {
    let mut written = Missed::default();
    for stored in missed {
        let commit = &stored.commit;
        for command in &commit.commands {
            written.note(commit.rev, &commit.actor.user_id, &command.change);
        }
    }
    let mut state = state.clone();
    let (mut effective, mut conflicts) = (Vec::new(), Vec::new());
    for (cmd_id, command) in &batch.commands {
        match state.carry_out(cmd_id, command) {
            Ok(carried) => {
                conflicts.extend(written.conflicts(&carried));
                effective.push(carried.effective);
            }
            Err(why) => {
                let found = written.conflicts_of_failed(cmd_id, command);
                let unexplained = found.is_empty();
                conflicts.extend(found);
                // What failed for reasons of the batch itself fails again, and says so, at the head.
                if unexplained && let Some(last) = missed.last() {
                    conflicts.push(unknown_cause(cmd_id, command, &why, last, head));
                }
            }
        }
    }
    if conflicts.is_empty() {
        return Ok(Next {
            state,
            effective,
            rebased_over: missed.iter().map(|stored| stored.commit.rev).collect(),
        });
    }
    Err(Away {
        kind: Elsewise::Behind,
        base_rev: batch.base_rev,
        conflicts,
    })
}

/// A command that cannot be carried out after all that was missed, whatever of it is the cause.
fn unknown_cause(
    cmd_id: &crate::model::CommandId,
    command: &crate::model::Command,
    why: &Reason,
    last: &StoredCommit,
    head: u64,
) -> Conflict {
    tracing::debug!(%cmd_id, %why, "a command does not fit the head");
    Conflict {
        cmd_id: cmd_id.clone(),
        node: command.node().clone(),
        props: Vec::new(),
        by_rev: head,
        actor: last.commit.actor.user_id.clone(),
    }
}
