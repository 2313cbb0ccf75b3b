//! Writing the event index in one sorted batch.
//!
//! Streams are written in the order of the index, their keys in the order of
//! positions, so that both tables are touched from left to right and a page is
//! written once for many events.

use identity::Timestamp;
use rusqlite::Connection;

use crate::{
    codec::{self, KeyEntry},
    error::Fault,
    events::unindexed::{Place, Unindexed},
    schema,
};

/// Events of one run, at most: what a read of its last event decodes.
const RUN_EVENTS_MAX: usize = 512;

/// Indexes all of `unindexed`.
pub(crate) fn write(
    connection: &Connection,
    unindexed: &Unindexed,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut keyed = Vec::new();
    for stream in unindexed.streams() {
        let places: Vec<&Place> = unindexed.of(stream).collect();
        for run in places.chunks(RUN_EVENTS_MAX) {
            write_run(connection, stream, run)?;
            keyed.extend(keys_of(stream, run));
        }
        if let Some(last) = places.last() {
            connection
                .prepare_cached("UPDATE streams SET head = ?2 WHERE id = ?1")?
                .execute((stream, last.seq.cast_signed()))?;
        }
    }
    keyed.sort_unstable_by_key(|keys| keys.first_pos);
    for keys in keyed {
        connection
            .prepare_cached("INSERT INTO event_keys VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((
                keys.first_pos.cast_signed(),
                keys.stream,
                keys.first_seq.cast_signed(),
                now.unix_ms(),
                keys.encoded,
            ))?;
    }
    let upto = unindexed.next_pos().saturating_sub(1);
    schema::set_meta(connection, "indexed_upto", upto.cast_signed())?;
    Ok(())
}

fn write_run(connection: &Connection, stream: i64, run: &[&Place]) -> Result<(), Fault> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Ok(());
    };
    let steps = codec::encode_steps(run.iter().map(|place| place.pos));
    connection
        .prepare_cached("INSERT INTO event_runs VALUES (?1, ?2, ?3, ?4, 0, ?5)")?
        .execute((
            stream,
            first.seq.cast_signed(),
            last.seq.cast_signed(),
            first.pos.cast_signed(),
            steps,
        ))?;
    Ok(())
}

struct RunKeys {
    first_pos: u64,
    stream: i64,
    first_seq: u64,
    encoded: Vec<u8>,
}

fn keys_of(stream: i64, run: &[&Place]) -> Option<RunKeys> {
    let first = run.first()?;
    let entry = |place: &&Place| {
        let idempotency = place.idempotency?;
        Some(KeyEntry {
            seq: place.seq,
            idempotency,
        })
    };
    let keys: Vec<KeyEntry> = run.iter().filter_map(entry).collect();
    (!keys.is_empty()).then(|| RunKeys {
        first_pos: first.pos,
        stream,
        first_seq: first.seq,
        encoded: codec::encode_keys(first.seq, &keys),
    })
}
