//! How a tenant begins: all of its first records, in the one batch of whoever founds it.

use identity::{ProjectId, Role, TenantId, UserId};
use store::{Batch, DocKey};

use crate::{
    ControlError, Email, ModeId, Name,
    member::StoredMember,
    membership::Owners,
    named::{Projects, StoredNamed},
    records::{Core, encode},
    tenant::{StoredTenant, TenantState},
};

const DEFAULT_PROJECT: &str = "Default";

/// A tenant that a batch is about to found.
#[derive(Debug, Clone)]
pub(crate) struct Founding {
    pub(crate) tenant: TenantId,
    pub(crate) name: Name,
    pub(crate) mode: ModeId,
    pub(crate) project: ProjectId,
}

impl Founding {
    pub(crate) fn project_name() -> Result<Name, ControlError> {
        DEFAULT_PROJECT.parse()
    }
}

impl Core {
    pub(crate) fn founding(&self, tenant: TenantId, name: Name, mode: ModeId) -> Founding {
        Founding {
            tenant,
            name,
            mode,
            project: ProjectId::generate(&*self.entropy),
        }
    }

    /// Adds to `batch` the tenant, its mode and its default project.
    pub(crate) async fn found(
        &self,
        batch: Batch,
        founding: &Founding,
    ) -> Result<Batch, ControlError> {
        let tenant = StoredTenant {
            name: founding.name.clone(),
            mode: founding.mode.clone(),
            state: TenantState::Active,
            default_project: founding.project.clone(),
            created_at: self.now(),
        };
        let project = StoredNamed {
            name: Founding::project_name()?,
            created_at: self.now(),
        };
        let tenant_key = self.tenant_key(&founding.tenant);
        let project_key = self.named_key::<Projects>(&founding.tenant, &founding.project);
        let batch = batch
            .expect_absent(&tenant_key)
            .put(&tenant_key, encode(&tenant)?)
            .put(&project_key, encode(&project)?);
        self.take_mode(batch, &founding.mode, &founding.tenant)
            .await
    }

    /// Adds to `batch` the first owner, or a count of none.
    pub(crate) fn first_owner(
        &self,
        batch: Batch,
        tenant: &TenantId,
        owner: Option<(&UserId, Option<&Email>)>,
    ) -> Result<Batch, ControlError> {
        let owners = Owners {
            count: u64::from(owner.is_some()),
        };
        let batch = batch.put(&self.owners_key(tenant), encode(&owners)?);
        let Some((user, email)) = owner else {
            return Ok(batch);
        };
        let member = StoredMember {
            role: Role::Owner,
            email: email.cloned(),
            since: self.now(),
            expires_at: None,
        };
        self.seat(batch, tenant, user, &member)
    }

    pub(crate) fn tenant_key(&self, tenant: &TenantId) -> DocKey {
        DocKey::new(&self.system("tenants"), tenant.as_str())
    }
}
