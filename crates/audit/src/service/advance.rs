//! One step of one log: the records after its head enter its tree and its index.
//!
//! The tree does not depend on the index: where the index cannot follow, because a page of
//! it was lost, it is built anew from the records, some with each step, and
//! queries read the records that it does not know yet.
//!
//! **Invariant:** what a step writes fits into one batch.

use std::{ops::RangeInclusive, sync::Arc};

use bytes::Bytes;
use store::{BATCH_STEPS_MAX, Batch, Cursor, DocKey, READ_EVENTS_MAX, Read, StoreError, Version};

use super::{
    Audit, LogId,
    integrate::{checked, note_phase},
    logs::Log,
    recent::Found,
    stored::StoredHead,
};
use crate::{
    Hash, InvalidSeq, Seq,
    index::{EVENTS_MAX, Index, IndexError, IndexEvent, PLAN_STEPS_MAX, Plan},
    log::{TILE_BYTES, TILE_WIDTH, Tile},
};

/// Tiles that the records of a step can fill: those of the lowest level, and one of each further.
const TILES_MAX: usize = READ_EVENTS_MAX.div_ceil(TILE_WIDTH) + 7;
/// The head and its expectation, and that no other process has taken the logs over.
const STEPS: usize = 3;
const _: () = assert!(READ_EVENTS_MAX <= EVENTS_MAX);
const _: () = assert!(STEPS + TILES_MAX + PLAN_STEPS_MAX <= BATCH_STEPS_MAX);

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

/// A log's next head with all that belongs to it, before it is stored.
pub(super) struct Advance {
    pub(super) log: Arc<Log>,
    key: DocKey,
    version: Version,
    pub(super) head: StoredHead,
    encoded: Vec<u8>,
    tiles: Vec<Tile>,
    puts: Vec<(DocKey, Bytes)>,
    deletes: Vec<DocKey>,
    /// Whether there is more to integrate.
    pub(super) more: bool,
}

impl Advance {
    /// Steps and bytes of a batch that stores it.
    pub(super) fn cost(&self) -> (usize, usize) {
        let steps = STEPS + self.tiles.len() + self.puts.len() + self.deletes.len();
        let pages: usize = self.puts.iter().map(|(_, page)| page.len()).sum();
        let bytes = self.encoded.len() + self.tiles.len() * TILE_BYTES + pages;
        (steps, bytes)
    }
}

impl Audit {
    /// The log's next head, `None` if it stays what it is.
    pub(super) async fn advance(
        &self,
        log: &Arc<Log>,
        epoch: u64,
    ) -> Result<Option<Advance>, Fault> {
        let (mut head, version) = self.versioned_head(log).await?;
        if !self.publisher.knows(&head) {
            let why = "the stored head is not the one that was stored last";
            return Err(tampered(log, head.state.size() + 1, why.to_owned()));
        }
        if log.take_index_lost() {
            head.index = head.index.renewed();
        }
        let size = head.state.size();
        let (found, stored) = self.found_after(log, size).await?;
        if found.is_empty() && head.epoch != 0 && head.indexed() == size {
            log.has_integrated(size);
            return Ok(None);
        }
        if !found.is_empty() || head.epoch == 0 {
            head.enter(epoch);
        }
        let hashes: Vec<Hash> = found.iter().map(|found| found.hash).collect();
        for (seq, one) in (size + 1..).zip(&found) {
            note_phase(&mut head.open, seq, &one.phase);
        }
        let full = head.state.append(&hashes);
        let tiles = full.map_err(|error| tampered(log, size + 1, error.to_string()))?;
        let indexed = head.indexed();
        let found = if indexed == size {
            found
        } else {
            self.found_after(log, indexed).await?.0
        };
        let end = head.state.size();
        let events = events_of(&found, indexed + 1..=end);
        let events = events.map_err(|why| tampered(log, indexed + 1, why.to_string()))?;
        let plan = self.index(&log.id, &head.index, &events).await?;
        head.index = plan.next;
        Ok(Some(Advance {
            more: stored > end || head.indexed() < end,
            log: Arc::clone(log),
            key: self.layout.head(log.slot),
            version,
            encoded: head.encode()?,
            head,
            tiles,
            puts: plan.puts,
            deletes: plan.deletes,
        }))
    }

