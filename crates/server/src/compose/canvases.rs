//! The service of canvases, and the artifacts that are made of them.

use std::sync::Arc;

use actix_web::web::Data;
use canvas::{CanvasConfig, CanvasDeps, CanvasService, Exports};
use nexus::assets::Assets;
use realtime::Realtime;

use super::Foundation;

/// Canvases in the store, told on the rail of `realtime`; their artifacts are among `assets`.
pub(super) fn services(
    foundation: &Foundation,
    realtime: &Arc<Realtime>,
    assets: &Arc<Assets>,
) -> (Data<CanvasService>, Data<Exports>) {
    let canvases = Arc::new(CanvasService::new(CanvasDeps {
        documents: foundation.engine.documents(),
        log: foundation.engine.events(),
        realtime: Arc::clone(realtime),
        clock: Arc::clone(&foundation.clock),
        config: CanvasConfig::default(),
    }));
    let exports = Exports::new(Arc::clone(&canvases), Arc::clone(assets));
    (Data::from(canvases), Data::new(exports))
}
