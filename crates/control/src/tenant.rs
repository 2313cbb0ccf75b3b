//! Tenants, as operators see them.

use std::sync::Arc;

use identity::{Precondition, ProjectId, Scope, SystemAuthority, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Batch, Page, PageRequest, Versioned};

use crate::{
    Change, ControlError, Email, ModeId, Name, SIGNUP_MODE,
    invitation::Invitation,
    records::{Core, check, encode, settle},
};

/// Whether a tenant's members may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub enum TenantState {
    /// They may.
    Active,
    /// To everyone but operators the tenant is as good as unknown.
    Suspended,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: Name,
    /// Its mode.
    pub mode: ModeId,
    /// Whether its members may act.
    pub state: TenantState,
    /// The project that it cannot do without.
    pub default_project: ProjectId,
    /// When it was founded.
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredTenant {
    pub(crate) name: Name,
    pub(crate) mode: ModeId,
    pub(crate) state: TenantState,
    pub(crate) default_project: ProjectId,
    pub(crate) created_at: Timestamp,
}

impl StoredTenant {
    pub(crate) fn with_id(self, id: TenantId) -> Tenant {
        Tenant {
            id,
            name: self.name,
            mode: self.mode,
            state: self.state,
            default_project: self.default_project,
            created_at: self.created_at,
        }
    }
}

/// What operators may change of a tenant; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct TenantChange {
    /// Its name.
    pub name: Option<Name>,
    /// Its mode.
    pub mode: Option<ModeId>,
    /// Its state.
    pub state: Option<TenantState>,
}

/// All tenants; for operators, who prove themselves by a scope of `t_system`.
pub struct Tenants {
    core: Arc<Core>,
}

impl Tenants {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// One page of all tenants.
    ///
    /// # Errors
    /// [`ControlError::RoleForbidden`], [`ControlError::Unavailable`].
    pub async fn list(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<Page<Tenant>, ControlError> {
        operators_only(scope)?;
        let partition = self.core.system("tenants");
        let stored = self.core.page::<StoredTenant>(&partition, page).await?;
        stored.try_map(|(id, stored)| {
            let id = id
                .parse()
                .map_err(|_| ControlError::Internal(format!("a tenant has the id {id}")))?;
            Ok(stored.value.with_id(id))
        })
    }

    /// The ids of one page of all tenants, for the commands of the server.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn ids(
        &self,
        _: &SystemAuthority,
        page: &PageRequest,
    ) -> Result<Page<TenantId>, ControlError> {
        let partition = self.core.system("tenants");
        let stored = self.core.page::<StoredTenant>(&partition, page).await?;
        stored.try_map(|(id, _)| {
            let named = id.parse();
            named.map_err(|_| ControlError::Internal(format!("a tenant has the id {id}")))
        })
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`ControlError::RoleForbidden`], [`ControlError::Unavailable`].
    pub async fn find(
        &self,
        scope: &Scope,
        id: &TenantId,
    ) -> Result<Option<Versioned<Tenant>>, ControlError> {
        operators_only(scope)?;
        let stored = self
            .core
            .get::<StoredTenant>(&self.core.tenant_key(id))
            .await?;
        Ok(stored.map(|stored| stored.map(|stored| stored.with_id(id.clone()))))
    }

    /// Founds a tenant. Its owner is the user with `owner_email`, who is invited
    /// if there is none yet; without an email it is the calling operator.
    ///
    /// # Errors
    /// [`ControlError::Invalid`] for an unknown mode.
    pub async fn create(
        &self,
        scope: &Scope,
        name: Name,
        mode: Option<ModeId>,
        owner_email: Option<Email>,
    ) -> Result<Versioned<Tenant>, ControlError> {
        operators_only(scope)?;
        let (mode, owner) = (mode.unwrap_or(SIGNUP_MODE), owner_email.as_ref());
        settle!(self.try_create(scope, &name, &mode, owner))
    }

    async fn try_create(
        &self,
        scope: &Scope,
        name: &Name,
        mode: &ModeId,
        owner: Option<&Email>,
    ) -> Result<Option<Versioned<Tenant>>, ControlError> {
        let core = &self.core;
        let id = TenantId::generate(&*core.entropy);
        let founding = core.founding(id.clone(), name.clone(), mode.clone());
        let batch = core.found(Batch::new(), &founding).await?;
        let known = match owner {
            Some(email) => core.user_by_email(email).await?.map(|(user, _)| user),
            None => Some(scope.user().clone()),
        };
        let batch = match (&known, owner) {
            (None, Some(email)) => {
                let batch = core.first_owner(batch, &id, None)?;
                core.invite(batch, &Invitation::owner(&id, email, core.now()))
                    .await?
            }
            (user, email) => {
                core.first_owner(batch, &id, user.as_ref().map(|user| (user, email)))?
            }
        };
        let mut changes = vec![Change::Tenant(id.clone())];
        changes.extend(known.map(|user| Change::Member(id.clone(), user)));
        let Some(version) = core.commit(batch, changes).await? else {
            return Ok(None);
        };
        let stored = core.get::<StoredTenant>(&core.tenant_key(&id)).await?;
        let value = stored
            .ok_or_else(ControlError::contended)?
            .value
            .with_id(id);
        Ok(Some(Versioned { value, version }))
    }

    /// Changes a tenant. A suspended one has no members, as far as anyone can tell.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] when `t_system` would be suspended,
    /// [`ControlError::NotFound`], [`ControlError::Stale`], [`ControlError::Invalid`].
    pub async fn change(
        &self,
        scope: &Scope,
        id: &TenantId,
        change: &TenantChange,
        precondition: &Precondition,
    ) -> Result<Versioned<Tenant>, ControlError> {
        operators_only(scope)?;
        if id.is_system() && change.state == Some(TenantState::Suspended) {
            return Err(ControlError::Conflict("t_system cannot be suspended."));
        }
        settle!(self.try_change(id, change, precondition))
    }

    async fn try_change(
        &self,
        id: &TenantId,
        change: &TenantChange,
        precondition: &Precondition,
    ) -> Result<Option<Versioned<Tenant>>, ControlError> {
        let core = &self.core;
        let key = core.tenant_key(id);
        let read = core.get::<StoredTenant>(&key).await?;
        let read = read.ok_or(ControlError::NotFound)?;
        check(precondition, read.version)?;
        let mut stored = read.value;
        let mut batch = Batch::new().expect_version(&key, read.version);
        if let Some(mode) = change.mode.as_ref().filter(|mode| **mode != stored.mode) {
            batch = batch.delete(&core.mode_use_key(&stored.mode, id));
            batch = core.take_mode(batch, mode, id).await?;
            stored.mode = mode.clone();
        }
        if let Some(name) = &change.name {
            stored.name = name.clone();
        }
        stored.state = change.state.unwrap_or(stored.state);
        let batch = batch.put(&key, encode(&stored)?);
        let version = core.commit(batch, vec![Change::Tenant(id.clone())]).await?;
        Ok(version.map(|version| Versioned {
            value: stored.with_id(id.clone()),
            version,
        }))
    }
}

/// Refuses whoever is no operator.
///
/// The routes say so too, in their actions; a service does not rely on its caller.
pub(crate) fn operators_only(scope: &Scope) -> Result<(), ControlError> {
    if scope.tenant().is_system() && scope.auth().role() >= identity::Role::Admin {
        Ok(())
    } else {
        Err(ControlError::RoleForbidden)
    }
}
