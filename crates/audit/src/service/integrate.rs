//! Integration: what was appended enters its log's tree, and an epoch is closed over it.
//!
//! Heads are stored before the epoch that tells of them. Each keeps what the
//! epochs before said, so that a stop in between leaves nothing that cannot be explained.
//!
//! **Invariant:** a leaf is integrated once, at its seq, in the order of its log.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use store::{BATCH_BYTES_MAX, BATCH_STEPS_MAX};

use super::{
    Audit, LogId,
    advance::{Advance, Fault},
    logs::Log,
};
use crate::{DamagedRecord, Leaf, LeafError, Phase, Record};

/// Steps that one log takes in one round, each of a page of records; the rest waits for the next.
const STEPS_MAX: usize = 20;
/// Logs whose next heads are held at the same time.
const HEADS_HELD_MAX: usize = 128;
/// Logs that are read at the same time.
const READS_AT_ONCE: usize = 16;

impl Audit {
    /// Integrates every changed log and closes an epoch if one changed.
    pub(super) async fn integrate(&self) {
        let epoch = self.publisher.next_epoch();
        let mut changed = self.logs.take_changed();
        for _ in 0..STEPS_MAX {
            let mut more = Vec::new();
            for some in changed.chunks(HEADS_HELD_MAX) {
                if !self.stays().await {
                    return;
                }
                more.extend(self.step(some, epoch).await);
            }
            changed = more;
            if changed.is_empty() || self.frozen().is_some() {
                break;
            }
        }
        changed.iter().for_each(|log| self.logs.mark(log));
        if self.frozen().is_some() {
            return;
        }
        if let Err(error) = self.publish().await {
            tracing::warn!(%error, "the epoch is closed later");
        }
    }

    /// Takes one step with each of `logs`; returns those that have more to integrate.
    async fn step(&self, logs: &[Arc<Log>], epoch: u64) -> Vec<Arc<Log>> {
        let advances: Vec<Advance> = stream::iter(logs.to_vec())
            .map(|log| self.advance_or_log(log, epoch))
            .buffer_unordered(READS_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        let mut more = Vec::new();
        for group in grouped(advances) {
            more.extend(self.store(group).await);
        }
        more
    }

    async fn advance_or_log(&self, log: Arc<Log>, epoch: u64) -> Option<Advance> {
        match self.advance(&log, epoch).await {
            Ok(advance) => advance,
            Err(Fault::Store(error)) => {
                tracing::warn!(log = %log.id, %error, "a log is integrated later");
                self.logs.mark(&log);
                None
            }
            Err(fault @ Fault::Tampered { .. }) => {
                if let Err(error) = self.contradicted(fault.to_string()).await {
                    tracing::warn!(log = %log.id, %error, "a log is looked at later");
                    self.logs.mark(&log);
                }
                None
            }
        }
    }

    /// Stores heads and what belongs to them; what others changed meanwhile is integrated later.
    async fn store(&self, group: Vec<Advance>) -> Vec<Arc<Log>> {
        let epoch = self.publisher.next_epoch();
        let told = group.iter().filter(|advance| advance.head.epoch == epoch);
        let leaves = told.map(|advance| {
            let leaf = advance.head.leaf(&advance.head.said());
            (advance.log.slot, leaf.leaf_hash())
        });
        let stored = self.store_heads(self.batch(&group), leaves.collect());
        if let Err(error) = stored.await {
            tracing::warn!(%error, "heads are stored later");
            group
                .iter()
                .for_each(|advance| self.logs.mark(&advance.log));
            return Vec::new();
        }
        for advance in &group {
            advance.log.has_integrated(advance.head.state.size());
            if let Some(nodes) = &self.nodes {
                nodes.overdue.see(&advance.log.id, &advance.head.open);
            }
        }
        let more = group.into_iter().filter(|advance| advance.more);
        more.map(|advance| advance.log).collect()
    }
}

/// Checks that a stored body is a record of this log; gives it and what it says.
pub(super) fn checked(log: &LogId, body: &Bytes) -> Result<(Record, Leaf), NotOfLog> {
    let record = Record::decode(body)?;
    let leaf = Leaf::parse(&record.leaf)?;
    if leaf.tenant != log.tenant || leaf.env != log.env {
        return Err(NotOfLog::Foreign);
    }
    Ok((record, leaf))
}

/// A stored body is no record of its log.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotOfLog {
    #[error(transparent)]
    Damaged(#[from] DamagedRecord),
    #[error(transparent)]
    Leaf(#[from] LeafError),
    #[error("it is a record of another log")]
    Foreign,
}

/// An intent is open until its outcome is in the log.
pub(super) fn note_phase(open: &mut Vec<u64>, seq: u64, phase: &Phase) {
    match phase {
        Phase::Intent => open.push(seq),
        Phase::Outcome { intent, .. } => open.retain(|one| *one != u64::from(*intent)),
        Phase::Event(_) => {}
    }
}

/// Groups that fit into a batch each.
fn grouped(advances: Vec<Advance>) -> Vec<Vec<Advance>> {
    let mut groups: Vec<Vec<Advance>> = Vec::new();
    let (mut steps, mut bytes) = (BATCH_STEPS_MAX, BATCH_BYTES_MAX);
    for advance in advances {
        let (more_steps, more_bytes) = advance.cost();
        (steps, bytes) = (steps + more_steps, bytes + more_bytes);
        match groups.last_mut() {
            Some(group) if steps <= BATCH_STEPS_MAX && bytes <= BATCH_BYTES_MAX => {
                group.push(advance);
            }
            _ => {
                (steps, bytes) = (more_steps, more_bytes);
                groups.push(vec![advance]);
            }
        }
    }
    groups
}
