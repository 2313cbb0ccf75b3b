//! Online backup: a verified copy in one file, beside a server that goes on.
//!
//! The copy is one snapshot: a read transaction is held while it is made, so
//! that it does not start again with every commit, and no commit waits for it.
//! It carries a mark in its header. The first opening of a marked file begins
//! a new life: a new epoch, since what was acknowledged after the backup is
//! gone and cursors of that time must be recognised, and later versions.
//!
//! To restore, put the file into an empty folder as `tenantry.db`.
//!
//! **Invariant:** a file under the final name is whole and verified; an
//! existing one is never replaced.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use crate::{
    OpenError,
    open::{self, DATABASE_FILE},
    schema::{self, BACKUP_ID},
};

/// Pages copied in one step (4 MiB).
const STEP_PAGES: i32 = 1_024;
/// Pause when the source is locked for a moment.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);
/// Such pauses in a row before giving up (10 s).
const LOCKED_PAUSES_MAX: u32 = 500;

/// Copies the data in `folder` to the new file `to`, with everything that was
/// acknowledged before this was called. Works with or without a running server.
///
/// # Errors
/// [`OpenError::Exists`] when `to` exists, [`OpenError::Foreign`] or
/// [`OpenError::Newer`] when `folder` holds no data of this program,
/// [`OpenError::Damaged`] when the copy does not verify.
pub fn backup(folder: &Path, to: &Path) -> Result<(), OpenError> {
    if to.exists() {
        return Err(OpenError::Exists(to.to_owned()));
    }
    let mut partial = OsString::from(to);
    partial.push(".partial");
    let partial = Partial::create(PathBuf::from(partial))?;
    copy(folder, &partial.0)?;
    verify(&partial.0)?;
    publish(&partial.0, to)
}

/// The unfinished copy; removed however this ends.
struct Partial(PathBuf);

impl Partial {
    fn create(path: PathBuf) -> Result<Self, OpenError> {
        match std::fs::File::create_new(&path) {
            Ok(_) => Ok(Self(path)),
            Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(OpenError::Exists(path))
            }
            Err(cause) => Err(OpenError::io(&path, &cause)),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(cause) = std::fs::remove_file(&self.0) {
            tracing::warn!(%cause, file = %self.0.display(), "an unfinished backup stays behind");
        }
    }
}

fn copy(folder: &Path, partial: &Path) -> Result<(), OpenError> {
    let file = folder.join(DATABASE_FILE);
    let fail = |cause: rusqlite::Error| OpenError::sqlite(&file, &cause);
    let mut source = open::reader(folder)?;
    schema::inspect(&source, &file)?;
    let snapshot = source.transaction().map_err(fail)?;
    // A transaction begins with its first read.
    schema::meta(&snapshot, "epoch").map_err(fail)?;
    let mut target = Connection::open(partial).map_err(fail)?;
    let backup = Backup::new(&snapshot, &mut target).map_err(fail)?;
    let mut pauses = 0;
    loop {
        match backup.step(STEP_PAGES).map_err(fail)? {
            StepResult::Done => return Ok(()),
            StepResult::More => pauses = 0,
            _ if pauses < LOCKED_PAUSES_MAX => {
                pauses += 1;
                std::thread::sleep(LOCKED_PAUSE);
            }
            _ => {
                return Err(OpenError::Io {
                    path: file,
                    why: "the database stayed locked".to_owned(),
                });
            }
        }
    }
}

/// Marks the copy, makes it one file, and checks all of it.
fn verify(partial: &Path) -> Result<(), OpenError> {
    let fail = |cause: rusqlite::Error| OpenError::sqlite(partial, &cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let target = Connection::open_with_flags(partial, flags).map_err(fail)?;
    target
        .pragma_update(None, "journal_mode", "DELETE")
        .and_then(|()| target.pragma_update(None, "application_id", BACKUP_ID))
        .map_err(fail)?;
    let found: String = target
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(fail)?;
    if found != "ok" {
        return Err(OpenError::Damaged {
            file: partial.to_owned(),
            why: found,
        });
    }
    target.close().map_err(|(_, cause)| fail(cause))
}

/// Gives the durable copy its name, unless something took it meanwhile.
fn publish(partial: &Path, to: &Path) -> Result<(), OpenError> {
    let synced = std::fs::File::open(partial).and_then(|copy| copy.sync_all());
    synced.map_err(|cause| OpenError::io(partial, &cause))?;
    std::fs::hard_link(partial, to).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AlreadyExists => OpenError::Exists(to.to_owned()),
        _ => OpenError::io(to, &cause),
    })?;
    let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    open::sync_folder(folder.unwrap_or(Path::new(".")))
}
