//! Reading a log: every record is checked against the tree before it is shown.

use std::collections::BTreeSet;

use identity::Scope;
use store::{Bounds, Cursor, READ_EVENTS_MAX, Read, StoreError, StoredEvent, Version};

use super::{Audit, LogId, logs::Log, stored::StoredHead};
use crate::{
    Hash, Leaf, Record, Seq,
    log::{Ask, LogState, StoredTiles, Tile},
    seal::{Opened, key_ids, open},
};

/// A record, as its tenant reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place in the log.
    pub seq: Seq,
    /// The leaf, verbatim.
    pub bytes: Vec<u8>,
    /// What the leaf says.
    pub leaf: Leaf,
    /// The personal values that can still be opened.
    pub opened: Opened,
}

/// Why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Try again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored record is not the one that was recorded.
    #[error("the record {seq} of {log} is not the one that was recorded: {why}")]
    Tampered {
        /// The log.
        log: LogId,
        /// Which record.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
}

impl Audit {
    /// The record at `seq` in the scope's log; `None` when there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn entry(&self, scope: &Scope, seq: Seq) -> Result<Option<Entry>, ReadError> {
        let entries = self.entries(scope, seq.index(), 1).await?;
        Ok(entries.into_iter().find(|entry| entry.seq == seq))
    }

    /// Up to `limit` records of the scope's log after the seq `after`, in order.
    /// Records that retention has removed are passed over.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn entries(
        &self,
        scope: &Scope,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let Some(log) = self.logs.find(&LogId::of(scope)).await? else {
            return Ok(Vec::new());
        };
        let events = self.events_after(&log, after, limit).await?;
        self.opened(&log, &events).await
    }

    pub(super) async fn events_after(
        &self,
        log: &Log,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let bounds = self.events.bounds(&log.records).await?;
        let limit = limit.min(READ_EVENTS_MAX);
        let mut from = Cursor {
            epoch: bounds.epoch,
            seq: after.clamp(bounds.before_oldest().seq, bounds.head),
        };
        loop {
            match self.events.read(&log.records, Some(from), limit).await? {
                Read::Page { events, .. } => return Ok(events),
                // Retention was faster; what is left begins here.
                Read::Gap { bounds, .. } => from = resume(&bounds, after),
            }
        }
    }

    /// Checks events against the tree, and opens what can be opened.
    pub(super) async fn opened(
        &self,
        log: &Log,
        events: &[StoredEvent],
    ) -> Result<Vec<Entry>, ReadError> {
        let expected = self.expected(log, events).await?;
        let mut entries = Vec::with_capacity(events.len());
        for (event, expected) in events.iter().zip(expected) {
            let record = self.checked_record(log, event, expected)?;
            entries.push(self.entry_of(log, event.cursor.seq, record).await?);
        }
        Ok(entries)
    }

    fn checked_record(
        &self,
        log: &Log,
        event: &StoredEvent,
        expected: Option<Hash>,
    ) -> Result<Record, ReadError> {
        let tampered = |why: String| {
            let seq = event.cursor.seq;
            self.freeze(format!("{} at seq {seq}: {why}", log.id));
            ReadError::Tampered {
                log: log.id.clone(),
                seq,
                why,
            }
        };
        let record = Record::decode(&event.body).map_err(|why| tampered(why.to_string()))?;
        if expected.is_some_and(|expected| expected != record.leaf_hash()) {
            return Err(tampered("it is not in the tree".to_owned()));
        }
        Ok(record)
    }

    async fn entry_of(&self, log: &Log, seq: u64, record: Record) -> Result<Entry, ReadError> {
        let tampered = |why: String| ReadError::Tampered {
            log: log.id.clone(),
            seq,
            why,
        };
        let ids: BTreeSet<_> = key_ids(&record.sealed)
            .map_err(|why| tampered(why.to_string()))?
            .into_iter()
            .collect();
        let keys = self.subjects.opening(&log.id.tenant, ids).await?;
        let opened = open(&record, &keys).map_err(|why| tampered(why.to_string()))?;
        let leaf = Leaf::parse(&record.leaf).map_err(|why| tampered(why.to_string()))?;
        Ok(Entry {
            seq: Seq::try_from(seq).map_err(|why| tampered(why.to_string()))?,
            bytes: record.leaf,
            leaf,
            opened,
        })
    }

    /// The hash that the tree has for each event; `None` for those that are not in it yet.
    async fn expected(
        &self,
        log: &Log,
        events: &[StoredEvent],
    ) -> Result<Vec<Option<Hash>>, ReadError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(Vec::new());
        };
        let head = self.head_of(log).await?;
        let (from, to) = (first.cursor.seq - 1, last.cursor.seq.min(head.state.size()));
        let mut hashes = Vec::new();
        if from < to {
            let ask = Ask::Leaves { from, to };
            hashes = self.prove(log, &head.state, ask).await?;
        }
        let mut hashes = hashes.into_iter();
        Ok(events.iter().map(|_| hashes.next()).collect())
    }

    pub(super) async fn head_of(&self, log: &Log) -> Result<StoredHead, StoreError> {
        Ok(self.versioned_head(log).await?.0)
    }

    pub(super) async fn versioned_head(
        &self,
        log: &Log,
    ) -> Result<(StoredHead, Version), StoreError> {
        let stored = self.documents.get(&self.layout.head(log.slot)).await?;
        let stored =
            stored.ok_or_else(|| StoreError::Corrupt(format!("{} has no head", log.id)))?;
        Ok((StoredHead::decode(&stored.value)?, stored.version))
    }

    /// Answers `ask` about a log's tree.
    pub(super) async fn prove(
        &self,
        log: &Log,
        state: &LogState,
        ask: Ask,
    ) -> Result<Vec<Hash>, StoreError> {
        let corrupt =
            |why: &dyn std::fmt::Display| StoreError::Corrupt(format!("{}: {why}", log.id));
        let mut tiles = StoredTiles::default();
        for id in state.needs(ask).map_err(|why| corrupt(&why))? {
            let stored = self.documents.get(&self.layout.tile(&log.id, id)).await?;
            if let Some(tile) = stored.and_then(|stored| Tile::decode(id, &stored.value)) {
                tiles.insert(tile);
            }
        }
        state.prove(ask, &tiles).map_err(|why| corrupt(&why))
    }
}

/// The later of what was asked for and what is left.
fn resume(bounds: &Bounds, after: u64) -> Cursor {
    let oldest = bounds.before_oldest();
    Cursor {
        seq: oldest.seq.max(after.min(bounds.head)),
        ..oldest
    }
}
