//! Upkeep: what ended, was forgotten or trimmed gives its space back.
//!
//! **Invariant:** nothing depends on it. Reads hide ended documents and trimmed
//! events by themselves; a step is bounded, so commands never wait long.

use identity::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use store::IDEMPOTENCY_MS_MIN;

use crate::{codec, error::Fault};

/// Ended documents deleted in a step.
const DOCUMENTS_PER_STEP: i64 = 256;
/// Runs whose keys are forgotten in a step.
const KEYS_PER_STEP: i64 = 128;
/// Trimmed runs freed in a step.
const RUNS_PER_STEP: i64 = 2;

#[derive(Default)]
pub(crate) struct Upkeep {
    /// The trimmed stream that was looked at last.
    last_trimmed: i64,
}

impl Upkeep {
    /// Does one bounded step; says whether more waits.
    pub(crate) fn step(&mut self, connection: &Connection, now: Timestamp) -> Result<bool, Fault> {
        let documents = delete_ended_documents(connection, now)?;
        let keys = forget_keys(connection, now)?;
        let runs = self.free_trimmed(connection)?;
        Ok(documents || keys || runs)
    }

    /// Frees events of the next trimmed stream.
    fn free_trimmed(&mut self, connection: &Connection) -> Result<bool, Fault> {
        let next = connection
            .prepare_cached(
                "SELECT t.stream, s.oldest, s.head FROM trimmed t JOIN streams s ON s.id = t.stream
                 WHERE t.stream > ?1 ORDER BY t.stream LIMIT 1",
            )?
            .query_row([self.last_trimmed], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((stream, oldest, indexed_head)) = next else {
            // From the start again, at the next turn.
            self.last_trimmed = 0;
            return Ok(false);
        };
        let stream: i64 = stream;
        let (oldest, indexed_head): (i64, i64) = (oldest, indexed_head);
        if free_runs(connection, stream, oldest)? {
            return Ok(true);
        }
        self.last_trimmed = stream;
        // Events that are not indexed yet keep the stream listed.
        if indexed_head >= oldest - 1 {
            connection
                .prepare_cached("DELETE FROM trimmed WHERE stream = ?1")?
                .execute([stream])?;
        }
        Ok(true)
    }
}

fn delete_ended_documents(connection: &Connection, now: Timestamp) -> Result<bool, Fault> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM documents WHERE (partition, id) IN
             (SELECT partition, id FROM documents WHERE expires_at <= ?1 LIMIT ?2)",
        )?
        .execute((now.unix_ms(), DOCUMENTS_PER_STEP))?;
    Ok(deleted as i64 == DOCUMENTS_PER_STEP)
}

/// Forgets idempotency keys that are old enough, the oldest first.
fn forget_keys(connection: &Connection, now: Timestamp) -> Result<bool, Fault> {
    let horizon = now.unix_ms() - IDEMPOTENCY_MS_MIN.cast_signed();
    let old: Vec<(i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT first_pos, stream, first_seq FROM
             (SELECT * FROM event_keys ORDER BY first_pos LIMIT ?2) WHERE indexed_at < ?1",
        )?
        .query_map((horizon, KEYS_PER_STEP), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (first_pos, stream, first_seq) in &old {
        connection
            .prepare_cached("DELETE FROM event_keys WHERE first_pos = ?1")?
            .execute([first_pos])?;
        connection
            .prepare_cached(
                "DELETE FROM event_runs WHERE stream = ?1 AND first_seq = ?2 AND freed = 1",
            )?
            .execute((stream, first_seq))?;
    }
    Ok(old.len() as i64 == KEYS_PER_STEP)
}

/// Frees events of `stream` before `oldest`; says whether more whole runs may wait.
fn free_runs(connection: &Connection, stream: i64, oldest: i64) -> Result<bool, Fault> {
    let runs: Vec<(i64, i64, i64, Vec<u8>)> = connection
        .prepare_cached(
            "SELECT first_seq, last_seq, first_pos, steps FROM event_runs
             WHERE stream = ?1 AND first_seq < ?2 AND freed = 0 ORDER BY first_seq LIMIT ?3",
        )?
        .query_map((stream, oldest, RUNS_PER_STEP), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut whole = 0;
    for (first_seq, last_seq, first_pos, steps) in &runs {
        let positions = codec::decode_steps(first_pos.cast_unsigned(), steps)
            .map_err(|damaged| Fault::Lasting(damaged.to_string()))?;
        for (_, pos) in (*first_seq..oldest).zip(positions) {
            connection
                .prepare_cached("DELETE FROM events WHERE pos = ?1")?
                .execute([pos.cast_signed()])?;
        }
        if *last_seq < oldest {
            whole += 1;
            free_run(connection, (stream, *first_seq, *first_pos))?;
        }
    }
    Ok(whole == RUNS_PER_STEP)
}

/// Removes an empty run, or marks it while its keys are remembered.
fn free_run(connection: &Connection, run: (i64, i64, i64)) -> Result<(), Fault> {
    let (stream, first_seq, first_pos) = run;
    let remembered: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM event_keys WHERE first_pos = ?1)")?
        .query_row([first_pos], |row| row.get(0))?;
    let sql = if remembered {
        "UPDATE event_runs SET freed = 1 WHERE stream = ?1 AND first_seq = ?2"
    } else {
        "DELETE FROM event_runs WHERE stream = ?1 AND first_seq = ?2"
    };
    connection
        .prepare_cached(sql)?
        .execute((stream, first_seq))?;
    Ok(())
}
