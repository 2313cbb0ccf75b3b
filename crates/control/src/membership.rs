//! Memberships as stored: found from the tenant and from the user, owners counted.
//!
//! **Invariant:** a tenant that has an owner keeps one: the number of owners is
//! a record of its own, and every change of it expects its state.

use identity::{ProjectId, Role, TenantId, UserId};
use serde::{Deserialize, Serialize};
use store::{Batch, DocKey, Listing};

use crate::{
    ControlError, MemberRef,
    member::StoredMember,
    records::{Core, decode, encode},
    tenant::{StoredTenant, TenantState},
};

/// Memberships that are shown to a user who has more.
const MEMBERSHIPS_SHOWN_MAX: usize = 200;

/// One of a user's tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The tenant.
    pub tenant: TenantId,
    /// The user's role there.
    pub role: Role,
    /// The project to begin with.
    pub default_project: ProjectId,
}

/// How many owners a tenant has.
#[derive(Serialize, Deserialize)]
pub(crate) struct Owners {
    pub(crate) count: u64,
}

impl Core {
    pub(crate) fn member_key(&self, tenant: &TenantId, user: &UserId) -> DocKey {
        DocKey::new(&self.tenant(tenant, "members"), user.as_str())
    }

    pub(crate) fn membership_key(&self, user: &UserId, tenant: &TenantId) -> DocKey {
        DocKey::new(&self.system("memberships"), format!("{user} {tenant}"))
    }

    pub(crate) fn owners_key(&self, tenant: &TenantId) -> DocKey {
        DocKey::new(&self.tenant(tenant, "ownership"), "owners")
    }

    pub(crate) fn row_key(&self, tenant: &TenantId, id: &MemberRef) -> DocKey {
        match id {
            MemberRef::User(user) => self.member_key(tenant, user),
            MemberRef::Invitation(id) => self.invitation_key(tenant, id),
        }
    }

    /// Adds to `batch` a membership, so that it is found from the tenant and from the user.
    pub(crate) fn seat(
        &self,
        batch: Batch,
        tenant: &TenantId,
        user: &UserId,
        member: &StoredMember,
    ) -> Result<Batch, ControlError> {
        let value = encode(member)?;
        Ok(batch
            .put(&self.member_key(tenant, user), value.clone())
            .put(&self.membership_key(user, tenant), value))
    }

    /// Counts in `batch` that a role `from` becomes `to`; the last owner stays one.
    pub(crate) async fn count_owners(
        &self,
        batch: Batch,
        tenant: &TenantId,
        from: Option<Role>,
        to: Option<Role>,
    ) -> Result<Batch, ControlError> {
        let was = from == Some(Role::Owner);
        let becomes = to == Some(Role::Owner);
        if was == becomes {
            return Ok(batch);
        }
        let key = self.owners_key(tenant);
        let read = self.get::<Owners>(&key).await?;
        let read =
            read.ok_or_else(|| ControlError::Internal(format!("{tenant} has no count of owners")))?;
        let count = match (becomes, read.value.count) {
            (true, count) => count + 1,
            (false, ..=1) => return Err(ControlError::LastOwner),
            (false, count) => count - 1,
        };
        Ok(batch
            .expect_version(&key, read.version)
            .put(&key, encode(&Owners { count })?))
    }

    /// The tenants in which `user` may act, without suspended ones.
    pub(crate) async fn memberships(&self, user: &UserId) -> Result<Vec<Membership>, ControlError> {
        let prefix = format!("{user} ");
        let listing = Listing {
            prefix: prefix.clone(),
            after: None,
            limit: MEMBERSHIPS_SHOWN_MAX,
        };
        let partition = self.system("memberships");
        let rows = self.documents.list(&partition, &listing).await?;
        let mut memberships = Vec::with_capacity(rows.len());
        for row in rows {
            let tenant = row.id.strip_prefix(&prefix).and_then(|id| id.parse().ok());
            let tenant: TenantId =
                tenant.ok_or_else(|| ControlError::Internal(format!("{partition} {}", row.id)))?;
            let stored: StoredMember = decode(&partition, &row)?;
            let found = self.get::<StoredTenant>(&self.tenant_key(&tenant)).await?;
            let active = found.filter(|found| found.value.state == TenantState::Active);
            memberships.extend(active.map(|active| Membership {
                tenant,
                role: stored.role,
                default_project: active.value.default_project,
            }));
        }
        Ok(memberships)
    }
}
