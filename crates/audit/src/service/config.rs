//! What may be chosen.

use std::{path::PathBuf, time::Duration};

use crate::TrustFile;

/// Settings of the audit log.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// Where records wait that cannot be recorded where they belong; on a local disk.
    pub spool: PathBuf,
    /// Where the last signed checkpoint is kept outside the store, so that an old
    /// copy of the store is recognised; best on another disk. Nowhere when absent.
    pub anchor: Option<PathBuf>,
    /// Public keys (`<origin>+<id>+<key>`) that signed before the present ones.
    pub former_keys: Vec<String>,
    /// Logs that this one continues under a name of its own, because the store was put back
    /// from a backup: their origins and public keys. What they signed is believed, and
    /// nothing more is signed in their names.
    pub predecessors: Vec<TrustFile>,
    /// How often an epoch is closed, if anything was recorded.
    pub epoch_every: Duration,
}
