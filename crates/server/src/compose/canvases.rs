//! The service of canvases.

use std::sync::Arc;

use canvas::{CanvasConfig, CanvasDeps, CanvasService};
use engine_embedded::Embedded;
use identity::Clock;
use realtime::Realtime;

/// Canvases in the store of `engine`, told on the rail of `realtime`.
pub(super) fn service(
    engine: &Embedded,
    clock: &Arc<dyn Clock>,
    realtime: &Arc<Realtime>,
) -> CanvasService {
    CanvasService::new(CanvasDeps {
        documents: engine.documents(),
        log: engine.events(),
        realtime: Arc::clone(realtime),
        clock: Arc::clone(clock),
        config: CanvasConfig::default(),
    })
}
