//! What the file looks like, and how older files become new ones.
//!
//! **Invariant:** `user_version` counts the migrations that a file has seen.
//! A file with more of them than this program knows is never touched.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use crate::OpenError;

/// "Tnty": a file of this engine.
pub(crate) const APPLICATION_ID: i32 = 0x546e_7479;
/// "Tntb": a copy made by a backup that nobody has opened yet.
pub(crate) const BACKUP_ID: i32 = 0x546e_7462;

/// Version n of a file has seen the first n of these. Never change one; add.
const MIGRATIONS: &[&str] = &[
    r"
    -- Single values: the epoch, how far events are indexed, versions given out.
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
    INSERT INTO meta VALUES ('indexed_upto', 0), ('version_ceiling', 0);

    CREATE TABLE partitions (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE documents (
        partition INTEGER NOT NULL, id TEXT NOT NULL,
        version INTEGER NOT NULL, expires_at INTEGER, value BLOB NOT NULL,
        PRIMARY KEY (partition, id)
    ) WITHOUT ROWID, STRICT;
    CREATE INDEX documents_ending ON documents (expires_at) WHERE expires_at IS NOT NULL;

    -- head counts the indexed events alone; those after meta.indexed_upto come on top.
    CREATE TABLE streams (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        head INTEGER NOT NULL, oldest INTEGER NOT NULL
    ) STRICT;
    -- In the order of commits, so that writing always appends. No index of its own.
    CREATE TABLE events (
        pos INTEGER PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
        at INTEGER NOT NULL, key BLOB, fingerprint BLOB, body BLOB NOT NULL
    ) STRICT;
    -- Where consecutive events of a stream are: first_pos, then differences. A freed run
    -- has no events any more, and stays until its idempotency keys are forgotten.
    CREATE TABLE event_runs (
        stream INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
        first_pos INTEGER NOT NULL, freed INTEGER NOT NULL DEFAULT 0, steps BLOB NOT NULL,
        PRIMARY KEY (stream, first_seq)
    ) WITHOUT ROWID, STRICT;
    -- The idempotency keys of a run, by its first_pos; the oldest are forgotten first.
    CREATE TABLE event_keys (
        first_pos INTEGER PRIMARY KEY, stream INTEGER NOT NULL, first_seq INTEGER NOT NULL,
        indexed_at INTEGER NOT NULL, keys BLOB NOT NULL
    ) STRICT;
    -- Streams with trimmed events that still take space.
    CREATE TABLE trimmed (stream INTEGER PRIMARY KEY) STRICT;
",
    r"
    -- What the epoch of a stream differs in from that of the file: of one that came from another engine.
    ALTER TABLE streams ADD COLUMN shift INTEGER NOT NULL DEFAULT 0;
",
];

/// The newest schema version that this program knows.
pub(crate) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Whose file this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Empty.
    New,
    /// Written by this engine.
    Ours,
    /// A backup that is opened for the first time.
    Restored,
}

/// Looks at a file without changing it, and refuses what is not ours or too new.
pub(crate) fn inspect(connection: &Connection, file: &Path) -> Result<Origin, OpenError> {
    let fail = |cause: rusqlite::Error| OpenError::sqlite(file, &cause);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(fail)?;
    let id = number("PRAGMA application_id").map_err(fail)?;
    let origin = match i32::try_from(id) {
        Ok(APPLICATION_ID) => Origin::Ours,
        Ok(BACKUP_ID) => Origin::Restored,
        Ok(0) if tables == 0 => Origin::New,
        _ => return Err(OpenError::Foreign(file.to_owned())),
    };
    let found = number("PRAGMA user_version").map_err(fail)?;
    match u32::try_from(found) {
        Ok(found) if found <= SCHEMA_VERSION => Ok(origin),
        found => Err(OpenError::Newer {
            file: file.to_owned(),
            found: found.unwrap_or(u32::MAX),
            supported: SCHEMA_VERSION,
        }),
    }
}

/// Applies the migrations that the file has not seen, all or none.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let seen: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if seen < SCHEMA_VERSION {
        for migration in MIGRATIONS.iter().skip(seen as usize) {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()
}

/// Reads one value of `meta`.
pub(crate) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Writes one value of `meta`.
pub(crate) fn set_meta(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
        .execute((name, value))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_a_file_of_the_first_version_keep_the_epoch_of_the_file() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        let stream =
            "INSERT INTO streams (name, head, oldest) VALUES ('tenants/t_a/dev/chat/x', 7, 3)";
        connection.execute_batch(stream).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        migrate(&mut connection).unwrap();
        let read = "SELECT head, oldest, shift FROM streams";
        let found: (i64, i64, u32) = connection
            .query_row(read, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        assert_eq!(found, (7, 3, 0));
        migrate(&mut connection).unwrap();
    }
}
