//! What this crate refuses, and the problem each refusal becomes.

use identity::{Code, DirectoryUnavailable, Problem, Refusal};
use store::StoreError;

/// Why a preference was not read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivacyError {
    /// The caller's role does not allow this.
    #[error("the role does not allow this")]
    RoleForbidden,
    /// There is no such member here.
    #[error("no such member")]
    NotFound,
    /// The caller's version of the preference is not the stored one.
    #[error("the preference has changed")]
    Stale,
    /// The store or the directory does not answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A fault of ours: stored data contradicts what we rely on.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<StoreError> for PrivacyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) | StoreError::ReadOnly(why) => Self::Unavailable(why),
            StoreError::Corrupt(why) | StoreError::Limit(why) => Self::Internal(why),
        }
    }
}

impl From<DirectoryUnavailable> for PrivacyError {
    fn from(error: DirectoryUnavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<PrivacyError> for Problem {
    fn from(error: PrivacyError) -> Self {
        match error {
            PrivacyError::RoleForbidden => Refusal::RoleForbidden.into(),
            PrivacyError::NotFound => Self::not_found(),
            PrivacyError::Stale => Self::new(
                Code::PreconditionFailed,
                "The preference is not in the state that If-Match names.",
            ),
            PrivacyError::Unavailable(_) => Self::unavailable(&error),
            PrivacyError::Internal(cause) => {
                tracing::error!(%cause, "a preference cannot be handled");
                Self::new(
                    Code::Internal,
                    "The fault is ours; it was recorded under the request id.",
                )
            }
        }
    }
}
