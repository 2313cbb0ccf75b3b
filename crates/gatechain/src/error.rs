//! What this crate refuses beside what its gates refuse, and the problem each refusal becomes.

use std::time::Duration;

use identity::{Code, Problem};
use store::{CommitError, StoreError};

use crate::{ApprovalRefused, Database, rows::InvalidRow};

/// When a change is to be made again that did not reach every database.
const PENDING_RETRY: Duration = Duration::from_secs(1);

/// Why a row or an approval was not read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// There is no such row or approval.
    #[error("there is none of that id")]
    NotFound,
    /// It is not in the state that the caller named.
    #[error("it has changed")]
    Stale,
    /// It can be read, but is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidRow),
    /// There are as many as there may be.
    #[error("there are at most {0}")]
    Limit(&'static str),
    /// The approval does not take this.
    #[error(transparent)]
    Approval(#[from] ApprovalRefused),
    /// The change is made, and these databases were not reached with it. The same change may be made again.
    #[error("the change is made, but did not reach {}", names(.0))]
    Pending(Vec<Database>),
    /// The store does not answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A fault of ours, or stored data that is damaged.
    #[error("internal: {0}")]
    Internal(String),
}

/// How databases are told to who changed something: as the rows that name them do.
fn names(databases: &[Database]) -> String {
    let told = databases.iter().map(|database| database.told.to_string());
    told.collect::<Vec<_>>().join(", ")
}

impl GateError {
    pub(crate) fn contended() -> Self {
        Self::Unavailable("too many concurrent changes of the same rows".to_owned())
    }
}

impl From<StoreError> for GateError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) | StoreError::ReadOnly(why) => Self::Unavailable(why),
            StoreError::Corrupt(why) | StoreError::Limit(why) => Self::Internal(why),
        }
    }
}

/// `None` when others were first.
pub(crate) fn settled<T>(outcome: Result<T, CommitError>) -> Result<Option<T>, GateError> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(CommitError::Conflict(_)) => Ok(None),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

impl From<GateError> for Problem {
    fn from(error: GateError) -> Self {
        match error {
            GateError::NotFound => Self::not_found(),
            GateError::Stale => Self::new(
                Code::PreconditionFailed,
                "It is not in the state that If-Match names.",
            ),
            GateError::Invalid(invalid) => Self::invalid(invalid.pointer, invalid.why),
            GateError::Limit(most) => Self::new(Code::LimitReached, format!("At most {most}.")),
            GateError::Approval(ApprovalRefused::OwnRequest) => Self::new(
                Code::SelfApproval,
                "Nobody approves or rejects their own request.",
            ),
            GateError::Approval(refused) => Self::new(Code::Conflict, format!("{refused}.")),
            GateError::Unavailable(_) => Self::unavailable(&error),
            GateError::Pending(ref databases) => {
                let names = names(databases);
                let detail = format!(
                    "The change is made, but did not reach {names}: writes there that are under way may still \
                     end by the old rows. Repeat the request until it is answered otherwise."
                );
                Self::new(Code::BackendUnavailable, detail).retry_after(PENDING_RETRY)
            }
            GateError::Internal(cause) => {
                tracing::error!(%cause, "the state of the gates cannot be handled");
                Self::new(
                    Code::Internal,
                    "The fault is ours; it was recorded under the request id.",
                )
            }
        }
    }
}
