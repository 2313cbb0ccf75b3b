//! What this crate refuses.

use store::StoreError;

use crate::{Invalid, Unevaluated};

/// Why a flag was not evaluated, read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagsError {
    /// The caller's role does not allow this.
    #[error("the role does not allow this")]
    RoleForbidden,
    /// This layer has no such flag.
    #[error("no such flag")]
    NotFound,
    /// The caller's version of the flag is not the stored one.
    #[error("the flag has changed")]
    Stale,
    /// The system's flag leaves nothing to tenants.
    #[error("the flag is locked for tenants")]
    Locked,
    /// The definition is no flag, or does not fit to others.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The definition is too large.
    #[error("the definition is too large")]
    TooLarge,
    /// The layer holds no more flags.
    #[error("the layer is full")]
    Full,
    /// The flag has no value; the caller's default applies.
    #[error(transparent)]
    Unevaluated(#[from] Unevaluated),
    /// The store does not answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A fault of ours: stored data contradicts what we rely on.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<StoreError> for FlagsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) | StoreError::ReadOnly(why) => Self::Unavailable(why),
            StoreError::Corrupt(why) | StoreError::Limit(why) => Self::Internal(why),
        }
    }
}

impl From<serde_json::Error> for FlagsError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}
