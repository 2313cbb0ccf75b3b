//! The durable events that the index on disk does not cover yet.
//!
//! **Invariant:** holds exactly the committed events after `meta.indexed_upto`,
//! at most [`UNINDEXED_MAX`] and one group; rebuilt from the table at opening.

use std::collections::{HashMap, VecDeque};

use rusqlite::Connection;
use store::{Idempotency, StoreError};

use crate::{error::read_error, schema};

/// Events after which the index is brought up to date. It bounds memory, and
/// the rows that are scanned at opening.
pub(crate) const UNINDEXED_MAX: usize = 8_192;

/// Where an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) pos: u64,
    pub(crate) idempotency: Option<Idempotency>,
}

#[derive(Debug, Default)]
pub(crate) struct Unindexed {
    streams: HashMap<i64, VecDeque<Place>>,
    count: usize,
    next_pos: u64,
    times_indexed: u64,
}

impl Unindexed {
    /// Reads what follows the index.
    pub(crate) fn load(connection: &Connection) -> Result<Self, StoreError> {
        Self::scan(connection).map_err(|cause| read_error(&cause))
    }

    fn scan(connection: &Connection) -> rusqlite::Result<Self> {
        let upto = schema::meta(connection, "indexed_upto")?.unwrap_or(0);
        let mut found = Self {
            next_pos: upto.cast_unsigned() + 1,
            ..Self::default()
        };
        let mut events = connection.prepare(
            "SELECT pos, stream, seq, key, fingerprint FROM events WHERE pos > ?1 ORDER BY pos",
        )?;
        let mut rows = events.query([upto])?;
        while let Some(row) = rows.next()? {
            let (key, fingerprint): (Option<[u8; 16]>, Option<[u8; 16]>) =
                (row.get(3)?, row.get(4)?);
            let place = Place {
                pos: row.get::<_, i64>(0)?.cast_unsigned(),
                seq: row.get::<_, i64>(2)?.cast_unsigned(),
                idempotency: key
                    .zip(fingerprint)
                    .map(|(key, fingerprint)| Idempotency { key, fingerprint }),
            };
            found.push(row.get(1)?, place);
        }
        Ok(found)
    }

    /// Adds a committed event.
    pub(crate) fn push(&mut self, stream: i64, place: Place) {
        self.next_pos = self.next_pos.max(place.pos + 1);
        self.count += 1;
        self.streams.entry(stream).or_default().push_back(place);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The position after the last event of all.
    pub(crate) fn next_pos(&self) -> u64 {
        self.next_pos
    }

    /// The events of `stream`, oldest first.
    pub(crate) fn of(&self, stream: i64) -> impl Iterator<Item = &Place> {
        self.streams.get(&stream).into_iter().flatten()
    }

    /// The events of `stream` from `seq` on.
    pub(crate) fn from(&self, stream: i64, seq: u64) -> impl Iterator<Item = &Place> {
        let places = self.streams.get(&stream);
        let first = places
            .and_then(VecDeque::front)
            .map_or(seq, |place| place.seq);
        let skipped = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX);
        let places = places.filter(|places| skipped < places.len());
        places
            .into_iter()
            .flat_map(move |places| places.range(skipped..))
    }

    /// The first and the last seq of `stream`.
    pub(crate) fn range(&self, stream: i64) -> Option<(u64, u64)> {
        let places = self.streams.get(&stream)?;
        Some((places.front()?.seq, places.back()?.seq))
    }

    /// The streams that have any, in order.
    pub(crate) fn streams(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.streams.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// How often the index was written since the engine opened.
    pub(crate) fn times_indexed(&self) -> u64 {
        self.times_indexed
    }

    /// Forgets all, which the index covers from now on.
    pub(crate) fn clear(&mut self) {
        self.times_indexed += 1;
        self.streams.clear();
        self.count = 0;
    }
}
