//! Invitations of people who are no users yet; signing up turns them into memberships.
//!
//! An invitation is a row among the members of its tenant, and an entry in the
//! one record of all that an address is invited to. Signing up expects the
//! state of that record, so an invitation made meanwhile is not lost.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use identity::{Role, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Batch, DocKey, Versioned};

use crate::{
    Change, ControlError, Email,
    member::StoredMember,
    records::{Core, encode, expect_as_read},
};

/// How long an invitation stands.
pub const INVITATION_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Tenants that may invite one address at a time; signing up joins all in one batch.
const PER_EMAIL_MAX: usize = 50;
const PREFIX: &str = "i_";
const ID_HASH_BYTES: usize = 15;

/// Names an invitation within its tenant: `i_` and a hash of the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationId(String);

impl InvitationId {
    /// The one invitation that a tenant can have for an address.
    #[must_use]
    pub fn of(email: &Email) -> Self {
        let hash = Sha256::digest(email.as_str());
        let short = hash.get(..ID_HASH_BYTES).unwrap_or_default();
        Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(short)))
    }
}

impl FromStr for InvitationId {
    type Err = ControlError;
    fn from_str(text: &str) -> Result<Self, ControlError> {
        let hash = text.strip_prefix(PREFIX);
        let bytes = hash.and_then(|hash| BASE64_URL_SAFE_NO_PAD.decode(hash).ok());
        match bytes {
            Some(bytes) if bytes.len() == ID_HASH_BYTES => Ok(Self(text.to_owned())),
            _ => Err(ControlError::NotFound),
        }
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All that an address is invited to, by tenant.
#[derive(Default, Serialize, Deserialize)]
struct Invited {
    tenants: BTreeMap<TenantId, Invite>,
}

#[derive(Serialize, Deserialize)]
struct Invite {
    role: Role,
    expires_at: Timestamp,
}

/// An invitation that a batch is about to make.
pub(crate) struct Invitation<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) email: &'a Email,
    pub(crate) row: StoredMember,
}

impl<'a> Invitation<'a> {
    pub(crate) fn new(tenant: &'a TenantId, email: &'a Email, role: Role, now: Timestamp) -> Self {
        let row = StoredMember {
            role,
            email: Some(email.clone()),
            since: now,
            expires_at: Some(now.plus(INVITATION_LIFE)),
        };
        Self { tenant, email, row }
    }

    /// Invites the first owner of a tenant.
    pub(crate) fn owner(tenant: &'a TenantId, email: &'a Email, now: Timestamp) -> Self {
        Self::new(tenant, email, Role::Owner, now)
    }
}

impl Core {
    pub(crate) fn invitation_key(&self, tenant: &TenantId, id: &InvitationId) -> DocKey {
        DocKey::new(&self.tenant(tenant, "members"), id.to_string())
    }

    fn invited_key(&self, email: &Email) -> DocKey {
        DocKey::new(&self.system("invited"), email.as_str())
    }

    /// Adds an invitation to `batch`; demands that the address is nobody's still.
    pub(crate) async fn invite(
        &self,
        batch: Batch,
        invitation: &Invitation<'_>,
    ) -> Result<Batch, ControlError> {
        let Invitation { tenant, email, row } = invitation;
        let (mut invited, read) = self.invited(email).await?;
        let expires_at = row.expires_at.unwrap_or(row.since);
        let role = row.role;
        let invite = Invite { role, expires_at };
        invited.tenants.insert((*tenant).clone(), invite);
        if invited.tenants.len() > PER_EMAIL_MAX {
            return Err(ControlError::Conflict(
                "This address has too many invitations.",
            ));
        }
        let key = self.invited_key(email);
        let row_key = self.invitation_key(tenant, &InvitationId::of(email));
        Ok(expect_as_read(batch, &key, read.as_ref())
            .expect_absent(&self.email_key(email))
            .put(&key, encode(&invited)?)
            .put_until(&row_key, encode(row)?, expires_at))
    }

    /// Takes an invitation back in `batch`.
    pub(crate) async fn uninvite(
        &self,
        batch: Batch,
        tenant: &TenantId,
        email: &Email,
    ) -> Result<Batch, ControlError> {
        let (mut invited, read) = self.invited(email).await?;
        invited.tenants.remove(tenant);
        let key = self.invited_key(email);
        let batch = expect_as_read(batch, &key, read.as_ref());
        let row_key = self.invitation_key(tenant, &InvitationId::of(email));
        Ok(if invited.tenants.is_empty() {
            batch.delete(&key).delete(&row_key)
        } else {
            batch.put(&key, encode(&invited)?).delete(&row_key)
        })
    }

    /// Turns all invitations of `email` into memberships of the new `user`, in `batch`.
    pub(crate) async fn accept_invitations(
        &self,
        mut batch: Batch,
        email: &Email,
        user: &UserId,
    ) -> Result<(Batch, Vec<Change>), ControlError> {
        let (invited, read) = self.invited(email).await?;
        let key = self.invited_key(email);
        batch = expect_as_read(batch, &key, read.as_ref()).delete(&key);
        let mut changes = Vec::new();
        for (tenant, invite) in invited.tenants {
            let member = StoredMember {
                role: invite.role,
                email: Some(email.clone()),
                since: self.now(),
                expires_at: None,
            };
            batch = self.seat(batch, &tenant, user, &member)?;
            batch = batch.delete(&self.invitation_key(&tenant, &InvitationId::of(email)));
            batch = self
                .count_owners(batch, &tenant, None, Some(invite.role))
                .await?;
            changes.push(Change::Member(tenant, user.clone()));
        }
        Ok((batch, changes))
    }

    /// What an address is invited to now, and the record as it was read.
    async fn invited(
        &self,
        email: &Email,
    ) -> Result<(Invited, Option<Versioned<()>>), ControlError> {
        let Some(read) = self.get::<Invited>(&self.invited_key(email)).await? else {
            return Ok((Invited::default(), None));
        };
        let version = read.version;
        let mut invited = read.value;
        let now = self.now();
        invited.tenants.retain(|_, invite| invite.expires_at > now);
        Ok((invited, Some(Versioned { value: (), version })))
    }
}
