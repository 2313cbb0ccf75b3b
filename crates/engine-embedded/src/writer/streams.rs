//! What the writer knows of streams: bounded, and read again when forgotten.
//!
//! **Invariant:** streams are forgotten between groups alone. What the current
//! group did to a stream cannot be read again before it is committed.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use store::{Cursor, Epoch, StreamKey};

use super::keys::Keys;
use crate::{
    engine::Shared,
    error::Fault,
    events::epochs::{of_stream, shift},
    generations::Generations,
};

/// Memory for streams, in bytes.
const CACHE_BYTES: usize = 96 * 1024 * 1024;
/// Rough bytes of a stream without keys.
const STREAM_BYTES: usize = 256;

pub(crate) struct Stream {
    pub(crate) id: i64,
    /// The last event, those of the current group included.
    pub(crate) head: u64,
    pub(crate) oldest: u64,
    pub(crate) epoch: Epoch,
    keys: Option<Keys>,
}

pub(crate) struct Streams {
    shared: Arc<Shared>,
    cached: Generations<StreamKey, Stream>,
}

impl Streams {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            cached: Generations::new(CACHE_BYTES),
        }
    }

    /// The stream `key`, if there is one.
    pub(crate) fn find(
        &mut self,
        connection: &Connection,
        key: &StreamKey,
    ) -> Result<Option<&mut Stream>, Fault> {
        if !self.cached.touch(key, Stream::bytes) {
            let Some(stream) = load(&self.shared, connection, key)? else {
                return Ok(None);
            };
            self.cached.put(key.clone(), stream, STREAM_BYTES);
        }
        Ok(self.cached.young(key))
    }

    /// The stream `key`, which is made if there is none.
    pub(crate) fn find_or_create(
        &mut self,
        connection: &Connection,
        key: &StreamKey,
    ) -> Result<&mut Stream, Fault> {
        if !self.cached.touch(key, Stream::bytes) {
            let stream = match load(&self.shared, connection, key)? {
                Some(stream) => stream,
                None => {
                    let (epoch, seq) = (self.shared.epoch, 0);
                    create(connection, key, Cursor { epoch, seq }, epoch)?
                }
            };
            self.cached.put(key.clone(), stream, STREAM_BYTES);
        }
        self.cached.young(key).ok_or_else(vanished)
    }

    /// Puts a stream without events, that goes on behind `after`, in the place of the one that is there.
    pub(crate) fn begin(
        &mut self,
        connection: &Connection,
        key: &StreamKey,
        after: Cursor,
    ) -> Result<(), Fault> {
        if let Some(stream) = self.find(connection, key)? {
            hide(connection, stream)?;
        }
        let begun = create(connection, key, after, self.shared.epoch)?;
        self.cached.replace(key, begun, STREAM_BYTES);
        Ok(())
    }

    /// Gives a stream, if it is there, another epoch.
    pub(crate) fn renew(
        &mut self,
        connection: &Connection,
        key: &StreamKey,
        epoch: Epoch,
    ) -> Result<(), Fault> {
        let file = self.shared.epoch;
        let Some(stream) = self.find(connection, key)? else {
            return Ok(());
        };
        stream.epoch = epoch;
        connection
            .prepare_cached("UPDATE streams SET shift = ?2 WHERE id = ?1")?
            .execute((stream.id, shift(file, epoch)))?;
        Ok(())
    }

    /// Notes that a stream of this group has become heavier.
    pub(crate) fn add_weight(&mut self, bytes: usize) {
        self.cached.add_weight(bytes);
    }

    /// The group was committed.
    pub(crate) fn settle(&mut self) {
        self.cached.turn();
    }

    /// The group failed: what was known may be wrong.
    pub(crate) fn forget(&mut self) {
        self.cached.clear();
    }
}

impl Stream {
    /// The keys that the stream remembers, and by how many bytes they grew for this.
    pub(crate) fn keys(
        &mut self,
        connection: &Connection,
        shared: &Shared,
    ) -> Result<(&mut Keys, usize), Fault> {
        let (mut keys, mut grown) = match self.keys.take() {
            Some(keys) => (keys, 0),
            None => {
                let keys = load_keys(shared, connection, self.id)?;
                let bytes = keys.bytes();
                (keys, bytes)
            }
        };
        let unindexed = shared.unindexed.read();
        if keys.want_parting(unindexed.times_indexed()) {
            let first = unindexed.range(self.id).map(|(first, _)| first);
            let indexed = first.map_or(self.head, |first| first.saturating_sub(1));
            grown += keys.part(indexed, shared.clock.now());
        }
        Ok((self.keys.insert(keys), grown))
    }

    /// Its size in memory, roughly.
    fn bytes(&self) -> usize {
        STREAM_BYTES + self.keys.as_ref().map_or(0, Keys::bytes)
    }
}

fn vanished() -> Fault {
    Fault::Lasting("a stream vanished from the writer's memory".to_owned())
}

/// A stream whose next event comes behind `after`; `file` is the epoch of streams that began here.
fn create(
    connection: &Connection,
    key: &StreamKey,
    after: Cursor,
    file: Epoch,
) -> Result<Stream, Fault> {
    let (head, oldest) = (after.seq, after.seq + 1);
    connection
        .prepare_cached("INSERT INTO streams (name, head, oldest, shift) VALUES (?1, ?2, ?3, ?4)")?
        .execute((
            key.as_str(),
            head.cast_signed(),
            oldest.cast_signed(),
            shift(file, after.epoch),
        ))?;
    Ok(Stream {
        id: connection.last_insert_rowid(),
        head,
        oldest,
        epoch: after.epoch,
        keys: Some(Keys::default()),
    })
}

/// Takes the name from a stream, and trims all of it. The row stays, so that its id is nobody else's
/// while its keys and positions are known.
fn hide(connection: &Connection, stream: &Stream) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE streams SET name = 'erased/' || id, oldest = ?2 WHERE id = ?1")?
        .execute((stream.id, (stream.head + 1).cast_signed()))?;
    connection
        .prepare_cached("INSERT OR IGNORE INTO trimmed VALUES (?1)")?
        .execute([stream.id])?;
    Ok(())
}

fn load_keys(shared: &Shared, connection: &Connection, stream: i64) -> Result<Keys, Fault> {
    let mut keys = Keys::load(connection, stream, shared.clock.now())?;
    for place in shared.unindexed.read().of(stream) {
        if let Some(idempotency) = place.idempotency {
            keys.remember(place.seq, idempotency);
        }
    }
    Ok(keys)
}

fn load(
    shared: &Shared,
    connection: &Connection,
    key: &StreamKey,
) -> Result<Option<Stream>, Fault> {
    let found = connection
        .prepare_cached("SELECT id, head, oldest, shift FROM streams WHERE name = ?1")?
        .query_row([key.as_str()], |row| {
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok(Stream {
                id: row.get(0)?,
                head: number(1)?,
                oldest: number(2)?,
                epoch: of_stream(shared.epoch, row.get(3)?),
                keys: None,
            })
        })
        .optional()?;
    Ok(found.map(|mut stream| {
        if let Some((_, last)) = shared.unindexed.read().range(stream.id) {
            stream.head = last;
        }
        stream
    }))
}
