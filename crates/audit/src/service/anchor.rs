//! The last signed checkpoint, kept outside the store.
//!
//! An old copy of the store is older than its anchor: then nothing is signed,
//! because it would contradict what was signed before.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// The anchor, if one was written.
///
/// # Errors
/// When it exists and cannot be read.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(note) => Ok(Some(note)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the anchor, durably when this returns.
///
/// # Errors
/// When the disk refuses; then the old one is still there.
pub(super) fn write(path: &Path, note: &str) -> io::Result<()> {
    let replacement = path.with_added_extension("new");
    let mut file = File::create(&replacement)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    fs::rename(&replacement, path)?;
    // A renamed file is durable once its folder is.
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}
