//! What the writer knows of streams: bounded, and read again when forgotten.
//!
//! **Invariant:** a stream that the current group touched is held until the
//! group is committed; only then may it be forgotten, since only then can it
//! be read again.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension as _};
use store::StreamKey;

use super::keys::Keys;
use crate::{engine::Shared, error::Fault, generations::Generations};

/// Memory for streams that are not in use at the moment, in bytes.
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
    touched: HashMap<StreamKey, Stream>,
    cached: Generations<StreamKey, Stream>,
}

impl Streams {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            touched: HashMap::new(),
            cached: Generations::new(CACHE_BYTES),
        }
    }

    /// The stream `key`, if there is one.
    pub(crate) fn find(
        &mut self,
        connection: &Connection,
        key: &StreamKey,
    ) -> Result<Option<&mut Stream>, Fault> {
        match self.touched.entry(key.clone()) {
            Entry::Occupied(entry) => Ok(Some(entry.into_mut())),
            Entry::Vacant(entry) => {
                let found = match self.cached.take(key) {
                    Some(stream) => Some(stream),
                    None => load(&self.shared, connection, key)?,
                };
                Ok(found.map(|stream| entry.insert(stream)))
            }
        }
    }

    /// The stream `key`, which is made if there is none.
    pub(crate) fn find_or_create(
        &mut self,
        connection: &Connection,
        key: &StreamKey,
    ) -> Result<&mut Stream, Fault> {
        if self.find(connection, key)?.is_none() {
            connection
                .prepare_cached("INSERT INTO streams (name, head, oldest) VALUES (?1, 0, 1)")?
                .execute([key.as_str()])?;
            let stream = Stream {
                id: connection.last_insert_rowid(),
                head: 0,
                oldest: 1,
                keys: Some(Keys::default()),
            };
            self.touched.insert(key.clone(), stream);
        }
        self.touched
            .get_mut(key)
            .ok_or_else(|| Fault::Lasting("a stream vanished".to_owned()))
    }

    /// The group was committed.
    pub(crate) fn settle(&mut self) {
        for (key, mut stream) in self.touched.drain() {
            stream.seal(&self.shared);
            let weight = STREAM_BYTES + stream.keys.as_ref().map_or(0, Keys::bytes);
            self.cached.put(key, stream, weight);
        }
    }

    /// The group failed: what was known may be wrong.
    pub(crate) fn forget(&mut self) {
        self.touched.clear();
        self.cached.clear();
    }
}

impl Stream {
    /// The keys that the stream remembers.
    pub(crate) fn keys(
        &mut self,
        connection: &Connection,
        shared: &Shared,
    ) -> Result<&mut Keys, Fault> {
        if self.keys.is_none() {
            let mut keys = Keys::load(connection, self.id, shared.clock.now())?;
            for place in shared.unindexed.read().of(self.id) {
                if let Some(idempotency) = place.idempotency {
                    keys.remember(place.seq, idempotency);
                }
            }
            self.keys = Some(keys);
        }
        self.keys
            .as_mut()
            .ok_or_else(|| Fault::Lasting("keys vanished".to_owned()))
    }

    fn seal(&mut self, shared: &Shared) {
        let Some(keys) = &mut self.keys else {
            return;
        };
        let unindexed = shared.unindexed.read().range(self.id);
        let indexed = unindexed.map_or(self.head, |(first, _)| first.saturating_sub(1));
        keys.seal(indexed, shared.clock.now());
    }
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
