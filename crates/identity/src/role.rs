//! Roles of a member, and the actions that need them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a member may do in a tenant; each role includes those below it.
///
/// Members of `t_system` who are `owner` or `admin` are the operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes.
    Member,
    /// Manages members and settings.
    Admin,
    /// Everything; a tenant always has one.
    Owner,
}

impl Role {
    /// The role's name, as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// A text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role: use owner, admin, member or viewer")]
pub struct InvalidRole;

impl FromStr for Role {
    type Err = InvalidRole;
    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        [Self::Viewer, Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(InvalidRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an action may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// In any tenant of which the caller is a member.
    Tenant,
    /// In `t_system` alone: operators' work.
    System,
}

/// Something a caller can ask to do: a name for the record, and the role it needs.
///
/// Declare one with [`action!`](crate::action).
pub trait Action: Send + Sync + 'static {
    /// Dotted name, such as `chat.message.post`; it appears in logs and audit records.
    const NAME: &'static str;
    /// The least role that may do it.
    const ROLE: Role;
    /// Where it may be done.
    const REALM: Realm = Realm::Tenant;
    /// Whether one event after the deed is its whole record.
    ///
    /// By default an intent is made durable before the deed as well. Without it a
    /// crash between deed and record leaves none, so this is for deeds that
    /// are themselves durable events that name who, what and the request.
    const OUTCOME_ONLY: bool = false;
    /// Whether it changes nothing, whatever its method says.
    ///
    /// For questions that are sent as a `POST` because they have a body: an evaluation, a
    /// search. Like a `GET`, they are on record only when they are refused.
    const READ_ONLY: bool = false;
}

/// Something that who has signed in does to their own account, in no tenant.
///
/// Declare one with [`account_action!`](crate::account_action).
pub trait AccountAction: 'static {
    /// Dotted name, such as `auth.logout`; it appears in audit records.
    const NAME: &'static str;
}

/// Declares an [`AccountAction`](crate::AccountAction): `account_action!(LogOut, "auth.logout");`.
#[macro_export]
macro_rules! account_action {
    ($(#[$doc:meta])* $name:ident, $text:literal) => {
        $(#[$doc])*
        #[doc = concat!("The action `", $text, "`.")]
        #[derive(Debug)]
        pub enum $name {}
        impl $crate::AccountAction for $name {
            const NAME: &'static str = $text;
        }
    };
}

/// Declares an [`Action`](crate::Action): `action!(PostMessage, "chat.message.post", Member);`,
/// or, for operators alone, `action!(ListTenants, "control.tenant.list", Admin, System);`.
#[macro_export]
macro_rules! action {
    ($(#[$doc:meta])* $name:ident, $text:literal, $role:ident) => {
        $crate::action!($(#[$doc])* $name, $text, $role, Tenant);
    };
    ($(#[$doc:meta])* $name:ident, $text:literal, $role:ident, $realm:ident) => {
        $(#[$doc])*
        #[doc = concat!("The action `", $text, "`.")]
        #[derive(Debug)]
        pub enum $name {}
        impl $crate::Action for $name {
            const NAME: &'static str = $text;
            const ROLE: $crate::Role = $crate::Role::$role;
            const REALM: $crate::Realm = $crate::Realm::$realm;
        }
    };
}
