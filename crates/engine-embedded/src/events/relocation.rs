//! The port [`Relocation`] over the writer and the readers.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use identity::{SystemAuthority, Timestamp};
use rusqlite::Connection;
use store::{
    Cursor, Epoch, Idempotency, ImportError, NewEvent, Relocation, StoreError, StreamKey,
    StreamsPage, check_import,
};

use super::{EmbeddedEventLog, read::find};
use crate::{codec, engine::Shared, error::read_error, writer::Command};

/// Streams of one page.
const PAGE_STREAMS: usize = 1000;
/// What is before every name of a stream: names of erased ones begin with something smaller.
const BEFORE_NAMES: &str = "tenants/";

#[async_trait]
impl Relocation for EmbeddedEventLog {
    async fn streams(
        &self,
        authority: &SystemAuthority,
        after: Option<String>,
    ) -> Result<StreamsPage, StoreError> {
        let (authority, shared) = (*authority, Arc::clone(&self.0.shared));
        let list = move |connection: &mut Connection| {
            let after = after.as_deref().unwrap_or(BEFORE_NAMES);
            // What moves to the table meanwhile has a head there.
            let in_memory = shared.unindexed.read().streams();
            let found = named_after(connection, after).map_err(|cause| read_error(&cause))?;
            let had_events = |it: &&Named| it.head > 0 || in_memory.binary_search(&it.id).is_ok();
            let used = found.iter().filter(had_events);
            let streams = used.filter_map(|it| StreamKey::listed(&authority, &it.name));
            Ok(StreamsPage {
                streams: streams.collect(),
                next: found.get(PAGE_STREAMS - 1).map(|last| last.name.clone()),
            })
        };
        self.0.readers.run(list).await
    }

    async fn keys(
        &self,
        stream: &StreamKey,
        _: Timestamp,
    ) -> Result<Vec<(u64, Idempotency)>, StoreError> {
        let (shared, stream) = (Arc::clone(&self.0.shared), stream.clone());
        let read = move |connection: &mut Connection| keys(&shared, connection, &stream);
        self.0.readers.run(read).await
    }

    async fn import(
        &self,
        stream: &StreamKey,
        after: Cursor,
        events: Vec<NewEvent>,
    ) -> Result<(), ImportError> {
        check_import(&events)?;
        let bytes = events.iter().map(|event| event.body.len()).sum();
        let stream = stream.clone();
        let command = |reply| Command::Import {
            stream,
            after,
            events,
            reply,
        };
        self.0.ask(bytes, command).await
    }

    async fn renew(&self, stream: &StreamKey, epoch: Epoch) -> Result<(), StoreError> {
        let stream = stream.clone();
        let command = |reply| Command::Renew {
            stream,
            epoch,
            reply,
        };
        self.0.ask(0, command).await
    }

    async fn erase(&self, stream: &StreamKey, next: Epoch) -> Result<(), StoreError> {
        let stream = stream.clone();
        let command = |reply| Command::Erase {
            stream,
            next,
            reply,
        };
        self.0.ask(0, command).await
    }
}

/// A stream of the table.
struct Named {
    name: String,
    id: i64,
    head: i64,
}

/// A page of streams by their names.
fn named_after(connection: &Connection, after: &str) -> rusqlite::Result<Vec<Named>> {
    connection
        .prepare_cached(
            "SELECT name, id, head FROM streams WHERE name > ?1 ORDER BY name LIMIT ?2",
        )?
        .query_map((after, PAGE_STREAMS as i64), |row| {
            Ok(Named {
                name: row.get(0)?,
                id: row.get(1)?,
                head: row.get(2)?,
            })
        })?
        .collect()
}

/// What is in memory is looked at first: what moves to the table meanwhile is there as well.
fn keys(
    shared: &Shared,
    connection: &Connection,
    stream: &StreamKey,
) -> Result<Vec<(u64, Idempotency)>, StoreError> {
    let found = find(connection, stream).map_err(|cause| read_error(&cause))?;
    let Some((id, _)) = found else {
        return Ok(Vec::new());
    };
    let mut keys: HashMap<u64, Idempotency> = {
        let unindexed = shared.unindexed.read();
        let places = unindexed.of(id);
        let keyed = places.filter_map(|place| Some((place.seq, place.idempotency?)));
        keyed.collect()
    };
    for (first_seq, encoded) in indexed(connection, id).map_err(|cause| read_error(&cause))? {
        let entries = codec::decode_keys(first_seq.cast_unsigned(), &encoded);
        let entries = entries.map_err(|damaged| StoreError::Corrupt(damaged.to_string()))?;
        keys.extend(
            entries
                .into_iter()
                .map(|entry| (entry.seq, entry.idempotency)),
        );
    }
    Ok(keys.into_iter().collect())
}

/// The keys of each run of a stream that has some, as they are stored.
fn indexed(connection: &Connection, stream: i64) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
    connection
        .prepare_cached(
            "SELECT k.first_seq, k.keys FROM event_runs r
             JOIN event_keys k ON k.first_pos = r.first_pos WHERE r.stream = ?1",
        )?
        .query_map([stream], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
