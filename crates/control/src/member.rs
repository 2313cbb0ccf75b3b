//! Members of a tenant: who may change whom.
//!
//! **Invariants:**
//! - a tenant that has an owner keeps one: the number of owners is a record of
//!   its own, and every change of it expects its state;
//! - who changes members still has the role for it when the change commits: the
//!   batch expects the state of the actor's own membership.

use std::{fmt, str::FromStr, sync::Arc};

use identity::{ProjectId, Role, Scope, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::{Batch, DocKey, Listing};

use crate::{
    Change, ControlError, Email, InvitationId, Page, PageRequest, Precondition, Versioned,
    invitation::Invitation,
    records::{Core, encode, settle},
    tenant::{StoredTenant, TenantState},
    user::StoredUser,
};

/// Memberships that are shown to a user who has more.
const MEMBERSHIPS_SHOWN_MAX: usize = 200;

/// A membership or an invitation, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberRef {
    /// A member, by user.
    User(UserId),
    /// Someone invited.
    Invitation(InvitationId),
}

impl FromStr for MemberRef {
    type Err = ControlError;
    fn from_str(text: &str) -> Result<Self, ControlError> {
        match text.parse() {
            Ok(user) => Ok(Self::User(user)),
            Err(_) => text.parse().map(Self::Invitation),
        }
    }
}

impl fmt::Display for MemberRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Invitation(id) => id.fmt(f),
        }
    }
}

/// A member, or someone invited to become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// By which it is changed and removed.
    pub id: MemberRef,
    /// The role, also of the invitation.
    pub role: Role,
    /// The address; `None` for users of outside issuers.
    pub email: Option<Email>,
    /// When it began.
    pub since: Timestamp,
    /// When an invitation ends; `None` for members.
    pub expires_at: Option<Timestamp>,
}

/// Who is to become a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invitee {
    /// Whoever has this address, now or when they sign up.
    Email(Email),
    /// This user, who may come from an outside issuer.
    User(UserId),
}

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

/// A row among the members of a tenant; an invitation if it ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredMember {
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) email: Option<Email>,
    pub(crate) since: Timestamp,
    #[serde(default)]
    pub(crate) expires_at: Option<Timestamp>,
}

impl StoredMember {
    fn with_id(self, id: MemberRef) -> Member {
        Member {
            id,
            role: self.role,
            email: self.email,
            since: self.since,
            expires_at: self.expires_at,
        }
    }
}

/// How many owners a tenant has.
#[derive(Serialize, Deserialize)]
pub(crate) struct Owners {
    pub(crate) count: u64,
}

/// Whether `actor` may turn the role `from` into `to`; `None` stands for no membership.
fn may_change(actor: Role, from: Option<Role>, to: Option<Role>) -> bool {
    let touches_owner = [from, to].contains(&Some(Role::Owner));
    actor
        >= if touches_owner {
            Role::Owner
        } else {
            Role::Admin
        }
}

/// The members of tenants.
pub struct Members {
    core: Arc<Core>,
}

