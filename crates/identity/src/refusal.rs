//! Why the guard refuses, in the contract's order, and the problem each becomes.

use crate::{Code, Problem};

/// The names of a context, wherever they appear in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextName {
    /// `X-Tenant-Id`, `tenant_id`.
    Tenant,
    /// `X-Env`, `env`.
    Env,
    /// `X-Project-Id`, `project_id`.
    Project,
    /// `X-Surface-Id`, `surface_id`.
    Surface,
    /// `X-App-Id`, `app_id`.
    App,
}

impl ContextName {
    /// All names, in the order in which they are checked.
    pub const ALL: [Self; 5] = [
        Self::Tenant,
        Self::Env,
        Self::Project,
        Self::Surface,
        Self::App,
    ];

    /// The header, in lower case.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Tenant => "x-tenant-id",
            Self::Env => "x-env",
            Self::Project => "x-project-id",
            Self::Surface => "x-surface-id",
            Self::App => "x-app-id",
        }
    }

    /// The name in a query, path or body.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Tenant => "tenant_id",
            Self::Env => "env",
            Self::Project => "project_id",
            Self::Surface => "surface_id",
            Self::App => "app_id",
        }
    }

    /// The name that `field` is, if it is one.
    #[must_use]
    pub fn from_field(field: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.field() == field)
    }
}

/// A decision against a request, before its body is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 1. No credential, or one that does not hold; `sent` says which.
    #[error("unauthenticated: {why}")]
    Unauthenticated {
        /// Whether a credential was sent.
        sent: bool,
        /// For the log alone.
        why: &'static str,
    },
    /// 2. A context header is missing.
    #[error("{} is missing", .0.header())]
    ContextMissing(ContextName),
    /// 2. A context header is malformed or given twice.
    #[error("{} is invalid", .0.header())]
    ContextInvalid(ContextName),
    /// 2. Query, path, body or ticket disagree with a header.
    #[error("{} names two contexts", .0.field())]
    ContextConflict(ContextName),
    /// 3. Unknown or suspended tenant, not a member, or another tenant's token.
    #[error("no access to the tenant")]
    TenantForbidden,
    /// 4. The project is not the tenant's.
    #[error("unknown project")]
    UnknownProject,
    /// 4. The surface is not the tenant's.
    #[error("unknown surface")]
    UnknownSurface,
    /// 4. The app is not the tenant's.
    #[error("unknown app")]
    UnknownApp,
    /// 5. The role lacks the action.
    #[error("the role lacks the action")]
    RoleForbidden,
    /// Something needed to decide is unavailable.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated { sent, .. } => unauthenticated(sent),
            Refusal::ContextMissing(name) => Self::new(
                Code::ContextMissing,
                format!("The header {} is required.", name.header()),
            ),
            Refusal::ContextInvalid(name) => Self::new(
                Code::ContextInvalid,
                format!(
                    "The header {} must be given once, in its form.",
                    name.header()
                ),
            ),
            Refusal::ContextConflict(name) => Self::new(
                Code::ContextConflict,
                format!("{} must agree wherever the request names it.", name.field()),
            ),
            Refusal::TenantForbidden => {
                Self::new(Code::TenantForbidden, "You have no access to this tenant.")
            }
            Refusal::UnknownProject => Self::new(
                Code::UnknownProject,
                "X-Project-Id names no project of this tenant.",
            ),
            Refusal::UnknownSurface => Self::new(
                Code::UnknownSurface,
                "X-Surface-Id names no surface of this tenant.",
            ),
            Refusal::UnknownApp => {
                Self::new(Code::UnknownApp, "X-App-Id names no app of this tenant.")
            }
            Refusal::RoleForbidden => Self::new(
                Code::RoleForbidden,
                "Your role in this tenant does not allow this.",
            ),
            Refusal::Unavailable(cause) => Self::unavailable(&cause),
        }
    }
}

fn unauthenticated(sent: bool) -> Problem {
    let (detail, challenge) = if sent {
        (
            "The credential is not valid, or not any more.",
            "Bearer error=\"invalid_token\"",
        )
    } else {
        ("Send Authorization: Bearer with an access token.", "Bearer")
    };
    Problem::new(Code::Unauthenticated, detail).with_header("www-authenticate", challenge)
}
