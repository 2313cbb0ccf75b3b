//! The backend `firestore`: documents in a database of Google Cloud, also for stream tickets.

use std::sync::Arc;

use async_trait::async_trait;
use control::{Backend, RouteTarget};
use engine_firestore::{Firestore, FirestoreCredentials, FirestoreLocation, FirestoreSettings};
use serde_json::Value;
use store::observed;

use super::{
    backend::{Health, Opened, Trouble},
    open::{Opener, known, secret_faults, shown},
};
use crate::needs::Port;

/// Its name in the registry.
pub(super) const FIRESTORE: &str = "firestore";
/// The key of a service account; the emulator takes none.
pub(super) const SERVICE_ACCOUNT: &str = "service_account";

/// The backend, for the registry's own check.
///
/// # Errors
/// When its name is no name of a backend.
pub(super) fn backend(control: &RouteTarget) -> anyhow::Result<Backend> {
    known(
        FIRESTORE,
        &[Port::Documents, Port::Tickets],
        control,
        faults,
    )
}

fn faults(target: &RouteTarget) -> Vec<String> {
    let location = match location(target) {
        Ok(location) => location,
        Err(fault) => return vec![fault],
    };
    let needed: &[&str] = match location.is_emulator() {
        true => &[],
        false => &[SERVICE_ACCOUNT],
    };
    secret_faults(FIRESTORE, target, needed, &[])
}

fn location(target: &RouteTarget) -> Result<FirestoreLocation, String> {
    let config = Value::Object(target.config.clone());
    serde_json::from_value(config).map_err(|error| format!("its config: {error}"))
}

/// Opens the database of a row.
///
/// # Errors
/// What is wrong with the row, or why the database does not open.
pub(super) async fn open(opener: &Opener, target: &RouteTarget) -> Result<Opened, Trouble> {
    let location = location(target).map_err(Trouble::Row)?;
    let durability = match location.is_emulator() {
        true => "in the memory of an emulator",
        false => "replicated by the service before the acknowledgement",
    };
    let credentials = match location.is_emulator() {
        true => None,
        false => {
            let key = opener.secret(target, SERVICE_ACCOUNT).await?;
            Some(FirestoreCredentials::service_account(key).map_err(row)?)
        }
    };
    let settings = FirestoreSettings::new(location, credentials).map_err(row)?;
    let (clock, entropy) = (Arc::clone(&opener.clock), Arc::clone(&opener.entropy));
    let opened = Firestore::connect(&settings, clock, entropy).await;
    let firestore = opened.map_err(row)?;
    let documents = observed::documents(firestore.documents(), FIRESTORE);
    Ok(Opened {
        tickets: Some(opener.tickets(&documents)),
        documents: Some(documents),
        events: None,
        relocation: None,
        throttle: None,
        blobs: None,
        bus: None,
        durability: durability.to_owned(),
        health: Arc::new(firestore),
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what an error is mapped with"
)]
fn row(error: engine_firestore::FirestoreError) -> Trouble {
    Trouble::Row(error.to_string())
}

#[async_trait]
impl Health for Firestore {
    async fn check(&self) -> Result<(), String> {
        self.ping().await.map_err(shown)
    }
}
