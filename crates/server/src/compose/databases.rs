//! Databases beside everyone's, as the rows of single tenants name them: where the gates keep copies of the
//! system's fence.
//!
//! A database is what a target says. Two targets that reach the same one have a copy each, which costs a document.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use control::{RoutePlace, RouteTarget};
use gatechain::{Database, Databases};
use identity::TenantId;
use store::{DocKey, Documents, PageRequest, StoreError};

use super::{
    backend::Backend,
    router::{Router, named},
};
use crate::needs::NEXUS;

/// The databases that the registry names.
pub(super) struct RoutedDatabases(pub(super) Arc<Router>);

#[async_trait]
impl Databases for RoutedDatabases {
    async fn of(&self, tenant: &TenantId) -> Result<Option<Database>, StoreError> {
        let kind = named(NEXUS)?;
        let own = self.0.resolve(kind, &RoutePlace::of_tenant(tenant)).await?;
        let everyones = self.0.resolve(kind, &RoutePlace::default()).await?;
        if own.fingerprint() == everyones.fingerprint() {
            return Ok(None);
        }
        database(own.target()).map(Some)
    }

    async fn named(&self) -> Result<Vec<Database>, StoreError> {
        named_by_tenants(&self.0).await
    }

    async fn everyones(&self) -> Result<Arc<dyn Documents>, StoreError> {
        let served = self.0.serve(named(NEXUS)?, &RoutePlace::default()).await?;
        Ok(served.backend)
    }

    fn documents(&self, database: &Database) -> Result<Arc<dyn Documents>, StoreError> {
        let target = serde_json::from_value::<RouteTarget>(database.told.clone());
        let target = target.map_err(|error| {
            StoreError::Corrupt(format!("the database {}: {error}", database.id))
        })?;
        Ok(self.0.backend(&target, &target.fingerprint())?)
    }
}

/// The databases that rows of tenants name; reads all rows.
async fn named_by_tenants(router: &Router) -> Result<Vec<Database>, StoreError> {
    let unavailable = |error: control::ControlError| StoreError::Unavailable(error.to_string());
    let kind = NEXUS.parse().map_err(unavailable)?;
    let mut found: Vec<Database> = Vec::new();
    let mut next = Some(PageRequest::largest());
    while let Some(request) = next {
        let page = router.control()?.routes().rows(&request).await;
        let page = page.map_err(unavailable)?;
        for route in page.items.iter().filter(|route| route.row.kind == kind) {
            let database = database(&route.row.target)?;
            if route.row.place.tenant.is_some() && !found.contains(&database) {
                found.push(database);
            }
        }
        next = request.following(&page);
    }
    Ok(found)
}

/// Whether a row of a tenant names this database.
pub(super) async fn is_a_tenants(
    router: &Router,
    target: &RouteTarget,
) -> Result<bool, StoreError> {
    Ok(named_by_tenants(router).await?.contains(&database(target)?))
}

/// Whether a copy of the fence is the one in the database that `backend` serves.
pub(super) fn is_in(copy: &DocKey, backend: &Backend) -> bool {
    id_of(backend.target()) == copy.id
}

fn database(target: &RouteTarget) -> Result<Database, StoreError> {
    let told = serde_json::to_value(target);
    Ok(Database {
        id: id_of(target).into(),
        told: told.map_err(|error| StoreError::Corrupt(error.to_string()))?,
    })
}

fn id_of(target: &RouteTarget) -> String {
    target
        .fingerprint()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a text does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
