//! Why a folder does not open, and what a failure of SQLite means for the caller.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use store::StoreError;

/// Why the engine did not open, or did not back up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another engine of this one, has the folder open.
    #[error("the folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A newer program wrote the file.
    #[error(
        "{} has schema version {found}, this program knows versions up to {supported}: use a newer one", .file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest version that this program knows.
        supported: u32,
    },
    /// The file is something else.
    #[error("{} is not a file of this engine", .0.display())]
    Foreign(PathBuf),
    /// A backup was put beside the write-ahead log of another file, which would destroy it.
    #[error("{} is a restored backup: remove {} beside it first", .file.display(), .wal.display())]
    StaleWal {
        /// The restored file.
        file: PathBuf,
        /// What lies beside it.
        wal: PathBuf,
    },
    /// A backup is never written over a file.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The file is damaged.
    #[error("{} is damaged: {why}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// The operating system or SQLite refused.
    #[error("{}: {why}", .path.display())]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// What was answered.
        why: String,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, cause: &std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            why: cause.to_string(),
        }
    }

    pub(crate) fn sqlite(file: &Path, cause: &rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign(file.to_owned()),
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged {
                file: file.to_owned(),
                why: cause.to_string(),
            },
            _ => Self::Io {
                path: file.to_owned(),
                why: cause.to_string(),
            },
        }
    }
}

/// Why a group of commands could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Someone else holds SQLite's write lock; the next group may succeed.
    Busy(String),
    /// Durability can no longer be promised: a full disk, a failed write or fsync, damage.
    Lasting(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy(cause.to_string())
            }
            _ => Self::Lasting(cause.to_string()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Busy(why) => Self::Unavailable(why),
            Fault::Lasting(why) => Self::ReadOnly(why),
        }
    }
}

/// What a failed read means.
pub(crate) fn read_error(cause: &rusqlite::Error) -> StoreError {
    match cause {
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(
                failure.code,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
            ) =>
        {
            StoreError::Corrupt(cause.to_string())
        }
        rusqlite::Error::SqliteFailure(..) => StoreError::Unavailable(cause.to_string()),
        _ => StoreError::Corrupt(cause.to_string()),
    }
}
