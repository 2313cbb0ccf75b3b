//! A backend that the server was composed with, and what it asks of its rows.

use std::{fmt, sync::Arc};

use super::{BackendName, ResourceKind, RouteTarget};

/// What is wrong with a row, in a backend's eyes.
type Faults = dyn Fn(&ResourceKind, &RouteTarget) -> Vec<String> + Send + Sync;

/// A backend by its name, with its own check of the rows that name it.
#[derive(Clone)]
pub struct Backend {
    name: BackendName,
    faults: Arc<Faults>,
}

impl Backend {
    /// A backend whose rows are in order when `faults` finds nothing.
    ///
    /// `faults` reads neither secrets nor the network; secrets are resolved by the registry.
    pub fn new(
        name: BackendName,
        faults: impl Fn(&ResourceKind, &RouteTarget) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            faults: Arc::new(faults),
        }
    }

    pub(super) fn is(&self, name: &BackendName) -> bool {
        self.name == *name
    }

    pub(super) fn faults(&self, kind: &ResourceKind, target: &RouteTarget) -> Vec<String> {
        (self.faults)(kind, target)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({})", self.name)
    }
}