impl Members {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// One page of the tenant's members and invitations.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn list(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<Page<Member>, ControlError> {
        let partition = self.core.tenant(scope.tenant(), "members");
        let stored = self.core.page::<StoredMember>(&partition, page).await?;
        stored.try_map(|(id, stored)| Ok(stored.value.with_id(id.parse()?)))
    }

    /// One member or invitation of the tenant, or `None`.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn find(
        &self,
        scope: &Scope,
        id: &MemberRef,
    ) -> Result<Option<Versioned<Member>>, ControlError> {
        let key = self.core.row_key(scope.tenant(), id);
        let stored = self.core.get::<StoredMember>(&key).await?;
        Ok(stored.map(|stored| stored.map(|stored| stored.with_id(id.clone()))))
    }

    /// Makes someone a member, or invites them if nobody has their address yet.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] for members, [`ControlError::RoleForbidden`].
    pub async fn add(
        &self,
        scope: &Scope,
        invitee: &Invitee,
        role: Role,
    ) -> Result<Versioned<Member>, ControlError> {
        settle!(self.try_add(scope, invitee, role))
    }

    async fn try_add(
        &self,
        scope: &Scope,
        invitee: &Invitee,
        role: Role,
    ) -> Result<Option<Versioned<Member>>, ControlError> {
        let (id, email) = self.identify(invitee).await?;
        let key = self.core.row_key(scope.tenant(), &id);
        let row = self.core.get::<StoredMember>(&key).await?;
        let (actor, batch) = self.acting(scope, Batch::new()).await?;
        if !may_change(actor, row.as_ref().map(|row| row.value.role), Some(role)) {
            return Err(ControlError::RoleForbidden);
        }
        let member = match (&id, &email) {
            (MemberRef::User(_), _) if row.is_some() => {
                return Err(ControlError::Conflict("They are a member already."));
            }
            (MemberRef::Invitation(_), Some(email)) => {
                let invitation = Invitation::new(scope.tenant(), email, role, self.core.now());
                let batch = self.core.invite(batch, &invitation).await?;
                return self.finish(batch, scope, id, invitation.row).await;
            }
            _ => StoredMember {
                role,
                email,
                since: self.core.now(),
                expires_at: None,
            },
        };
        let batch = batch.expect_absent(&key);
        self.commit_row(batch, scope, id, None, member).await
    }

    /// The row that an invitee has or would have, and their address.
    async fn identify(
        &self,
        invitee: &Invitee,
    ) -> Result<(MemberRef, Option<Email>), ControlError> {
        match invitee {
            Invitee::Email(email) => {
                let known = self.core.user_by_email(email).await?;
                let id = match known {
                    Some((user, _)) => MemberRef::User(user),
                    None => MemberRef::Invitation(InvitationId::of(email)),
                };
                Ok((id, Some(email.clone())))
            }
            Invitee::User(user) => {
                let stored = self
                    .core
                    .get::<StoredUser>(&self.core.user_key(user))
                    .await?;
                let email = stored.map(|stored| stored.value.email);
                Ok((MemberRef::User(user.clone()), email))
            }
        }
    }

    /// Gives a member or an invitation another role.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Stale`],
    /// [`ControlError::RoleForbidden`], [`ControlError::LastOwner`].
    pub async fn set_role(
        &self,
        scope: &Scope,
        id: &MemberRef,
        role: Role,
        precondition: &Precondition,
    ) -> Result<Versioned<Member>, ControlError> {
        settle!(self.try_set_role(scope, id, role, precondition))
    }

    async fn try_set_role(
        &self,
        scope: &Scope,
        id: &MemberRef,
        role: Role,
        precondition: &Precondition,
    ) -> Result<Option<Versioned<Member>>, ControlError> {
        let (batch, actor, row) = self.begin(scope, id, precondition).await?;
        if !may_change(actor, Some(row.role), Some(role)) {
            return Err(ControlError::RoleForbidden);
        }
        if let (Some(_), Some(email)) = (row.expires_at, &row.email) {
            let invitation = Invitation::new(scope.tenant(), email, role, self.core.now());
            let batch = self.core.invite(batch, &invitation).await?;
            return self.finish(batch, scope, id.clone(), invitation.row).await;
        }
        let from = Some(row.role);
        let member = StoredMember { role, ..row };
        self.commit_row(batch, scope, id.clone(), from, member)
            .await
    }

    /// Removes a member or an invitation. Every member may remove themselves.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Stale`],
    /// [`ControlError::RoleForbidden`], [`ControlError::LastOwner`].
    pub async fn remove(
        &self,
        scope: &Scope,
        id: &MemberRef,
        precondition: &Precondition,
    ) -> Result<(), ControlError> {
        settle!(self.try_remove(scope, id, precondition))
    }

    async fn try_remove(
        &self,
        scope: &Scope,
        id: &MemberRef,
        precondition: &Precondition,
    ) -> Result<Option<()>, ControlError> {
        let (batch, actor, row) = self.begin(scope, id, precondition).await?;
        let leaves = matches!(id, MemberRef::User(user) if user == scope.user());
        if !leaves && !may_change(actor, Some(row.role), None) {
            return Err(ControlError::RoleForbidden);
        }
        let tenant = scope.tenant();
        let (batch, changes) = match (id, &row.email) {
            (MemberRef::User(user), _) => {
                let batch = self
                    .core
                    .count_owners(batch, tenant, Some(row.role), None)
                    .await?
                    .delete(&self.core.member_key(tenant, user))
                    .delete(&self.core.membership_key(user, tenant));
                (batch, vec![Change::Member(tenant.clone(), user.clone())])
            }
            (MemberRef::Invitation(_), Some(email)) => {
                (self.core.uninvite(batch, tenant, email).await?, Vec::new())
            }
            (MemberRef::Invitation(id), None) => {
                let why = format!("the invitation {id} has no address");
                return Err(ControlError::Internal(why));
            }
        };
        Ok(self.core.commit(batch, changes).await?.map(drop))
    }

    /// Reads the row and the actor, and expects both to stay as they are.
    async fn begin(
        &self,
        scope: &Scope,
        id: &MemberRef,
        precondition: &Precondition,
    ) -> Result<(Batch, Role, StoredMember), ControlError> {
        let key = self.core.row_key(scope.tenant(), id);
        let row = self.core.get::<StoredMember>(&key).await?;
        let row = row.ok_or(ControlError::NotFound)?;
        precondition.check(row.version)?;
        let batch = Batch::new().expect_version(&key, row.version);
        let (actor, batch) = self.acting(scope, batch).await?;
        Ok((batch, actor, row.value))
    }

    /// The actor's role as stored now; `batch` then expects that it stays.
    async fn acting(&self, scope: &Scope, batch: Batch) -> Result<(Role, Batch), ControlError> {
        let key = self.core.member_key(scope.tenant(), scope.user());
        let actor = self.core.get::<StoredMember>(&key).await?;
        let actor = actor.ok_or(ControlError::RoleForbidden)?;
        Ok((actor.value.role, batch.expect_version(&key, actor.version)))
    }

    /// Commits the row of a member whose role was `from`.
    async fn commit_row(
        &self,
        batch: Batch,
        scope: &Scope,
        id: MemberRef,
        from: Option<Role>,
        member: StoredMember,
    ) -> Result<Option<Versioned<Member>>, ControlError> {
        let core = &self.core;
        let to = Some(member.role);
        let mut batch = core.count_owners(batch, scope.tenant(), from, to).await?;
        if let MemberRef::User(user) = &id {
            batch = core.seat(batch, scope.tenant(), user, &member)?;
        }
        self.finish(batch, scope, id, member).await
    }

    async fn finish(
        &self,
        batch: Batch,
        scope: &Scope,
        id: MemberRef,
        row: StoredMember,
    ) -> Result<Option<Versioned<Member>>, ControlError> {
        let changes = match &id {
            MemberRef::User(user) => vec![Change::Member(scope.tenant().clone(), user.clone())],
            MemberRef::Invitation(_) => Vec::new(),
        };
        let version = self.core.commit(batch, changes).await?;
        Ok(version.map(|version| Versioned {
            value: row.with_id(id),
            version,
        }))
    }
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

    fn row_key(&self, tenant: &TenantId, id: &MemberRef) -> DocKey {
        match id {
            MemberRef::User(user) => self.member_key(tenant, user),
            MemberRef::Invitation(id) => self.invitation_key(tenant, id),
        }
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
            let stored: StoredMember = crate::records::decode(&partition, &row)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admins_manage_all_but_owners() {
        use Role::{Admin, Member, Owner, Viewer};
        for (actor, from, to, expect) in [
            (Admin, None, Some(Viewer), true),
            (Admin, Some(Admin), Some(Member), true),
            (Admin, Some(Viewer), Some(Admin), true),
            (Admin, None, Some(Owner), false),
            (Admin, Some(Owner), None, false),
            (Admin, Some(Owner), Some(Viewer), false),
            (Owner, Some(Owner), Some(Viewer), true),
            (Owner, None, Some(Owner), true),
            (Member, None, Some(Viewer), false),
            (Viewer, Some(Viewer), None, false),
        ] {
            assert_eq!(
                may_change(actor, from, to),
                expect,
                "{actor} {from:?} {to:?}"
            );
        }
    }
}
