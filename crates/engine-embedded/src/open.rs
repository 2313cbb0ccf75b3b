//! Opening a folder: connections as they must be, and the life that the file is in.

use std::{fs::File, io::Read as _, path::Path, time::Duration};

use identity::Entropy;
use rusqlite::{Connection, OpenFlags};
use store::Epoch;

use crate::{
    OpenError,
    schema::{self, APPLICATION_ID, BACKUP_ID, Origin},
};

/// The file that holds everything; to restore a backup, put it there.
pub(crate) const DATABASE_FILE: &str = "tenantry.db";
const WAL_FILE: &str = "tenantry.db-wal";

/// Longest wait for a lock that another connection holds.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);
/// Pages after which the write-ahead log is copied back (64 MiB).
const CHECKPOINT_PAGES: i64 = 16_384;
/// Size to which the log is cut after it had to grow.
const WAL_BYTES_KEPT: i64 = 128 * 1024 * 1024;
/// Page cache of the writer and of each reader, in KiB.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
const READER_CACHE_KIB: i64 = 8 * 1024;
/// Statements that a connection keeps prepared.
const STATEMENTS_CACHED: usize = 64;
/// A restored file continues at least this many versions later, times a random
/// number: a version that the lost life gave out is not given again.
const VERSIONS_PER_LIFE: i64 = 1 << 24;

/// Opens the writer's connection: the file is ours, current and in a known life.
pub(crate) fn writer(
    folder: &Path,
    entropy: &dyn Entropy,
) -> Result<(Connection, Epoch), OpenError> {
    let file = folder.join(DATABASE_FILE);
    refuse_stale_wal(folder, &file)?;
    let fail = |cause: rusqlite::Error| OpenError::sqlite(&file, &cause);
    let mut connection = Connection::open(&file).map_err(fail)?;
    connection.busy_timeout(BUSY_WAIT_MAX).map_err(fail)?;
    let origin = schema::inspect(&connection, &file)?;
    schema::migrate(&mut connection).map_err(fail)?;
    // A new or restored file has no log yet: its mark changes in the file itself,
    // where the next opening looks for it, whatever happens in between.
    let epoch = begin_life(&mut connection, origin, entropy).map_err(fail)?;
    tune_writer(&connection).map_err(fail)?;
    sync_folder(folder)?;
    Ok((connection, epoch))
}

/// Opens a connection that cannot write.
pub(crate) fn reader(folder: &Path) -> Result<Connection, OpenError> {
    let file = folder.join(DATABASE_FILE);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&file, flags)?;
        connection.busy_timeout(BUSY_WAIT_MAX)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        Ok(connection)
    };
    open().map_err(|cause| OpenError::sqlite(&file, &cause))
}

fn tune_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // What is deleted from a page is zeroed there: a destroyed key is not found in the file.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(())
}

/// The epoch of this life; a new file and a restored one begin another.
///
/// A restored file lacks what was acknowledged after its backup. Under the old
/// epoch a cursor of that time would be taken for a position in events that
/// are written now; under a new one it is a gap.
fn begin_life(
    connection: &mut Connection,
    origin: Origin,
    entropy: &dyn Entropy,
) -> rusqlite::Result<Epoch> {
    let transaction = connection.transaction()?;
    let known = schema::meta(&transaction, "epoch")?;
    let epoch = match (origin, known.and_then(|epoch| u32::try_from(epoch).ok())) {
        (Origin::Ours, Some(epoch)) => epoch,
        (_, known) => {
            let epoch = draw_epoch(entropy, known);
            schema::set_meta(&transaction, "epoch", epoch.into())?;
            let ceiling = schema::meta(&transaction, "version_ceiling")?.unwrap_or(0);
            let jump = VERSIONS_PER_LIFE * (1 + i64::from(draw(entropy) >> 8));
            schema::set_meta(&transaction, "version_ceiling", ceiling + jump)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            epoch
        }
    };
    transaction.commit()?;
    Ok(Epoch(epoch))
}

fn draw(entropy: &dyn Entropy) -> u32 {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

/// An epoch that is not 0 and not the last one.
fn draw_epoch(entropy: &dyn Entropy, last: Option<u32>) -> u32 {
    loop {
        let epoch = draw(entropy);
        if epoch != 0 && Some(epoch) != last {
            return epoch;
        }
    }
}

/// Refuses a backup that was put beside the log of the file it replaced:
/// SQLite would replay that log into it. Read before SQLite sees the file.
fn refuse_stale_wal(folder: &Path, file: &Path) -> Result<(), OpenError> {
    const ID_AT: usize = 68;
    let mut header = [0_u8; 72];
    let whole = File::open(file).and_then(|mut open| open.read_exact(&mut header));
    let marked = whole.is_ok() && header.get(ID_AT..) == Some(&BACKUP_ID.to_be_bytes());
    let wal = folder.join(WAL_FILE);
    if marked && std::fs::metadata(&wal).is_ok_and(|found| found.len() > 0) {
        return Err(OpenError::StaleWal {
            file: file.to_owned(),
            wal,
        });
    }
    Ok(())
}

/// Makes names of new files durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), OpenError> {
    File::open(folder)
        .and_then(|open| open.sync_all())
        .map_err(|cause| OpenError::io(folder, &cause))
}
