//! Users: one person, in all of their tenants.

use identity::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::{DocKey, Versioned};

use crate::{ControlError, Email, records::Core};

/// A user who signs in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The address by which they sign in; `None` for users of outside issuers.
    pub email: Option<Email>,
}

/// A user as stored, by id.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredUser {
    pub(crate) email: Email,
    /// Argon2id, in PHC form.
    pub(crate) password: String,
    pub(crate) created_at: Timestamp,
}

/// Who has an address, by email.
#[derive(Serialize, Deserialize)]
pub(crate) struct EmailClaim {
    pub(crate) user: UserId,
}

impl Core {
    pub(crate) fn user_key(&self, user: &UserId) -> DocKey {
        DocKey::new(&self.system("users"), user.as_str())
    }

    pub(crate) fn email_key(&self, email: &Email) -> DocKey {
        DocKey::new(&self.system("emails"), email.as_str())
    }

    /// The user with this address.
    pub(crate) async fn user_by_email(
        &self,
        email: &Email,
    ) -> Result<Option<(UserId, StoredUser)>, ControlError> {
        let Some(claim) = self.get::<EmailClaim>(&self.email_key(email)).await? else {
            return Ok(None);
        };
        let id = claim.value.user;
        let user = self.get::<StoredUser>(&self.user_key(&id)).await?;
        let Versioned { value, .. } = user.ok_or_else(|| {
            ControlError::Internal(format!("the address of {id} is claimed, but not stored"))
        })?;
        Ok(Some((id, value)))
    }
}
