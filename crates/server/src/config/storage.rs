//! Limits of raw storage and media.

use nexus::assets::UPLOAD_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// How much may be uploaded. Where it goes is said by the rows `raw_storage` and `media` of the
/// routing registry.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// The largest upload in bytes; S3 itself takes 5 GiB with one form.
    pub upload_bytes_max: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            upload_bytes_max: UPLOAD_BYTES_MAX,
        }
    }
}
