//! The service of canvases, the runs of agents on them, and the artifacts that are made of them.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use canvas::{CanvasConfig, CanvasDeps, CanvasService, Exports, Runs, RunsDeps};
use identity::{Guard, Recording};
use nexus::assets::Assets;
use realtime::Realtime;

use super::Foundation;

/// What canvases need of each application.
pub(super) struct Canvases {
    service: Data<CanvasService>,
    exports: Data<Exports>,
    runs: Data<Runs>,
}

impl Canvases {
    /// Canvases in the store, told on the rail of `realtime`; their artifacts are among `assets`.
    pub(super) fn lay(
        foundation: &Foundation,
        realtime: &Arc<Realtime>,
        assets: &Arc<Assets>,
        guard: &Arc<Guard>,
        recording: Recording,
    ) -> Self {
        let service = Arc::new(CanvasService::new(CanvasDeps {
            documents: foundation.documents(),
            log: foundation.events(),
            realtime: Arc::clone(realtime),
            clock: Arc::clone(&foundation.clock),
            entropy: Arc::clone(&foundation.entropy),
            config: CanvasConfig::default(),
        }));
        let exports = Arc::new(Exports::new(Arc::clone(&service), Arc::clone(assets)));
        let runs = Runs::new(RunsDeps {
            documents: foundation.documents(),
            canvases: Arc::clone(&service),
            exports: Arc::clone(&exports),
            guard: Arc::clone(guard),
            recording,
            clock: Arc::clone(&foundation.clock),
        });
        Self {
            service: Data::from(service),
            exports: Data::from(exports),
            runs: Data::new(runs),
        }
    }

    /// Adds them to an application.
    pub(super) fn mount(&self, app: &mut ServiceConfig) {
        app.app_data(self.service.clone())
            .app_data(self.exports.clone())
            .app_data(self.runs.clone());
    }
}
