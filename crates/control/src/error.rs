//! What the control plane refuses, and the problem each refusal becomes.

use std::time::Duration;

use identity::{Code, Problem, Refusal};
use store::StoreError;

use crate::rate::Rate;

/// Why the control plane did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A value is not acceptable; a JSON pointer says which.
    #[error("{pointer}: {why}")]
    Invalid {
        /// Where, in the request's body.
        pointer: &'static str,
        /// Why, for people.
        why: String,
    },
    /// The credential does not hold; nothing says why.
    #[error("the credential does not hold")]
    Unauthenticated,
    /// A rate is used up.
    #[error("the rate {} is used up", .0.name)]
    Throttled(Rate, Duration),
    /// Too many passwords are checked at once; come back after this long.
    #[error("too many passwords at once")]
    Busy(Duration),
    /// The caller's role does not allow this.
    #[error("the role does not allow this")]
    RoleForbidden,
    /// There is no such record here.
    #[error("no such record")]
    NotFound,
    /// It contradicts what exists.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The tenant would be left without an owner.
    #[error("the tenant would have no owner")]
    LastOwner,
    /// Another operator was bootstrapped.
    #[error("bootstrapped for another operator")]
    AlreadyBootstrapped,
    /// The caller's version of the record is not the stored one.
    #[error("the record has changed")]
    Stale,
    /// No row of the routing registry covers this place.
    #[error("no route for {kind} in {tenant}/{env}")]
    RouteMissing {
        /// The kind of resource.
        kind: String,
        /// The tenant.
        tenant: String,
        /// The environment.
        env: String,
    },
    /// The store or another needed backend does not answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A fault of ours: stored data or a library contradicts what we rely on.
    #[error("internal: {0}")]
    Internal(String),
}

impl ControlError {
    /// A value at `pointer` is not acceptable.
    pub(crate) fn invalid(pointer: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid {
            pointer,
            why: why.into(),
        }
    }

    /// Others changed the same records again and again.
    pub(crate) fn contended() -> Self {
        Self::Unavailable("too many concurrent changes of the same records".to_owned())
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) | StoreError::ReadOnly(why) => Self::Unavailable(why),
            // A limit that a request can reach is checked before the store is asked.
            StoreError::Corrupt(why) | StoreError::Limit(why) => Self::Internal(why),
        }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Invalid { pointer, why } => Self::invalid(pointer, why),
            ControlError::Unauthenticated => Refusal::Unauthenticated {
                sent: true,
                why: "the control plane does not accept it",
            }
            .into(),
            ControlError::Throttled(rate, wait) => throttled(rate, wait),
            ControlError::Busy(wait) => Self::new(
                Code::Throttled,
                "Too many people sign in at once. Try again shortly.",
            )
            .retry_after(wait),
            ControlError::RoleForbidden => Refusal::RoleForbidden.into(),
            ControlError::NotFound => Self::not_found(),
            ControlError::Conflict(why) => Self::new(Code::Conflict, why),
            ControlError::LastOwner => Self::new(
                Code::LastOwner,
                "Make another member an owner first: this is the last one.",
            ),
            ControlError::AlreadyBootstrapped => Self::new(
                Code::AlreadyBootstrapped,
                "An operator exists already, and the request names another.",
            ),
            ControlError::Stale => Self::new(
                Code::PreconditionFailed,
                "The record is not in the state that If-Match names.",
            ),
            ControlError::RouteMissing { .. } | ControlError::Unavailable(_) => {
                Self::unavailable(&error)
            }
            ControlError::Internal(cause) => {
                tracing::error!(%cause, "the control plane failed");
                Self::new(
                    Code::Internal,
                    "The fault is ours; it was recorded under the request id.",
                )
            }
        }
    }
}

/// 429 with the fields of draft-ietf-httpapi-ratelimit-headers.
fn throttled(rate: Rate, wait: Duration) -> Problem {
    let Rate {
        name,
        times_max,
        window_s,
    } = rate;
    let reset_s = wait.as_millis().div_ceil(1000);
    Problem::new(Code::Throttled, format!("The rate \"{name}\" is used up."))
        .retry_after(wait)
        .with_header(
            "ratelimit-policy",
            format!("\"{name}\";q={times_max};w={window_s}"),
        )
        .with_header("ratelimit", format!("\"{name}\";r=0;t={reset_s}"))
}
