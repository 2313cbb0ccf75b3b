//! Members of a tenant, and who may change whom.

use std::{fmt, str::FromStr};

use identity::{Role, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{ControlError, Email, InvitationId};

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
    pub(crate) fn with_id(self, id: MemberRef) -> Member {
        Member {
            id,
            role: self.role,
            email: self.email,
            since: self.since,
            expires_at: self.expires_at,
        }
    }
}

/// Whether `actor` may turn the role `from` into `to`; `None` stands for no membership.
pub(crate) fn may_change(actor: Role, from: Option<Role>, to: Option<Role>) -> bool {
    let touches_owner = [from, to].contains(&Some(Role::Owner));
    actor
        >= if touches_owner {
            Role::Owner
        } else {
            Role::Admin
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