    /// Adds `events` to an index, or does its upkeep alone, if it cannot take them now.
    pub(super) async fn index(
        &self,
        log: &LogId,
        index: &Index,
        events: &[IndexEvent],
    ) -> Result<Plan, StoreError> {
        let pages = self.layout.index(&self.documents, log);
        let mut plan = index.advance(&pages, events).await;
        if plan == Err(IndexError::Behind) {
            plan = index.advance(&pages, &[]).await;
        }
        match plan {
            Ok(plan) => Ok(plan),
            Err(IndexError::Store(error)) => Err(error),
            Err(error) => {
                metrics::counter!("tenantry_audit_indexes_renewed_total").increment(1);
                tracing::error!(%log, %error, "an audit index is built anew");
                let plan = index.renewed().advance(&pages, &[]).await;
                plan.map_err(|error| match error {
                    IndexError::Store(error) => error,
                    other => StoreError::Corrupt(other.to_string()),
                })
            }
        }
    }

    /// The records after the seq `after`, one page of them, and the last that is stored.
    async fn found_after(&self, log: &Log, after: u64) -> Result<(Vec<Arc<Found>>, u64), Fault> {
        let bounds = self.events.bounds(&log.records).await?;
        self.continues_in(log, bounds.epoch).await?;
        let recent = log.recent.after(after);
        if !recent.is_empty() && after + recent.len() as u64 <= bounds.head {
            return Ok((recent, bounds.head));
        }
        let cursor = Cursor {
            epoch: bounds.epoch,
            seq: after,
        };
        let read = self
            .events
            .read(&log.records, Some(cursor), READ_EVENTS_MAX);
        let (events, bounds) = match read.await? {
            Read::Page { events, bounds } => (events, bounds),
            Read::Gap { bounds, .. } => {
                let why = format!("{after} records are known, {} are stored", bounds.head);
                return Err(tampered(log, after + 1, why));
            }
        };
        let mut found = Vec::with_capacity(events.len());
        for (seq, event) in (after + 1..).zip(events) {
            if event.cursor.seq != seq {
                let why = format!("seq {} follows", event.cursor.seq);
                return Err(tampered(log, seq, why));
            }
            let one = found_in(&log.id, &event.body);
            found.push(Arc::new(one.map_err(|why| tampered(log, seq, why))?));
        }
        Ok((found, bounds.head))
    }

    /// A batch that stores `group`.
    pub(super) fn batch(&self, group: &[Advance]) -> Batch {
        group.iter().fold(Batch::new(), |batch, advance| {
            let batch = batch
                .expect_version(&advance.key, advance.version)
                .put(&advance.key, advance.encoded.clone());
            let batch = advance.tiles.iter().fold(batch, |batch, tile| {
                batch.put(&self.layout.tile(&advance.log.id, tile.id), tile.encode())
            });
            let puts = advance.puts.iter();
            let batch = puts.fold(batch, |batch, (key, page)| batch.put(key, page.clone()));
            advance.deletes.iter().fold(batch, Batch::delete)
        })
    }
}

fn found_in(log: &LogId, body: &Bytes) -> Result<Found, String> {
    let (record, leaf) = checked(log, body).map_err(|why| why.to_string())?;
    Found::of(&record, &leaf, record.leaf_hash()).map_err(|why| why.to_string())
}

/// What the index takes of the records at `seqs`, of which `found` may hold more.
fn events_of(
    found: &[Arc<Found>],
    seqs: RangeInclusive<u64>,
) -> Result<Vec<IndexEvent>, InvalidSeq> {
    let events = seqs.zip(found);
    events
        .map(|(seq, one)| Ok(one.event(Seq::try_from(seq)?)))
        .collect()
}

fn tampered(log: &Log, seq: u64, why: String) -> Fault {
    Fault::Tampered {
        log: log.id.clone(),
        seq,
        why,
    }
}
