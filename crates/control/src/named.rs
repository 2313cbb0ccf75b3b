//! Projects, surfaces and apps: records of a tenant that have a name and little else.

use std::{fmt::Display, marker::PhantomData, str::FromStr, sync::Arc};

use identity::{AppId, Entropy, Precondition, ProjectId, Scope, SurfaceId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Batch, DocKey, Page, PageRequest, Versioned};

use crate::{
    Change, ControlError, Name,
    records::{Core, check, encode, settle},
    tenant::StoredTenant,
};

/// A kind of named record.
pub trait NamedKind: Send + Sync + 'static {
    /// Its ids.
    type Id: FromStr + Display + Clone + PartialEq + Send + Sync + 'static;
    /// What the kind is called in the store and in paths.
    const KIND: &'static str;
    /// A new id.
    fn generate(entropy: &dyn Entropy) -> Self::Id;
    /// Whether the tenant cannot do without this record.
    fn is_default(_: &Self::Id, _: &ProjectId) -> bool {
        false
    }
}

/// Projects; a tenant's default project cannot be deleted.
#[derive(Debug)]
pub enum Projects {}
/// Surfaces: where a product shows itself.
#[derive(Debug)]
pub enum Surfaces {}
/// Apps.
#[derive(Debug)]
pub enum Apps {}

impl NamedKind for Projects {
    type Id = ProjectId;
    const KIND: &'static str = "projects";
    fn generate(entropy: &dyn Entropy) -> ProjectId {
        ProjectId::generate(entropy)
    }
    fn is_default(id: &ProjectId, default: &ProjectId) -> bool {
        id == default
    }
}

impl NamedKind for Surfaces {
    type Id = SurfaceId;
    const KIND: &'static str = "surfaces";
    fn generate(entropy: &dyn Entropy) -> SurfaceId {
        SurfaceId::generate(entropy)
    }
}

impl NamedKind for Apps {
    type Id = AppId;
    const KIND: &'static str = "apps";
    fn generate(entropy: &dyn Entropy) -> AppId {
        AppId::generate(entropy)
    }
}

/// A project, surface or app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRecord<Id> {
    /// Its id.
    pub id: Id,
    /// Its name; two records may have the same.
    pub name: Name,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredNamed {
    pub(crate) name: Name,
    pub(crate) created_at: Timestamp,
}

impl StoredNamed {
    fn with_id<Id>(self, id: Id) -> NamedRecord<Id> {
        NamedRecord {
            id,
            name: self.name,
            created_at: self.created_at,
        }
    }
}

/// The records of one kind.
pub struct NamedRecords<K> {
    core: Arc<Core>,
    kind: PhantomData<fn() -> K>,
}

type Record<K> = NamedRecord<<K as NamedKind>::Id>;

impl<K: NamedKind> NamedRecords<K> {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            kind: PhantomData,
        }
    }

    /// One page of the tenant's records.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn list(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<Page<Record<K>>, ControlError> {
        let partition = self.core.tenant(scope.tenant(), K::KIND);
        let stored = self.core.page::<StoredNamed>(&partition, page).await?;
        stored.try_map(|(id, stored)| {
            let id = id
                .parse()
                .map_err(|_| ControlError::Internal(format!("{partition} holds the id {id}")))?;
            Ok(stored.value.with_id(id))
        })
    }

    /// One record of the tenant, or `None`, alike for foreign and unknown ids.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn find(
        &self,
        scope: &Scope,
        id: &K::Id,
    ) -> Result<Option<Versioned<Record<K>>>, ControlError> {
        let key = self.core.named_key::<K>(scope.tenant(), id);
        let stored = self.core.get::<StoredNamed>(&key).await?;
        Ok(stored.map(|stored| stored.map(|stored| stored.with_id(id.clone()))))
    }

    /// Makes a record.
    ///
    /// # Errors
    /// [`ControlError::Throttled`] when the tenant makes too many.
    pub async fn create(
        &self,
        scope: &Scope,
        name: Name,
    ) -> Result<Versioned<Record<K>>, ControlError> {
        self.core.take_create(scope).await?;
        let id = K::generate(&*self.core.entropy);
        let stored = StoredNamed {
            name,
            created_at: self.core.now(),
        };
        let key = self.core.named_key::<K>(scope.tenant(), &id);
        let batch = Batch::new().expect_absent(&key).put(&key, encode(&stored)?);
        let changed = vec![Change::Tenant(scope.tenant().clone())];
        // A generated id that exists is not worth another try.
        let version = self.core.commit(batch, changed).await?;
        let version = version.ok_or_else(ControlError::contended)?;
        Ok(Versioned {
            value: stored.with_id(id),
            version,
        })
    }

    /// Gives a record another name.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Stale`].
    pub async fn rename(
        &self,
        scope: &Scope,
        id: &K::Id,
        name: &Name,
        precondition: &Precondition,
    ) -> Result<Versioned<Record<K>>, ControlError> {
        let key = self.core.named_key::<K>(scope.tenant(), id);
        let rename = |stored| {
            let name = name.clone();
            Ok(StoredNamed { name, ..stored })
        };
        let updated = self.core.update(&key, precondition, &[], rename).await?;
        Ok(updated.map(|stored| stored.with_id(id.clone())))
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] for the default project,
    /// [`ControlError::NotFound`], [`ControlError::Stale`].
    pub async fn delete(
        &self,
        scope: &Scope,
        id: &K::Id,
        precondition: &Precondition,
    ) -> Result<(), ControlError> {
        settle!(self.try_delete(scope, id, precondition))
    }

    async fn try_delete(
        &self,
        scope: &Scope,
        id: &K::Id,
        precondition: &Precondition,
    ) -> Result<Option<()>, ControlError> {
        let key = self.core.named_key::<K>(scope.tenant(), id);
        let read = self.core.get::<StoredNamed>(&key).await?;
        let read = read.ok_or(ControlError::NotFound)?;
        check(precondition, read.version)?;
        let tenant_key = self.core.tenant_key(scope.tenant());
        let tenant = self.core.get::<StoredTenant>(&tenant_key).await?;
        if tenant.is_some_and(|tenant| K::is_default(id, &tenant.value.default_project)) {
            return Err(ControlError::Conflict(
                "The default project of a tenant cannot be deleted.",
            ));
        }
        let batch = Batch::new().expect_version(&key, read.version).delete(&key);
        let changed = vec![Change::Tenant(scope.tenant().clone())];
        Ok(self.core.commit(batch, changed).await?.map(drop))
    }
}

impl Core {
    pub(crate) fn named_key<K: NamedKind>(&self, tenant: &TenantId, id: &K::Id) -> DocKey {
        DocKey::new(&self.tenant(tenant, K::KIND), id.to_string())
    }
}
