//! What the writer knows of streams: bounded, and read again when forgotten.
//!
//! **Invariant:** streams are forgotten between groups alone. What the current
//! group did to a stream cannot be read again before it is committed.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use store::StreamKey;

use super::keys::Keys;
use crate::{engine::Shared, error::Fault, generations::Generations};

/// Memory for streams, in bytes.
const CACHE_BYTES: usize = 96 * 1024 * 1024;
/// Rough bytes of a stream without keys.
const STREAM_BYTES: usize = 256;

pub(crate) struct Stream {
    pub(crate) id: i64,
    /// The last event, those of the current group included.
    pub(crate) head: u64,
    pub(crate) oldest: u64,
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
                None => create(connection, key)?,
            };
            self.cached.put(key.clone(), stream, STREAM_BYTES);
        }
        self.cached.young(key).ok_or_else(vanished)
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

fn create(connection: &Connection, key: &StreamKey) -> Result<Stream, Fault> {
    connection
        .prepare_cached("INSERT INTO streams (name, head, oldest) VALUES (?1, 0, 1)")?
        .execute([key.as_str()])?;
    Ok(Stream {
        id: connection.last_insert_rowid(),
        head: 0,
        oldest: 1,
        keys: Some(Keys::default()),
    })
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
        .prepare_cached("SELECT id, head, oldest FROM streams WHERE name = ?1")?
        .query_row([key.as_str()], |row| {
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok(Stream {
                id: row.get(0)?,
                head: number(1)?,
                oldest: number(2)?,
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
