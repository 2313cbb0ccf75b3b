//! Reading a stream: what the index covers from the table, the rest by memory.
//!
//! **Invariant:** memory is looked at first. What moves to the index in the
//! meantime is then read there as well, and never missed.

use bytes::Bytes;
use parking_lot::RwLock;
use rusqlite::{Connection, OptionalExtension as _, Transaction};
use store::{
    Bounds, Cursor, Epoch, READ_BYTES_MAX, READ_EVENTS_MAX, Read, StoreError, StoredEvent,
    StreamKey,
};

use super::{epochs::of_stream, unindexed::Unindexed};
use crate::{codec, error::read_error};

/// What a read needs beside a connection.
pub(crate) struct Source<'a> {
    pub(crate) unindexed: &'a RwLock<Unindexed>,
    pub(crate) epoch: Epoch,
}

/// The part of a stream that is in memory.
struct Memory {
    /// First and last seq.
    range: Option<(u64, u64)>,
    /// Seqs and positions from the wanted seq on.
    places: Vec<(u64, u64)>,
}

impl Source<'_> {
    /// What `stream` holds.
    pub(crate) fn bounds(
        &self,
        connection: &mut Connection,
        stream: &StreamKey,
    ) -> Result<Bounds, StoreError> {
        let found = find(connection, stream).map_err(|cause| read_error(&cause))?;
        let Some((id, _)) = found else {
            return Ok(self.empty());
        };
        let memory = self.memory(id, u64::MAX, 0);
        self.stored_bounds(connection, id, &memory)
            .map_err(|cause| read_error(&cause))
    }

    /// Up to `limit` events after `after`.
    pub(crate) fn read(
        &self,
        connection: &mut Connection,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        let limit = limit.clamp(1, READ_EVENTS_MAX);
        loop {
            let found = find(connection, stream).map_err(|cause| read_error(&cause))?;
            let (bounds, events) = match found {
                None => (self.empty(), Vec::new()),
                Some((id, oldest)) => {
                    let wanted = after.map_or(oldest, |cursor| cursor.seq.saturating_add(1));
                    self.page(connection, id, wanted, limit)?
                }
            };
            if let Some(reason) = after.and_then(|cursor| bounds.gap(cursor)) {
                return Ok(Read::Gap { reason, bounds });
            }
            // Without a cursor, a trim may have passed what memory held of the page.
            let first = after.map_or(bounds.oldest, |cursor| cursor.seq.saturating_add(1));
            if !events.is_empty() || bounds.head < first {
                return Ok(Read::Page { events, bounds });
            }
            if after.is_some() || found.is_none_or(|(_, oldest)| oldest == bounds.oldest) {
                return Err(StoreError::Corrupt(format!("event {first} is missing")));
            }
        }
    }

    /// The events from `wanted` on, or from the oldest, and the bounds at the same moment.
    fn page(
        &self,
        connection: &mut Connection,
        id: i64,
        wanted: u64,
        limit: usize,
    ) -> Result<(Bounds, Vec<StoredEvent>), StoreError> {
        let memory = self.memory(id, wanted, limit);
        let snapshot = connection
            .transaction()
            .map_err(|cause| read_error(&cause))?;
        let bounds = self
            .stored_bounds(&snapshot, id, &memory)
            .map_err(|cause| read_error(&cause))?;
        let from = wanted.max(bounds.oldest);
        let places = places(&snapshot, id, from, limit, &memory)?;
        let events = bodies(&snapshot, bounds.epoch, from, &places)?;
        Ok((bounds, events))
    }

    fn empty(&self) -> Bounds {
        Bounds {
            epoch: self.epoch,
            oldest: 1,
            head: 0,
        }
    }

    fn memory(&self, stream: i64, from: u64, limit: usize) -> Memory {
        let unindexed = self.unindexed.read();
        Memory {
            range: unindexed.range(stream),
            places: unindexed
                .from(stream, from)
                .take(limit)
                .map(|place| (place.seq, place.pos))
                .collect(),
        }
    }

    /// The bounds at the moment when memory was looked at.
    fn stored_bounds(
        &self,
        connection: &Connection,
        id: i64,
        memory: &Memory,
    ) -> rusqlite::Result<Bounds> {
        let (indexed_head, oldest, shift): (i64, i64, u32) = connection
            .prepare_cached("SELECT head, oldest, shift FROM streams WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let oldest = oldest.cast_unsigned();
        let head = memory
            .range
            .map_or(indexed_head.cast_unsigned(), |(_, last)| last);
        Ok(Bounds {
            epoch: of_stream(self.epoch, shift),
            oldest,
            head: head.max(oldest.saturating_sub(1)),
        })
    }
}

