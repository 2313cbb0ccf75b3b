//! Raw storage and media, put together.

use std::sync::Arc;

use nexus::assets::{Assets, AssetsDeps};

use super::{Foundation, blobs::Objects};
use crate::config::StorageConfig;

/// The files of all tenants: known in the store, kept in the buckets that the registry names.
pub(super) fn assets(
    foundation: &Foundation,
    objects: &Objects,
    config: &StorageConfig,
) -> Arc<Assets> {
    Arc::new(Assets::new(AssetsDeps {
        documents: foundation.engine.documents(),
        raw: objects.raw_storage.clone(),
        media: objects.media.clone(),
        clock: Arc::clone(&foundation.clock),
        entropy: Arc::clone(&foundation.entropy),
        authority: foundation.authority,
        upload_bytes_max: config.upload_bytes_max,
    }))
}
