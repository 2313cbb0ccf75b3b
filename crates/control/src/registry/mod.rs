//! The routing registry: which backend serves a kind of resource, for whom.
//!
//! Rows are data of `t_system`. A row is found by its id, which is a hash of
//! what it is for, so the most exact row is found with four lookups at most
//! however many rows there are. No row is a clear failure, never a guess.

mod backend;
mod check;
mod row;

use std::sync::Arc;

use identity::{Env, Precondition, Scope, TenantId};
use store::{Batch, DocKey, Page, PageRequest, Versioned};

pub use backend::Backend;
pub use check::{CheckReport, RegistryProblem};
pub use row::{BackendName, ResourceKind, Route, RouteId, RoutePlace, RouteRow, RouteTarget};

use crate::{
    Change, ControlError, Secrets,
    fresh::Fresh,
    records::{Core, check, encode, settle},
    tenant::{StoredTenant, operators_only},
};

/// Rows, and places without one, that are remembered.
const ROWS_MAX: usize = 16 * 1024;

/// Which backend serves whom.
pub struct Registry {
    core: Arc<Core>,
    secrets: Arc<Secrets>,
    rows: Fresh<RouteId, Option<Arc<RouteRow>>, 1>,
}

impl Registry {
    pub(crate) fn new(core: Arc<Core>, secrets: Arc<Secrets>) -> Self {
        Self {
            rows: Fresh::new(Arc::clone(&core), ROWS_MAX, |id| {
                [Change::Route(id.clone())]
            }),
            core,
            secrets,
        }
    }

    /// The most exact row for a place: tenant and environment, then the tenant,
    /// then the environment, then everything.
    ///
    /// # Errors
    /// [`ControlError::RouteMissing`] when no row covers the place.
    pub async fn resolve(
        &self,
        kind: &ResourceKind,
        tenant: &TenantId,
        env: Env,
    ) -> Result<Arc<RouteRow>, ControlError> {
        let now = self.core.now();
        for place in RoutePlace::covering(tenant, env) {
            let id = RouteId::of(kind, &place);
            let row = self.rows.get(&id, now, || self.load(&id)).await?;
            if let Some(row) = row {
                return Ok(row);
            }
        }
        Err(ControlError::RouteMissing {
            kind: kind.to_string(),
            tenant: tenant.to_string(),
            env: env.to_string(),
        })
    }

    async fn load(&self, id: &RouteId) -> Result<Option<Arc<RouteRow>>, ControlError> {
        let row = self.core.get::<RouteRow>(&self.core.route_key(id)).await?;
        Ok(row.map(|row| Arc::new(row.value)))
    }

    /// Adds a row unless there is one for the same place; `true` if it was added.
    ///
    /// For the server, which gives a new deployment its first rows.
    ///
    /// # Errors
    /// [`ControlError::Invalid`], [`ControlError::Unavailable`].
    pub async fn put_if_absent(&self, row: &RouteRow) -> Result<bool, ControlError> {
        Ok(self.insert(row).await?.is_some())
    }

    async fn insert(&self, row: &RouteRow) -> Result<Option<Versioned<Route>>, ControlError> {
        row.target.check()?;
        let id = RouteId::of(&row.kind, &row.place);
        let key = self.core.route_key(&id);
        let batch = Batch::new().expect_absent(&key).put(&key, encode(row)?);
        let changed = vec![Change::Route(id.clone())];
        let version = self.core.commit(batch, changed).await?;
        Ok(version.map(|version| Versioned {
            value: Route {
                id,
                row: row.clone(),
            },
            version,
        }))
    }

    /// One page of all rows.
    ///
    /// # Errors
    /// [`ControlError::RoleForbidden`], [`ControlError::Unavailable`].
    pub async fn list(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<Page<Route>, ControlError> {
        operators_only(scope)?;
        self.page(page).await
    }

    async fn page(&self, page: &PageRequest) -> Result<Page<Route>, ControlError> {
        let partition = self.core.tenant(&TenantId::system(), "routes");
        let rows = self.core.page::<RouteRow>(&partition, page).await?;
        rows.try_map(|(_, row)| Ok(Route::of(row.value)))
    }

    /// One row.
    ///
    /// # Errors
    /// [`ControlError::RoleForbidden`], [`ControlError::Unavailable`].
    pub async fn find(
        &self,
        scope: &Scope,
        id: &RouteId,
    ) -> Result<Option<Versioned<Route>>, ControlError> {
        operators_only(scope)?;
        let row = self.core.get::<RouteRow>(&self.core.route_key(id)).await?;
        Ok(row.map(|row| row.map(Route::of)))
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] when there is one for the same place,
    /// [`ControlError::Invalid`] for an unknown tenant or a target over its limits.
    pub async fn create(
        &self,
        scope: &Scope,
        row: &RouteRow,
    ) -> Result<Versioned<Route>, ControlError> {
        operators_only(scope)?;
        if let Some(tenant) = &row.place.tenant {
            let tenant = self.core.tenant_key(tenant);
            let found = self.core.get::<StoredTenant>(&tenant).await?;
            found.ok_or_else(|| ControlError::invalid("/scope/tenant", "is no tenant"))?;
        }
        let route = self.insert(row).await?;
        route.ok_or(ControlError::Conflict("There is a row for this place."))
    }

    /// Sends a place elsewhere.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Stale`], [`ControlError::Invalid`].
    pub async fn replace(
        &self,
        scope: &Scope,
        id: &RouteId,
        target: &RouteTarget,
        precondition: &Precondition,
    ) -> Result<Versioned<Route>, ControlError> {
        operators_only(scope)?;
        target.check()?;
        let replace = |row| {
            let target = target.clone();
            Ok(RouteRow { target, ..row })
        };
        let changes = [Change::Route(id.clone())];
        let key = self.core.route_key(id);
        let updated = self
            .core
            .update(&key, precondition, &changes, replace)
            .await?;
        Ok(updated.map(Route::of))
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Stale`].
    pub async fn delete(
        &self,
        scope: &Scope,
        id: &RouteId,
        precondition: &Precondition,
    ) -> Result<(), ControlError> {
        operators_only(scope)?;
        settle!(self.try_delete(id, precondition))
    }

    async fn try_delete(
        &self,
        id: &RouteId,
        precondition: &Precondition,
    ) -> Result<Option<()>, ControlError> {
        let key = self.core.route_key(id);
        let read = self.core.get::<RouteRow>(&key).await?;
        let read = read.ok_or(ControlError::NotFound)?;
        check(precondition, read.version)?;
        let batch = Batch::new().expect_version(&key, read.version).delete(&key);
        let changed = vec![Change::Route(id.clone())];
        Ok(self.core.commit(batch, changed).await?.map(drop))
    }
}

impl Core {
    fn route_key(&self, id: &RouteId) -> DocKey {
        DocKey::new(&self.tenant(&TenantId::system(), "routes"), id.to_string())
    }
}