/// Reads the bodies, up to the bytes of a page.
fn bodies(
    snapshot: &Transaction<'_>,
    epoch: Epoch,
    from: u64,
    places: &[(u64, u64)],
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut events = Vec::with_capacity(places.len());
    let mut bytes = 0;
    let mut body = snapshot
        .prepare_cached("SELECT body FROM events WHERE pos = ?1")
        .map_err(|cause| read_error(&cause))?;
    for ((seq, pos), expected) in places.iter().zip(from..) {
        if *seq != expected {
            return Err(StoreError::Corrupt(format!("event {expected} is missing")));
        }
        let body: Vec<u8> = body
            .query_row([pos.cast_signed()], |row| row.get(0))
            .map_err(|cause| read_error(&cause))?;
        bytes += body.len();
        if bytes > READ_BYTES_MAX && !events.is_empty() {
            break;
        }
        let cursor = Cursor { epoch, seq: *seq };
        events.push(StoredEvent {
            cursor,
            body: Bytes::from(body),
        });
    }
    Ok(events)
}

/// The id of a stream and its oldest seq.
pub(super) fn find(
    connection: &Connection,
    stream: &StreamKey,
) -> rusqlite::Result<Option<(i64, u64)>> {
    connection
        .prepare_cached("SELECT id, oldest FROM streams WHERE name = ?1")?
        .query_row([stream.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })
        .optional()
}

/// Up to `limit` seqs and positions from `from` on, from the index and then from memory.
fn places(
    snapshot: &Transaction<'_>,
    stream: i64,
    from: u64,
    limit: usize,
    memory: &Memory,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let until = memory.range.map_or(u64::MAX, |(first, _)| first);
    let mut places = if from < until {
        indexed(snapshot, stream, from..until, limit)?
    } else {
        Vec::new()
    };
    let more = memory
        .places
        .iter()
        .filter(|(seq, _)| *seq >= from.max(until));
    places.extend(more.take(limit - places.len()));
    Ok(places)
}

/// Up to `limit` seqs and positions that the index has in `wanted`.
fn indexed(
    snapshot: &Transaction<'_>,
    stream: i64,
    wanted: std::ops::Range<u64>,
    limit: usize,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let sqlite = |cause: rusqlite::Error| read_error(&cause);
    let mut runs = snapshot
        .prepare_cached(
            "SELECT first_seq, first_pos, steps FROM event_runs
             WHERE stream = ?1 AND first_seq >= coalesce(
                (SELECT max(first_seq) FROM event_runs WHERE stream = ?1 AND first_seq <= ?2), 0)
             ORDER BY first_seq",
        )
        .map_err(sqlite)?;
    let mut rows = runs
        .query((stream, wanted.start.cast_signed()))
        .map_err(sqlite)?;
    let mut places = Vec::new();
    while let Some(row) = rows.next().map_err(sqlite)? {
        let number = |at| {
            row.get::<_, i64>(at)
                .map(i64::cast_unsigned)
                .map_err(sqlite)
        };
        let (first_seq, first_pos) = (number(0)?, number(1)?);
        let steps = row.get_ref(2).map_err(sqlite)?;
        let steps = steps
            .as_blob()
            .map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let positions = codec::decode_steps(first_pos, steps)
            .map_err(|damaged| StoreError::Corrupt(damaged.to_string()))?;
        for (seq, pos) in (first_seq..).zip(positions) {
            if places.len() == limit || seq >= wanted.end {
                return Ok(places);
            }
            if seq >= wanted.start {
                places.push((seq, pos));
            }
        }
    }
    Ok(places)
}
