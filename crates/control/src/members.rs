//! The members of a tenant and their changes.
//!
//! **Invariant:** who changes members still has the role for it when the change
//! commits: the batch expects the state of the actor's own membership.

use std::sync::Arc;

use identity::{Precondition, Role, Scope};
use store::{Batch, Page, PageRequest, Versioned};

use crate::{
    Change, ControlError, Email, InvitationId, Invitee, Member, MemberRef,
    invitation::Invitation,
    member::{StoredMember, may_change},
    records::{Core, check, settle},
    user::StoredUser,
};

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
    /// [`ControlError::Conflict`] for members, [`ControlError::RoleForbidden`],
    /// [`ControlError::Throttled`] when the tenant adds too many.
    pub async fn add(
        &self,
        scope: &Scope,
        invitee: &Invitee,
        role: Role,
    ) -> Result<Versioned<Member>, ControlError> {
        self.core.take_create(scope).await?;
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
        check(precondition, row.version)?;
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
