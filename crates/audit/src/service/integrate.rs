//! Integration: what was appended enters its log's tree, and an epoch is closed over it.
//!
//! Heads are stored before the epoch that tells of them. Each keeps what the
//! epochs before said, so that a stop in between leaves nothing that cannot be explained.
//!
//! **Invariant:** a leaf is integrated once, at its seq, in the order of its log.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use store::{
    BATCH_BYTES_MAX, BATCH_STEPS_MAX, Batch, CommitError, Cursor, DocKey, READ_EVENTS_MAX, Read,
    StoreError, Version,
};

use super::{Audit, LogId, logs::Log, stored::StoredHead};
use crate::{DamagedRecord, Hash, Leaf, LeafError, Phase, Record, log::Tile};

/// Records of one log that one round integrates; the rest waits for the next.
const ROUND_RECORDS_MAX: u64 = 20_000;
/// Logs that are read at the same time.
const READS_AT_ONCE: usize = 16;

/// Why a log cannot be integrated.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Try again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored records contradict the tree.
    #[error("{log} at seq {seq}: {why}")]
    Tampered { log: LogId, seq: u64, why: String },
}

/// A log's next head, before it is stored.
struct Advance {
    log: Arc<Log>,
    key: DocKey,
    version: Version,
    head: StoredHead,
    tiles: Vec<Tile>,
}

impl Audit {
    /// Integrates every changed log and closes an epoch if one changed.
    pub(super) async fn integrate(&self) {
        let epoch = self.publisher.next_epoch();
        let changed = self.logs.take_changed();
        let advances: Vec<Advance> = stream::iter(changed)
            .map(|log| self.advance_or_log(log, epoch))
            .buffer_unordered(READS_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        for group in grouped(advances) {
            self.store(group).await;
        }
        if self.frozen().is_some() {
            return;
        }
        if let Err(error) = self.publish().await {
            tracing::warn!(%error, "the epoch is closed later");
        }
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
                self.freeze(fault.to_string());
                None
            }
        }
    }

    /// The log's next head, `None` if it stays what it is.
    async fn advance(&self, log: &Arc<Log>, epoch: u64) -> Result<Option<Advance>, Fault> {
        let (mut head, version) = self.versioned_head(log).await?;
        let first = head.state.size();
        let mut tiles = Vec::new();
        loop {
            let hashes = self.read(log, &mut head).await?;
            if hashes.is_empty() {
                break;
            }
            let full = head.state.append(&hashes);
            tiles.extend(full.map_err(|error| tampered(log, &head, &error))?);
            if head.state.size() - first >= ROUND_RECORDS_MAX {
                self.logs.mark(log);
                break;
            }
        }
        if head.state.size() == first && head.epoch != 0 {
            return Ok(None);
        }
        head.enter(epoch);
        Ok(Some(Advance {
            log: Arc::clone(log),
            key: self.layout.head(log.slot),
            version,
            head,
            tiles,
        }))
    }

    /// The leaf hashes of the records after the head, one page of them; notes intents and outcomes.
    async fn read(&self, log: &Log, head: &mut StoredHead) -> Result<Vec<Hash>, Fault> {
        let size = head.state.size();
        let epoch = self.events.bounds(&log.records).await?.epoch;
        let after = Cursor { epoch, seq: size };
        let read = self.events.read(&log.records, Some(after), READ_EVENTS_MAX);
        let events = match read.await? {
            Read::Page { events, .. } => events,
            Read::Gap { bounds, .. } => {
                let why = format!("{size} records are integrated, {} are stored", bounds.head);
                return Err(tampered(log, head, &why));
            }
        };
        let mut hashes = Vec::with_capacity(events.len());
        for event in events {
            let seq = size + hashes.len() as u64 + 1;
            if event.cursor.seq != seq {
                let why = format!("seq {} follows", event.cursor.seq);
                return Err(tampered(log, head, &why));
            }
            let (hash, leaf) = checked(&log.id, &event.body).map_err(|why| Fault::Tampered {
                log: log.id.clone(),
                seq,
                why: why.to_string(),
            })?;
            note_phase(&mut head.open, seq, &leaf.phase);
            hashes.push(hash);
        }
        Ok(hashes)
    }

    /// Stores heads and tiles; what others changed meanwhile is integrated later.
    async fn store(&self, group: Vec<Advance>) {
        let batch = group.iter().try_fold(Batch::new(), |batch, advance| {
            let batch = batch
                .expect_version(&advance.key, advance.version)
                .put(&advance.key, advance.head.encode()?);
            Ok::<_, StoreError>(advance.tiles.iter().fold(batch, |batch, tile| {
                batch.put(&self.layout.tile(&advance.log.id, tile.id), tile.encode())
            }))
        });
        let outcome = match batch {
            Ok(batch) => self.documents.commit(batch).await.map(drop),
            Err(error) => Err(CommitError::Store(error)),
        };
        match outcome {
            Ok(()) => {
                let leaves = group.iter().map(|advance| {
                    let leaf = advance.head.leaf(&advance.head.said());
                    (u64::from(advance.log.slot), leaf.leaf_hash())
                });
                self.publisher.await_epoch(leaves);
            }
            Err(error) => {
                tracing::warn!(%error, "heads are stored later");
                group
                    .iter()
                    .for_each(|advance| self.logs.mark(&advance.log));
            }
        }
    }
}

/// Checks that a stored body is a record of this log; gives its hash and what it says.
pub(super) fn checked(log: &LogId, body: &Bytes) -> Result<(Hash, Leaf), NotOfLog> {
    let record = Record::decode(body)?;
    let leaf = Leaf::parse(&record.leaf)?;
    if leaf.tenant != log.tenant || leaf.env != log.env {
        return Err(NotOfLog::Foreign);
    }
    Ok((record.leaf_hash(), leaf))
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

fn tampered(log: &Log, head: &StoredHead, why: &dyn std::fmt::Display) -> Fault {
    Fault::Tampered {
        log: log.id.clone(),
        seq: head.state.size() + 1,
        why: why.to_string(),
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

impl Advance {
    /// Steps and bytes of a batch that stores it, at most.
    fn cost(&self) -> (usize, usize) {
        let tiles = self.tiles.len();
        let head = self.head.size_max();
        (2 + tiles, head + tiles * crate::log::TILE_BYTES)
    }
}
