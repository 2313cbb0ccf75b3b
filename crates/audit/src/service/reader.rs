//! Reading a log: every record is checked against the tree before it is shown.

use std::collections::BTreeSet;

use identity::Scope;
use store::{Cursor, READ_EVENTS_MAX, Read, StoreError, StoredEvent, Version};

use super::{Audit, LogId, leaves::Leaves, logs::Log, stored::StoredHead};
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
    /// Retention has removed the record; `oldest` is the first that is kept.
    #[error("retention has removed the records before {oldest}")]
    Removed {
        /// The first record that is kept.
        oldest: u64,
    },
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

/// How often a log is read again because it changed meanwhile.
const TRIES_MAX: usize = 4;

impl Audit {
    /// The record at `seq` in the scope's log; `None` when there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn entry(&self, scope: &Scope, seq: Seq) -> Result<Option<Entry>, ReadError> {
        let Some(log) = self.logs.find(&LogId::of(scope)).await? else {
            return Ok(None);
        };
        let head = self.head_of(&log).await?;
        if seq.get() < head.oldest() {
            return Err(removed(&head));
        }
        let leaves = &mut Leaves::new(&log, &head.state);
        let entries = self.entries_after(leaves, seq.index(), 1).await?;
        match entries.into_iter().next() {
            None if seq.get() <= head.state.size() => Err(self.missing(&log, seq.get()).await),
            found => Ok(found),
        }
    }

    /// The first record of the scope's log that retention has not removed, or that comes next.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn oldest(&self, scope: &Scope) -> Result<Seq, ReadError> {
        let oldest = match self.logs.find(&LogId::of(scope)).await? {
            Some(log) => self.head_of(&log).await?.oldest(),
            None => Seq::FIRST.get(),
        };
        let full = |_| StoreError::Limit("the log is full".to_owned()).into();
        Seq::try_from(oldest).map_err(full)
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
        match self.logs.find(&LogId::of(scope)).await? {
            Some(log) => self.entries_of(&log, after, limit).await,
            None => Ok(Vec::new()),
        }
    }

    /// See [`Audit::entries`].
    pub(super) async fn entries_of(
        &self,
        log: &Log,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        for _ in 0..TRIES_MAX {
            let head = self.head_of(log).await?;
            let after = after.max(head.oldest() - 1);
            let leaves = &mut Leaves::new(log, &head.state);
            match self.entries_after(leaves, after, limit).await {
                Err(ReadError::Removed { .. }) => {}
                answer => return answer,
            }
        }
        Err(changes_too_often().into())
    }

    /// Up to `limit` records after the seq `after`, checked against `leaves`, as far as
    /// the tree has them.
    pub(super) async fn entries_after(
        &self,
        leaves: &mut Leaves<'_>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let log = leaves.log();
        let events = self.events_after(log, after, limit).await?;
        let end = after + events.len() as u64;
        leaves.hold(self, after, end).await?;
        if events.is_empty() && after < leaves.size() && limit > 0 {
            return Err(self.missing(log, after + 1).await);
        }
        let mut entries = Vec::with_capacity(events.len());
        for (event, before) in events.iter().zip(0..) {
            let seq = after + before + 1;
            if event.cursor.seq != seq {
                return Err(self.missing(log, seq).await);
            }
            let expected = leaves.get(seq - 1);
            let record = self.checked_record(log, event, expected)?;
            entries.push(self.entry_of(log, seq, record).await?);
        }
        Ok(entries)
    }

    async fn events_after(
        &self,
        log: &Log,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        let bounds = self.events.bounds(&log.records).await?;
        let from = Cursor {
            epoch: bounds.epoch,
            seq: after.min(bounds.head),
        };
        let limit = limit.min(READ_EVENTS_MAX);
        match self.events.read(&log.records, Some(from), limit).await? {
            Read::Page { events, .. } => Ok(events),
            Read::Gap { .. } => Err(self.missing(log, after + 1).await),
        }
    }

    /// Why the record at `seq`, which was integrated, is not there.
    pub(super) async fn missing(&self, log: &Log, seq: u64) -> ReadError {
        match self.head_of(log).await {
            Err(error) => error.into(),
            Ok(head) if seq < head.oldest() => removed(&head),
            Ok(_) => self.tampered(log, seq, "it is gone".to_owned()),
        }
    }

    /// Freezes the log, because what it holds is not what was recorded.
    pub(super) fn tampered(&self, log: &Log, seq: u64, why: String) -> ReadError {
        self.freeze(format!("{} at seq {seq}: {why}", log.id));
        ReadError::Tampered {
            log: log.id.clone(),
            seq,
            why,
        }
    }

    fn checked_record(
        &self,
        log: &Log,
        event: &StoredEvent,
        expected: Option<Hash>,
    ) -> Result<Record, ReadError> {
        let tampered = |why: String| self.tampered(log, event.cursor.seq, why);
        let record = Record::decode(&event.body).map_err(|why| tampered(why.to_string()))?;
        if expected.is_some_and(|expected| expected != record.leaf_hash()) {
            return Err(tampered("it is not in the tree".to_owned()));
        }
        Ok(record)
    }

    async fn entry_of(&self, log: &Log, seq: u64, record: Record) -> Result<Entry, ReadError> {
        let tampered = |why: String| self.tampered(log, seq, why);
        let ids: BTreeSet<_> = key_ids(&record.sealed)
            .map_err(|why| tampered(why.to_string()))?
            .into_iter()
            .collect();
        let keys = self.subjects.opening(&log.id.tenant, ids).await?;
        let opened = open(&record, &keys).map_err(|why| tampered(why.to_string()))?;
        let leaf = Leaf::parse(&record.leaf).map_err(|why| tampered(why.to_string()))?;
        if leaf.tenant != log.id.tenant || leaf.env != log.id.env {
            return Err(tampered("it is a record of another log".to_owned()));
        }
        Ok(Entry {
            seq: Seq::try_from(seq).map_err(|why| tampered(why.to_string()))?,
            bytes: record.leaf,
            leaf,
            opened,
        })
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
        let head = StoredHead::decode(&stored.value)?;
        if head.log != log.id || head.slot != log.slot {
            let why = format!("slot {} is not the one of {}", log.slot, log.id);
            self.freeze(why.clone());
            return Err(StoreError::Corrupt(why));
        }
        Ok((head, stored.version))
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

fn removed(head: &StoredHead) -> ReadError {
    ReadError::Removed {
        oldest: head.oldest(),
    }
}

pub(super) fn changes_too_often() -> StoreError {
    StoreError::Unavailable("the log changes too often".to_owned())
}
