//! Applying appends and trims inside the group's transaction.
//!
//! **Invariant:** what is not committed yet is known here alone; readers and
//! tails learn of it in [`EventWriter::settle`].

use std::sync::Arc;

use identity::Timestamp;
use rusqlite::Connection;
use store::{
    AppendError, Appended, Bounds, Cursor, Epoch, ImportError, NewEvent, StoredEvent, StreamKey,
};

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
    /// The streams of the group that have another epoch now.
    renewed: Vec<StreamKey>,
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
            renewed: Vec::new(),
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
        let stream = self.streams.find_or_create(connection, &key)?;
        let (id, epoch, seq) = (stream.id, stream.epoch, stream.head + 1);
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
        self.note(key, id, cursor, event);
        Ok(Ok(Appended {
            cursor,
            duplicate: false,
        }))
    }

    /// Notes an event that the group writes.
    fn note(&mut self, key: StreamKey, stream: i64, cursor: Cursor, event: NewEvent) {
        self.written.push(Written {
            stream,
            key,
            place: Place {
                seq: cursor.seq,
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
    }

    /// Puts events of another engine behind `after`, if the head is there.
    pub(crate) fn import(
        &mut self,
        connection: &Connection,
        key: &StreamKey,
        after: Cursor,
        events: Vec<NewEvent>,
    ) -> Result<Result<(), ImportError>, Fault> {
        let found = self.streams.find(connection, key)?.map(|stream| Bounds {
            epoch: stream.epoch,
            oldest: stream.oldest,
            head: stream.head,
        });
        match found {
            Some(bounds) if bounds.at_head() == after => {}
            Some(bounds) if bounds.head > 0 => return Ok(Err(ImportError::Elsewhere(bounds))),
            _ => self.streams.begin(connection, key, after)?,
        }
        let stream = self.streams.find_or_create(connection, key)?;
        let (id, mut cursor) = (stream.id, after);
        let (keys, weight) = stream.keys(connection, &self.shared)?;
        for (event, seq) in events.iter().zip(after.seq + 1..) {
            if let Some(idempotency) = event.idempotency {
                keys.remember(seq, idempotency);
            }
        }
        stream.head += events.len() as u64;
        self.streams.add_weight(weight);
        for event in events {
            cursor.seq += 1;
            self.note(key.clone(), id, cursor, event);
        }
        Ok(Ok(()))
    }

    /// Gives a stream another epoch; its tails notice when the group is committed.
    pub(crate) fn renew(
        &mut self,
        connection: &Connection,
        key: StreamKey,
        epoch: Epoch,
    ) -> Result<(), Fault> {
        self.streams.renew(connection, &key, epoch)?;
        self.renewed.push(key);
        Ok(())
    }

    /// Removes all that a stream has; its tails notice when the group is committed.
    pub(crate) fn erase(
        &mut self,
        connection: &Connection,
        key: StreamKey,
        next: Epoch,
    ) -> Result<(), Fault> {
        let (epoch, seq) = (next, 0);
        self.streams
            .begin(connection, &key, Cursor { epoch, seq })?;
        self.renewed.push(key);
        Ok(())
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
        for stream in self.renewed.drain(..) {
            self.shared.live.interrupt(&stream);
        }
    }

    /// The group failed: nothing that it wrote is there.
    pub(crate) fn forget(&mut self) {
        self.indexed = false;
        self.written.clear();
        self.renewed.clear();
        self.streams.forget();
        self.next_pos = self.shared.unindexed.read().next_pos();
    }
}
