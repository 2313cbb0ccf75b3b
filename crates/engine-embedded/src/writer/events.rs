//! Applying appends and trims inside the group's transaction.
//!
//! **Invariant:** what is not committed yet is known here alone; readers and
//! tails learn of it in [`EventWriter::settle`].

use std::sync::Arc;

use identity::Timestamp;
use rusqlite::Connection;
use store::{AppendError, Appended, Cursor, NewEvent, StoredEvent, StreamKey};

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
    at: Timestamp,
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
        let (id, seq) = (stream.id, stream.head + 1);
        let (mut known, mut weight) = (None, 0);
        if let Some(idempotency) = event.idempotency {
            let (keys, grown) = stream.keys(connection, &self.shared)?;
            weight = grown;
            known = keys.find(connection, id, idempotency.key)?;
            if known.is_none() {
                keys.remember(seq, idempotency);
            }
        }
        if known.is_none() {
            stream.head = seq;
        }
        self.streams.add_weight(weight);
        if let Some((seq, fingerprint)) = known {
            let same = event.idempotency.map(|given| given.fingerprint) == Some(fingerprint);
            let cursor = Cursor { epoch, seq };
            let duplicate = true;
            return Ok(if same {
                Ok(Appended { cursor, duplicate })
            } else {
                Err(AppendError::IdempotencyConflict)
            });
        }
        let cursor = Cursor { epoch, seq };
        self.written.push(Written {
            stream: id,
            key,
            place: Place {
                seq,
                pos: self.next_pos,
                idempotency: event.idempotency,
            },
            at: event.at,
            event: StoredEvent {
                cursor,
                body: event.body,
            },
        });
        self.next_pos += 1;
        Ok(Ok(Appended {
            cursor,
            duplicate: false,
        }))
    }

    /// Writes the events of the group; the last thing before it is committed.
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let mut insert =
            connection.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        for written in &self.written {
            let key = written.place.idempotency.as_ref();
            insert.execute((
                written.place.pos.cast_signed(),
                written.stream,
                written.place.seq.cast_signed(),
                written.at.unix_ms(),
                key.map(|idempotency| &idempotency.key[..]),
                key.map(|idempotency| &idempotency.fingerprint[..]),
                written.event.body.as_ref(),
            ))?;
        }
        Ok(())
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
