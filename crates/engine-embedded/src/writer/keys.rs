//! The idempotency keys that one stream remembers.
//!
//! Keys of events that are not indexed yet are held exactly. Of the indexed
//! ones only Bloom filters are held, two bytes a key; what a filter may hold
//! is looked up in `event_keys`. So a new key costs no read and no write of
//! its own, and the memory of all streams is small enough to stay.
//!
//! **Invariant:** every key whose event was appended within
//! [`IDEMPOTENCY_MS_MIN`] is found.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

use identity::Timestamp;
use rusqlite::Connection;
use store::{IDEMPOTENCY_MS_MIN, Idempotency};

use super::bloom::Bloom;
use crate::{
    codec::{self, KeyEntry},
    error::Fault,
};

/// Keys of a stream's first segment; each later one has room for four times as many.
const SEGMENT_KEYS_MIN: usize = 64;
/// Keys of the largest segment: what a lookup reads when a filter may hold a key.
const SEGMENT_KEYS_MAX: usize = 4_096;
/// Rough bytes of a segment beside its filter.
const SEGMENT_BYTES: usize = 64;

#[derive(Default)]
pub(crate) struct Keys {
    /// Of events that are not indexed yet, with seq and fingerprint.
    exact: HashMap<[u8; 16], (u64, [u8; 16])>,
    /// Of indexed events.
    segments: Vec<Segment>,
    /// Of its own, so that nobody can choose keys that collide in the filters.
    hasher: RandomState,
    /// How often the index had been written when the exact keys were last parted.
    parted_at: u64,
}

struct Segment {
    first_seq: u64,
    last_seq: u64,
    /// Keys that it has room for, and that it has.
    size: usize,
    held: usize,
    /// When its last key was added; all of its events were appended before.
    filled_at: Timestamp,
    filter: Bloom,
}

impl Keys {
    /// Reads what `stream` remembers on disk.
    pub(crate) fn load(
        connection: &Connection,
        stream: i64,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let mut keys = Self::default();
        let oldest: Option<i64> = connection
            .prepare_cached("SELECT min(first_pos) FROM event_keys")?
            .query_row([], |row| row.get(0))?;
        let Some(oldest) = oldest else {
            return Ok(keys);
        };
        let mut runs = connection.prepare_cached(
            "SELECT r.first_pos, k.first_seq, k.keys
             FROM event_runs r LEFT JOIN event_keys k ON k.first_pos = r.first_pos
             WHERE r.stream = ?1 ORDER BY r.first_seq DESC",
        )?;
        let mut rows = runs.query([stream])?;
        while let Some(row) = rows.next()? {
            // Positions fall with seqs: older runs have forgotten their keys.
            if row.get::<_, i64>(0)? < oldest {
                break;
            }
            if let Some(first_seq) = row.get::<_, Option<i64>>(1)? {
                for entry in decode(first_seq, row.get_ref(2)?)? {
                    keys.filter(entry.seq, entry.idempotency.key, now);
                }
            }
        }
        // They were read from the newest on; what comes next joins the newest.
        keys.segments.reverse();
        Ok(keys)
    }

    /// Remembers the key of an event that is not indexed yet.
    pub(crate) fn remember(&mut self, seq: u64, idempotency: Idempotency) {
        self.exact
            .insert(idempotency.key, (seq, idempotency.fingerprint));
    }

    /// Whether the index was written since the exact keys were last parted.
    pub(crate) fn want_parting(&mut self, times_indexed: u64) -> bool {
        std::mem::replace(&mut self.parted_at, times_indexed) != times_indexed
    }

    /// Moves the keys of events up to `indexed` into filters, drops filters
    /// that are old enough, and returns by how many bytes the rest grew.
    pub(crate) fn part(&mut self, indexed: u64, now: Timestamp) -> usize {
        self.segments.retain(|segment| {
            let age = now.since(segment.filled_at).as_millis();
            age < u128::from(IDEMPOTENCY_MS_MIN)
        });
        let before = self.bytes();
        let mut old: Vec<(u64, [u8; 16])> = Vec::new();
        self.exact.retain(|key, (seq, _)| {
            let stays = *seq > indexed;
            if !stays {
                old.push((*seq, *key));
            }
            stays
        });
        old.sort_unstable();
        for (seq, key) in old {
            self.filter(seq, key, now);
        }
        self.bytes() - before
    }

