//! What the guard must know and cannot know by itself; `control` implements it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{AppId, Env, ProjectId, Role, SessionId, SurfaceId, TenantId, Timestamp, UserId};

/// The directory could not answer; the guard then refuses with 503 and never allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the directory is unavailable: {0}")]
pub struct DirectoryUnavailable(pub String);

/// Whose standing is asked for, and where.
#[derive(Debug, Clone, Copy)]
pub struct StandingQuery<'a> {
    /// The user of the token.
    pub user: &'a UserId,
    /// The session of the token, if its issuer is our own.
    pub session: Option<&'a SessionId>,
    /// The tenant that was selected.
    pub tenant: &'a TenantId,
    /// The project that was selected.
    pub project: &'a ProjectId,
    /// The surface, if one was selected.
    pub surface: Option<&'a SurfaceId>,
    /// The app, if one was selected.
    pub app: Option<&'a AppId>,
}

/// A user's place in a tenant that exists and is not suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// What the member may do.
    pub role: Role,
    /// The tenant's mode.
    pub mode: SmolStr,
}

/// What is known of a caller, at most five seconds old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether the session goes on; `true` when the query named none.
    pub session_live: bool,
    /// `None` when the tenant is unknown or suspended, or the user is not a
    /// member: the three cannot be told apart.
    pub membership: Option<Membership>,
    /// Whether the project is one of the tenant's.
    pub project_known: bool,
    /// Whether the surface is one of the tenant's; `true` when the query named none.
    pub surface_known: bool,
    /// Whether the app is one of the tenant's; `true` when the query named none.
    pub app_known: bool,
}

/// Live memberships, sessions and projects.
///
/// Laws:
/// 1. An answer is at most 5 s old, whatever happens to invalidations.
/// 2. A change made through the same directory is seen at once.
/// 3. Failure is an error, never a permissive answer.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The caller's standing.
    async fn standing(&self, query: StandingQuery<'_>) -> Result<Standing, DirectoryUnavailable>;
    /// Whether the session of a user goes on.
    async fn session_live(
        &self,
        user: &UserId,
        session: &SessionId,
    ) -> Result<bool, DirectoryUnavailable>;
}

/// What a stream ticket stands for: a whole context, one stream, one origin. It is stored as it is written here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketGrant {
    /// The user to whom it was given.
    pub user: UserId,
    /// The session from which it was asked for.
    pub session: Option<SessionId>,
    /// The tenant.
    pub tenant: TenantId,
    /// The environment.
    pub env: Env,
    /// The project.
    pub project: ProjectId,
    /// The surface, if one was selected.
    pub surface: Option<SurfaceId>,
    /// The app, if one was selected.
    pub app: Option<AppId>,
    /// The rail of the one stream that it opens.
    pub rail: SmolStr,
    /// The thread or canvas of that stream.
    pub object: SmolStr,
    /// The `Origin` from which it was asked for, if there was one.
    pub origin: Option<SmolStr>,
    /// When the ticket ends.
    pub expires_at: Timestamp,
    /// When the access token ended with which it was asked for.
    pub access_expires_at: Timestamp,
}

/// Single-use stream tickets; `realtime` implements it over documents, and engines may.
///
/// Laws:
/// 1. `consume` returns `true` once per ticket, however many callers race, on all nodes.
/// 2. An ended ticket is unknown.
/// 3. A ticket cannot be guessed: 256 bits of chance, of which the office keeps a hash alone.
#[async_trait]
pub trait TicketOffice: Send + Sync {
    /// A new ticket for `grant`, good until its `expires_at`.
    async fn grant(&self, grant: &TicketGrant) -> Result<String, DirectoryUnavailable>;
    /// What `ticket` stands for, or `None` when it is unknown, used or ended.
    async fn peek(&self, ticket: &str) -> Result<Option<TicketGrant>, DirectoryUnavailable>;
    /// Uses the ticket up; `false` when someone else did.
    async fn consume(&self, ticket: &str) -> Result<bool, DirectoryUnavailable>;
}
