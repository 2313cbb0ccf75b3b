//! The control plane: who the tenants and their members are, and where their data lives.
//!
//! Start at [`Control`]. It signs people up and in ([`Accounts`], [`Sessions`]),
//! keeps [`Members`], [`NamedRecords`] (projects, surfaces, apps), [`Tenants`]
//! and [`Modes`], says which backend serves whom ([`Registry`]), resolves
//! [`Secrets`], and answers the guard's questions as an `identity::Directory`.
//! With the feature `http` (on by default) [`routes()`] mounts all of it.
//!
//! **Invariants:**
//! - every change is one batch of `store::Documents` whose expectations carry
//!   its rules, so they hold under races and on every node;
//! - only `t_system` is in code; tenants, modes and routes are data;
//! - no password, refresh token or secret is stored or printed in clear.

mod accounts;
mod bootstrap;
mod changes;
mod control;
mod directory;
mod email;
mod error;
mod founding;
mod fresh;
mod invitation;
mod member;
mod members;
mod membership;
mod mode;
mod name;
mod named;
mod password;
mod rate;
mod records;
mod registry;
#[cfg(feature = "http")]
mod routes;
mod secrets;
mod session;
mod tenant;
mod user;

pub use accounts::{Accounts, Profile, SignedUp, SignupRequest};
pub use bootstrap::{Bootstrap, Bootstrapped};
pub use changes::{Change, Invalidations};
pub use control::{Control, ControlConfig, ControlDeps};
pub use directory::LiveDirectory;
pub use email::Email;
pub use error::ControlError;
pub use fresh::FRESH_MAX;
pub use invitation::{INVITATION_LIFE, InvitationId};
pub use member::{Invitee, Member, MemberRef};
pub use members::Members;
pub use membership::Membership;
pub use mode::{Mode, ModeId, Modes, SIGNUP_MODE};
pub use name::Name;
pub use named::{Apps, NamedKind, NamedRecord, NamedRecords, Projects, Surfaces};
pub use password::{Password, PasswordCost};
pub use rate::Rate;
pub use registry::{
    Backend, BackendName, Breadth, CheckReport, Fingerprint, FormerTarget, Need, Registry,
    RegistryProblem, Resolved, ResourceKind, Route, RouteId, RouteOwner, RoutePlace, RouteRow,
    RouteTarget,
};
#[cfg(feature = "http")]
pub use routes::{openapi, routes};
pub use secrets::{InvalidSecretRef, SecretError, SecretRef, SecretValue, Secrets};
pub use session::{Sessions, TokenPair};
pub use tenant::{Tenant, TenantChange, TenantState, Tenants};
pub use user::User;
