//! The idempotency keys that one stream remembers.
//!
//! The newest are held exactly; older ones, whose events are indexed, in
//! sealed segments of a Bloom filter each, which is asked first; a segment
//! that may hold a key is looked up in `event_keys`. A new key so costs no
//! read and no write, however many the stream remembers.
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

/// Keys of a sealed segment, at least.
const SEGMENT_KEYS: usize = 4_096;
/// Rough bytes of a key that is held exactly.
pub(crate) const EXACT_KEY_BYTES: usize = 64;

#[derive(Default)]
pub(crate) struct Keys {
    exact: HashMap<[u8; 16], (u64, [u8; 16])>,
    /// Of its own, so that nobody can choose keys that collide in the filters.
    hasher: RandomState,
    sealed: Vec<Segment>,
    /// How many exact keys there must be for the next look at sealing.
    seal_at: usize,
}

struct Segment {
    first_seq: u64,
    last_seq: u64,
    /// All of its keys were indexed before.
    sealed_at: Timestamp,
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
                    keys.remember(entry.seq, entry.idempotency);
                }
                keys.seal(u64::MAX, now);
            }
        }
        Ok(keys)
    }

    /// Remembers the key of an event.
    pub(crate) fn remember(&mut self, seq: u64, idempotency: Idempotency) {
        self.exact
            .insert(idempotency.key, (seq, idempotency.fingerprint));
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
        if self.sealed.is_empty() {
            return Ok(None);
        }
        let hash = self.hasher.hash_one(key);
        let candidates = self
            .sealed
            .iter()
            .filter(|segment| segment.filter.may_hold(hash));
        for segment in candidates {
            if let Some(found) = segment.find(connection, stream, key)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether [`Keys::seal`] may have something to do.
    pub(crate) fn want_sealing(&self) -> bool {
        self.exact.len() >= self.seal_at.max(2 * SEGMENT_KEYS)
    }

    /// Moves keys of events up to `indexed` into a sealed segment when there
    /// are enough, and drops the segments that are old enough.
    pub(crate) fn seal(&mut self, indexed: u64, now: Timestamp) {
        if !self.want_sealing() {
            return;
        }
        self.seal_at = self.exact.len() + SEGMENT_KEYS;
        let old: HashMap<_, _> = self
            .exact
            .extract_if(|_, (seq, _)| *seq <= indexed)
            .collect();
        if old.len() < SEGMENT_KEYS {
            self.exact.extend(old);
            return;
        }
        self.seal_at = 0;
        self.sealed.retain(|segment| {
            now.since(segment.sealed_at).as_millis() < u128::from(IDEMPOTENCY_MS_MIN)
        });
        let seqs = || old.values().map(|(seq, _)| *seq);
        self.sealed.push(Segment {
            first_seq: seqs().min().unwrap_or(0),
            last_seq: seqs().max().unwrap_or(0),
            sealed_at: now,
            filter: Bloom::of(old.keys().map(|key| self.hasher.hash_one(key))),
        });
    }

    /// Its size in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let sealed: usize = self
            .sealed
            .iter()
            .map(|segment| segment.filter.bytes())
            .sum();
        sealed + self.exact.capacity() * EXACT_KEY_BYTES
    }
}

impl Segment {
    fn find(
        &self,
        connection: &Connection,
        stream: i64,
        key: [u8; 16],
    ) -> Result<Option<(u64, [u8; 16])>, Fault> {
        let mut runs = connection.prepare_cached(
            "SELECT k.first_seq, k.keys
             FROM event_runs r JOIN event_keys k ON k.first_pos = r.first_pos
             WHERE r.stream = ?1 AND r.first_seq BETWEEN ?2 AND ?3",
        )?;
        // The segment's first event need not be the first of its run: start one run earlier.
        let start = connection
            .prepare_cached(
                "SELECT max(first_seq) FROM event_runs WHERE stream = ?1 AND first_seq <= ?2",
            )?
            .query_row((stream, self.first_seq.cast_signed()), |row| {
                row.get::<_, Option<i64>>(0)
            })?;
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
