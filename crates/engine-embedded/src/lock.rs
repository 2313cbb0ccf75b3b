//! One process per folder: a lock file of our own, because SQLite alone lets several write.
//!
//! **Invariant:** whoever holds a [`FolderLock`] is the only one who opened the
//! folder for writing. The operating system releases it when the process ends,
//! however it ends.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use crate::OpenError;

const LOCK_FILE: &str = "tenantry.lock";

/// The right to write in a folder.
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock, or says that someone else has it.
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(LOCK_FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|cause| OpenError::io(&path, &cause))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
            Err(TryLockError::Error(cause)) => Err(OpenError::io(&path, &cause)),
        }
    }
}
