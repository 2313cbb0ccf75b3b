//! The audit log.

use std::{path::PathBuf, time::Duration};

use audit::{
    Origin, TrustFile,
    service::{InvalidRetention, Retention},
};
use serde::{Deserialize, Serialize};

/// Under which name the audit log signs, and where it keeps what the store may not hold.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// The name of this log in its checkpoints, such as `audit.example.com/eu`. Two stores
    /// never share one.
    pub origin: String,
    /// References to the keys that sign checkpoints: one, or two while they are rotated.
    pub signing_keys: Vec<String>,
    /// Public keys that signed before: `<origin>+<id>+<key>`.
    #[serde(default)]
    pub former_keys: Vec<String>,
    /// Logs that this one continues under a name of its own, after the store was put back
    /// from a backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<PredecessorConfig>,
    /// Reference to the key under which the keys of personal values are stored: base64 of 32 random bytes.
    pub wrapping_key: String,
    /// Where records wait that the store does not take; `audit.spool` in the data folder by default.
    #[serde(default)]
    pub spool: Option<PathBuf>,
    /// Where the last checkpoint is kept outside the data folder, so that an old copy of
    /// the folder is recognised. Without it none is.
    #[serde(default)]
    pub anchor: Option<PathBuf>,
    /// Milliseconds between two checkpoints, if anything was recorded.
    #[serde(default = "default_epoch_every_ms")]
    pub epoch_every_ms: u64,
    /// Days that records are kept; for ever by default.
    #[serde(default)]
    pub retention_days: Option<u32>,
}

/// A log whose checkpoints are believed, and which signs no more.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PredecessorConfig {
    /// Its name.
    pub origin: String,
    /// Its public keys: `<origin>+<id>+<key>`.
    pub keys: Vec<String>,
}

impl PredecessorConfig {
    /// What is trusted of it.
    pub(crate) fn trust(&self) -> TrustFile {
        TrustFile {
            origin: self.origin.clone(),
            keys: self.keys.clone(),
            tenant: None,
            env: None,
            slot: None,
        }
    }
}

impl AuditConfig {
    /// The log of a fresh installation.
    pub(crate) fn fresh(
        origin: &Origin,
        signing_key: String,
        wrapping_key: String,
        anchor: PathBuf,
    ) -> Self {
        Self {
            origin: origin.to_string(),
            signing_keys: vec![signing_key],
            former_keys: Vec::new(),
            predecessors: Vec::new(),
            wrapping_key,
            spool: None,
            anchor: Some(anchor),
            epoch_every_ms: default_epoch_every_ms(),
            retention_days: None,
        }
    }

    /// How often a checkpoint is signed, if anything was recorded.
    pub(crate) const fn epoch_every(&self) -> Duration {
        Duration::from_millis(self.epoch_every_ms)
    }

    /// How long records are kept, if not for ever.
    pub(crate) fn retention(&self) -> Result<Option<Retention>, InvalidRetention> {
        let span = |days| Duration::from_secs(u64::from(days) * 24 * 60 * 60);
        self.retention_days
            .map(|days| span(days).try_into())
            .transpose()
    }
}

fn default_epoch_every_ms() -> u64 {
    1000
}
