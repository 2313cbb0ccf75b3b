//! The routing registry: which backend serves a kind of resource, for whom.
//!
//! Rows are data of `t_system`. The ids of a tenant's rows, and of everyone's,
//! begin alike, so that they are read with one list however many rows there are,
//! and remembered together: a lookup asks those of the tenant, then those of
//! everyone. No row is a clear failure, never a guess.
//!
//! A row whose backend is `same_as` sends its place wherever the row of another
//! kind does: kinds that share batches move together, by one row.

mod backend;
mod check;
mod former;
mod need;
mod row;
mod rows;

use std::sync::Arc;

use identity::{Precondition, Scope, TenantId};
use store::{Batch, DocKey, Page, PageRequest, Versioned};

pub use backend::Backend;
pub use check::{CheckReport, RegistryProblem};
pub use former::FormerTarget;
pub use need::{Breadth, Need};
pub use row::{
    BackendName, Fingerprint, ResourceKind, Route, RouteId, RouteOwner, RoutePlace, RouteRow,
    RouteTarget,
};
pub use rows::Resolved;

use rows::Rows;

use crate::{
    Change, ControlError, Secrets,
    fresh::Fresh,
    records::{Core, check, decode, encode, expect_as_read, settle},
    tenant::{StoredTenant, operators_only},
};

/// Tenants whose rows are remembered, most of them none.
const OWNERS_MAX: usize = 64 * 1024;
/// Most pages of rows that one tenant, or everyone, may have.
const ROW_PAGES_MAX: usize = 4;

/// Which backend serves whom.
pub struct Registry {
    core: Arc<Core>,
    secrets: Arc<Secrets>,
    rows: Fresh<RouteOwner, Arc<Rows>, 1>,
}

impl Registry {
    pub(crate) fn new(core: Arc<Core>, secrets: Arc<Secrets>) -> Self {
        Self {
            rows: Fresh::new(Arc::clone(&core), OWNERS_MAX, |owner| {
                [Change::Routes(owner.clone())]
            }),
            core,
            secrets,
        }
    }

    /// Where a place of a kind is served: as the most exact row says, of those for the tenant
    /// and environment, then the tenant, then the environment, then everything; or as the
    /// row of the kind says that it is the same as.
    ///
    /// # Errors
    /// [`ControlError::RouteMissing`] when no row covers the place,
    /// [`ControlError::Unavailable`] also for a row that leads nowhere.
    pub async fn resolve(
        &self,
        kind: &ResourceKind,
        place: &RoutePlace,
    ) -> Result<Arc<Resolved>, ControlError> {
        let found = self.most_exact(kind, place).await?;
        let astray = |why| ControlError::Unavailable(format!("the route of {kind}: {why}"));
        let Some(leader) = found.target().leader().map_err(astray)? else {
            return Ok(found);
        };
        let found = self.most_exact(&leader, place).await?;
        match found.target().leader().map_err(astray)? {
            None => Ok(found),
            Some(further) => Err(astray(format!("{leader} is itself the same as {further}"))),
        }
    }

    async fn most_exact(
        &self,
        kind: &ResourceKind,
        place: &RoutePlace,
    ) -> Result<Arc<Resolved>, ControlError> {
        let own = match &place.tenant {
            Some(tenant) => self.rows_of(Some(tenant)).await?.find(kind, place.env),
            None => None,
        };
        if let Some(own) = own {
            return Ok(own);
        }
        let found = self.rows_of(None).await?.find(kind, place.env);
        found.ok_or_else(|| ControlError::RouteMissing {
            kind: kind.to_string(),
            tenant: place.tenant_text().to_owned(),
            env: place.env_text().to_owned(),
        })
    }

    async fn rows_of(&self, tenant: Option<&TenantId>) -> Result<Arc<Rows>, ControlError> {
        let (owner, now) = (RouteOwner::of(tenant), self.core.now());
        self.rows
            .get(&owner, now, || self.load(&owner, tenant))
            .await
    }

    async fn load(
        &self,
        owner: &RouteOwner,
        tenant: Option<&TenantId>,
    ) -> Result<Arc<Rows>, ControlError> {
        let partition = self.core.tenant(&TenantId::system(), "routes");
        let (mut rows, mut next) = (Rows::default(), Some(PageRequest::largest()));
        for _ in 0..ROW_PAGES_MAX {
            let Some(request) = next else {
                return Ok(Arc::new(rows));
            };
            let page = request.read_prefixed(&*self.core.documents, &partition, owner.as_str());
            let page = page.await?;
            for document in &page.items {
                let row: RouteRow = decode(&partition, document)?;
                // Two tenants whose hashes are the same do not get each other's rows.
                if row.place.tenant.as_ref() == tenant {
                    rows.add(row);
                }
            }
            next = request.following(&page);
        }
        Err(ControlError::Internal(
            "a tenant has too many routes".to_owned(),
        ))
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

    /// The row for a place itself, as an operator's command changes it.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn row(
        &self,
        kind: &ResourceKind,
        place: &RoutePlace,
    ) -> Result<Option<Versioned<RouteRow>>, ControlError> {
        let key = self.core.route_key(&RouteId::of(kind, place));
        self.core.get(&key).await
    }

    /// Puts a row in the place of the one that was `read`, or where none was.
    ///
    /// For the commands of the server, whose callers have the store itself.
    ///
    /// # Errors
    /// [`ControlError::Stale`] when it is not as it was read any more, [`ControlError::Invalid`].
    pub async fn store(
        &self,
        row: &RouteRow,
        read: Option<&Versioned<RouteRow>>,
    ) -> Result<(), ControlError> {
        row.target.check()?;
        let id = RouteId::of(&row.kind, &row.place);
        let key = self.core.route_key(&id);
        let batch = expect_as_read(Batch::new(), &key, read).put(&key, encode(row)?);
        let stored = self
            .core
            .commit(batch, vec![Change::Routes(id.owner())])
            .await?;
        stored.map(drop).ok_or(ControlError::Stale)
    }

    /// Takes away the row that was `read`.
    ///
    /// # Errors
    /// [`ControlError::Stale`] when it is not as it was read any more.
    pub async fn remove(&self, read: &Versioned<RouteRow>) -> Result<(), ControlError> {
        let id = RouteId::of(&read.value.kind, &read.value.place);
        let key = self.core.route_key(&id);
        let batch = Batch::new().expect_version(&key, read.version).delete(&key);
        let removed = self.core.commit(batch, vec![Change::Routes(id.owner())]);
        removed.await?.map(drop).ok_or(ControlError::Stale)
    }

    async fn insert(&self, row: &RouteRow) -> Result<Option<Versioned<Route>>, ControlError> {
        row.target.check()?;
        let id = RouteId::of(&row.kind, &row.place);
        let key = self.core.route_key(&id);
        let batch = Batch::new().expect_absent(&key).put(&key, encode(row)?);
        let changed = vec![Change::Routes(id.owner())];
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
        self.rows(page).await
    }

    /// The same, for the commands of the server.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn rows(&self, page: &PageRequest) -> Result<Page<Route>, ControlError> {
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
        let changes = [Change::Routes(id.owner())];
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
        let changed = vec![Change::Routes(id.owner())];
        Ok(self.core.commit(batch, changed).await?.map(drop))
    }
}

impl Core {
    fn route_key(&self, id: &RouteId) -> DocKey {
        DocKey::new(&self.tenant(&TenantId::system(), "routes"), id.to_string())
    }
}
