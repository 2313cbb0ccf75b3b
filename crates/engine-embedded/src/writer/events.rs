//! Applying appends and trims inside the group's transaction.
//!
//! **Invariant:** what is not committed yet is known here alone; readers and
//! tails learn of it in [`EventWriter::settle`].

use std::sync::Arc;

use rusqlite::Connection;
use store::{AppendError, Appended, Cursor, Idempotency, NewEvent, StoredEvent, StreamKey};

use super::{index, streams::Streams};
use crate::{
    engine::Shared,
    error::Fault,
    events::unindexed::{Place, UNINDEXED_MAX},
};

pub(crate) struct EventWriter {
    shared: Arc<Shared>,
    streams: Streams,
    next_pos: u64,
    /// The events of the group, in order.
    written: Vec<Written>,
    indexed: bool,
}

struct Written {
    key: StreamKey,
    stream: i64,
    place: Place,
    event: StoredEvent,
}

impl EventWriter {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let next_pos = shared.unindexed.read().next_pos();
        Self {
            next_pos,
            streams: Streams::new(Arc::clone(&shared)),
            shared,
            written: Vec::new(),
            indexed: false,
        }
    }

    /// Brings the index up to date if enough events wait for it, or if `all` shall be.
    pub(crate) fn index(&mut self, connection: &Connection, all: bool) -> Result<(), Fault> {
        let unindexed = self.shared.unindexed.read();
        if unindexed.count() >= if all { 1 } else { UNINDEXED_MAX } {
            index::write(connection, &unindexed, self.shared.clock.now())?;
            self.indexed = true;
        }
        Ok(())
    }

    /// Appends `event`, or finds the one that was appended under its key.
    pub(crate) fn append(
        &mut self,
        connection: &Connection,
        key: StreamKey,
        event: NewEvent,
    ) -> Result<Result<Appended, AppendError>, Fault> {
        let epoch = self.shared.epoch;
        let stream = self.streams.find_or_create(connection, &key)?;
        let seq = stream.head + 1;
        if let Some(idempotency) = event.idempotency {
            let id = stream.id;
            let keys = stream.keys(connection, &self.shared)?;
            if let Some((seq, fingerprint)) = keys.find(connection, id, idempotency.key)? {
                return Ok(if fingerprint == idempotency.fingerprint {
                    Ok(Appended {
                        cursor: Cursor { epoch, seq },
                        duplicate: true,
                    })
                } else {
                    Err(AppendError::IdempotencyConflict)
                });
            }
            keys.remember(seq, idempotency);
        }
        let place = Place {
            seq,
            pos: self.next_pos,
            idempotency: event.idempotency,
        };
        insert(connection, stream.id, &place, &event)?;
        stream.head = seq;
        self.next_pos += 1;
        let cursor = Cursor { epoch, seq };
        self.written.push(Written {
            stream: stream.id,
            key,
            place,
            event: StoredEvent {
                cursor,
                body: event.body,
            },
        });
        Ok(Ok(Appended {
            cursor,
            duplicate: false,
        }))
    }

    /// Hides the events up to `up_to`; upkeep frees their space later.
    pub(crate) fn trim(
        &mut self,
        connection: &Connection,
        key: &StreamKey,
        up_to: u64,
    ) -> Result<(), Fault> {
        let Some(stream) = self.streams.find(connection, key)? else {
            return Ok(());
        };
        let oldest = up_to.min(stream.head) + 1;
        if oldest > stream.oldest {
            stream.oldest = oldest;
            connection
                .prepare_cached("UPDATE streams SET oldest = ?2 WHERE id = ?1")?
                .execute((stream.id, oldest.cast_signed()))?;
            connection
                .prepare_cached("INSERT OR IGNORE INTO trimmed VALUES (?1)")?
                .execute([stream.id])?;
        }
        Ok(())
    }

    /// The group was committed: readers and tails may see what it wrote.
    pub(crate) fn settle(&mut self) {
        {
            let mut unindexed = self.shared.unindexed.write();
            if std::mem::take(&mut self.indexed) {
                unindexed.clear();
            }
            for written in &self.written {
                unindexed.push(written.stream, written.place);
            }
        }
        self.streams.settle();
        let events = self.written.iter();
        self.shared
            .live
            .publish(events.map(|written| (&written.key, &written.event)));
        self.written.clear();
    }

    /// The group failed: nothing that it wrote is there.
    pub(crate) fn forget(&mut self) {
        self.indexed = false;
        self.written.clear();
        self.streams.forget();
        self.next_pos = self.shared.unindexed.read().next_pos();
    }
}

fn insert(
    connection: &Connection,
    stream: i64,
    place: &Place,
    event: &NewEvent,
) -> Result<(), Fault> {
    let (key, fingerprint) = match &place.idempotency {
        Some(Idempotency { key, fingerprint }) => (Some(&key[..]), Some(&fingerprint[..])),
        None => (None, None),
    };
    connection
        .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute((
            place.pos.cast_signed(),
            stream,
            place.seq.cast_signed(),
            event.at.unix_ms(),
            key,
            fingerprint,
            event.body.as_ref(),
        ))?;
    Ok(())
}
