//! The system's clock and generator, and where temporary data goes.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use identity::{Clock, Entropy, Timestamp};
use rand::Rng;
use tempfile::TempDir;

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Chance, as the server draws it.
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// A folder beside this binary: on the disk that is built on, never in a memory file system.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn scratch() -> Result<TempDir> {
    let binary = std::env::current_exe().context("where this binary is")?;
    let folder = binary.parent().context("a folder above this binary")?;
    tempfile::tempdir_in(folder).context("a temporary folder beside this binary")
}
