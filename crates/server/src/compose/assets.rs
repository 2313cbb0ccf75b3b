//! Raw storage and media, put together.

use std::sync::Arc;

use gatechain::GateChain;
use nexus::assets::{Assets, AssetsDeps};

use super::Foundation;
use crate::{config::StorageConfig, needs};

/// The files of all tenants: known in the store, kept in the buckets that the registry names.
pub(super) fn assets(
    foundation: &Foundation,
    gates: &GateChain,
    config: &StorageConfig,
) -> Arc<Assets> {
    let assets = Assets::new(AssetsDeps {
        documents: foundation.documents(),
        raw: foundation.blobs(needs::RAW_STORAGE),
        media: foundation.blobs(needs::MEDIA),
        clock: Arc::clone(&foundation.clock),
        entropy: Arc::clone(&foundation.entropy),
        authority: foundation.authority,
        upload_bytes_max: config.upload_bytes_max,
    });
    Arc::new(assets.across(gates.clone()))
}
