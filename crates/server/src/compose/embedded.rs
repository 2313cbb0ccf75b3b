//! The backend `embedded`: the engine in this process, while the control store is in it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use control::{Backend, RouteTarget};
use engine_embedded::{Embedded, Health as State};
use store::observed;

use super::{
    backend::{Health, Opened, Trouble},
    open::{Opener, known},
};
use crate::{needs::Port, web::Probe};

/// Its name in the registry.
pub(super) const EMBEDDED: &str = "embedded";
/// What an acknowledgement means.
const DURABILITY: &str = "on this machine's disk before the acknowledgement";

/// The backend, for the registry's own check.
///
/// # Errors
/// When its name is no name of a backend.
pub(super) fn backend(control: &RouteTarget) -> anyhow::Result<Backend> {
    let ports = &[
        Port::Documents,
        Port::Events,
        Port::Throttle,
        Port::Bus,
        Port::Tickets,
    ];
    known(EMBEDDED, ports, control, |_| Vec::new())
}

pub(super) fn open(opener: &Opener) -> Result<Opened, Trouble> {
    let elsewhere = || Trouble::Row(format!("the backend {EMBEDDED} is not built in"));
    let engine = opener.embedded.as_ref().ok_or_else(elsewhere)?;
    let documents = observed::documents(engine.documents(), EMBEDDED);
    Ok(Opened {
        tickets: Some(opener.tickets(&documents)),
        documents: Some(documents),
        events: Some(observed::events(engine.events(), EMBEDDED)),
        relocation: Some(engine.relocation()),
        throttle: Some(observed::throttle(engine.throttle(), EMBEDDED)),
        blobs: None,
        bus: Some(observed::bus(engine.bus(), EMBEDDED)),
        durability: DURABILITY.to_owned(),
        health: Arc::new(engine.clone()),
    })
}

#[async_trait]
impl Health for Embedded {
    async fn check(&self) -> Result<(), String> {
        takes_writes(self)
    }
}

fn takes_writes(engine: &Embedded) -> Result<(), String> {
    match engine.health() {
        State::Writable => Ok(()),
        State::ReadOnly(why) => Err(why),
    }
}

/// Whether it takes writes; asked anew each time, because that costs nothing.
pub(super) fn probe(engine: &Embedded) -> Probe {
    let engine = engine.clone();
    Probe {
        name: EMBEDDED,
        check: Arc::new(move || takes_writes(&engine)),
        role: None,
        durability: Some(DURABILITY),
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