    /// The event of `key`, and its fingerprint.
    pub(crate) fn find(
        &self,
        connection: &Connection,
        stream: i64,
        key: [u8; 16],
    ) -> Result<Option<(u64, [u8; 16])>, Fault> {
        if let Some(found) = self.exact.get(&key) {
            return Ok(Some(*found));
        }
        if self.segments.is_empty() {
            return Ok(None);
        }
        let hash = self.hasher.hash_one(key);
        for segment in self.segments.iter().rev() {
            if segment.filter.may_hold(hash)
                && let Some(found) = segment.find(connection, stream, key)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The size of the filters; exact keys are few, since the index is written often.
    pub(crate) fn bytes(&self) -> usize {
        let filters = self.segments.iter().map(|segment| segment.filter.bytes());
        filters.sum::<usize>() + self.segments.len() * SEGMENT_BYTES
    }

    fn filter(&mut self, seq: u64, key: [u8; 16], now: Timestamp) {
        if self.segments.last().is_none_or(Segment::is_full) {
            let last = self.segments.last();
            let size = last.map_or(SEGMENT_KEYS_MIN, |last| 4 * last.size);
            let size = size.min(SEGMENT_KEYS_MAX);
            self.segments.push(Segment::new(seq, size, now));
        }
        if let Some(last) = self.segments.last_mut() {
            last.add(seq, self.hasher.hash_one(key), now);
        }
    }
}

impl Segment {
    fn new(seq: u64, size: usize, now: Timestamp) -> Self {
        Self {
            first_seq: seq,
            last_seq: seq,
            size,
            held: 0,
            filled_at: now,
            filter: Bloom::with_room_for(size),
        }
    }

    fn is_full(&self) -> bool {
        self.held >= self.size
    }

    fn add(&mut self, seq: u64, hash: u64, now: Timestamp) {
        self.first_seq = self.first_seq.min(seq);
        self.last_seq = self.last_seq.max(seq);
        self.filled_at = now;
        self.held += 1;
        self.filter.add(hash);
    }

    fn find(
        &self,
        connection: &Connection,
        stream: i64,
        key: [u8; 16],
    ) -> Result<Option<(u64, [u8; 16])>, Fault> {
        // The segment's first key need not be in the first event of its run.
        let start: Option<i64> = connection
            .prepare_cached(
                "SELECT max(first_seq) FROM event_runs WHERE stream = ?1 AND first_seq <= ?2",
            )?
            .query_row((stream, self.first_seq.cast_signed()), |row| row.get(0))?;
        let mut runs = connection.prepare_cached(
            "SELECT k.first_seq, k.keys
             FROM event_runs r JOIN event_keys k ON k.first_pos = r.first_pos
             WHERE r.stream = ?1 AND r.first_seq BETWEEN ?2 AND ?3",
        )?;
        let mut rows = runs.query((stream, start.unwrap_or(0), self.last_seq.cast_signed()))?;
        while let Some(row) = rows.next()? {
            for entry in decode(row.get(0)?, row.get_ref(1)?)? {
                if entry.idempotency.key == key {
                    return Ok(Some((entry.seq, entry.idempotency.fingerprint)));
                }
            }
        }
        Ok(None)
    }
}

fn decode(first_seq: i64, keys: rusqlite::types::ValueRef<'_>) -> Result<Vec<KeyEntry>, Fault> {
    let damaged = |why: String| Fault::Lasting(why);
    let keys = keys.as_blob().map_err(|e| damaged(e.to_string()))?;
    codec::decode_keys(first_seq.cast_unsigned(), keys).map_err(|e| damaged(e.to_string()))
}
