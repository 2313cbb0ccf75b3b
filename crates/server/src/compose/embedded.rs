//! The backend `embedded`.

use std::path::Path;
use std::sync::Arc;

use control::{Backend, ResourceKind, RouteTarget};
use engine_embedded::{Embedded, Health};

use crate::{needs::OBJECT_KINDS, web::Probe};

/// Its name in the registry.
pub(super) const EMBEDDED: &str = "embedded";

/// The backend, for the registry's own check.
///
/// # Errors
/// When its name is no name of a backend.
pub(super) fn backend() -> anyhow::Result<Backend> {
    let faults = |kind: &ResourceKind, _: &RouteTarget| {
        let objects = OBJECT_KINDS.contains(&kind.to_string().as_str());
        let fault = objects.then(|| format!("the backend {EMBEDDED} keeps no objects"));
        fault.into_iter().collect()
    };
    Ok(Backend::new(EMBEDDED.parse()?, faults))
}

/// Whether it takes writes.
pub(super) fn probe(engine: &Embedded) -> Probe {
    let engine = engine.clone();
    let check = move || match engine.health() {
        Health::Writable => Ok(()),
        Health::ReadOnly(why) => Err(why),
    };
    Probe {
        name: EMBEDDED,
        check: Arc::new(check),
        vital: true,
    }
}

/// Writes a consistent copy of the store in `folder` to `file`.
///
/// # Errors
/// When there is no store, or the file exists or cannot be written.
pub fn backup(folder: &Path, file: &Path) -> anyhow::Result<()> {
    Ok(engine_embedded::backup(folder, file)?)
}
