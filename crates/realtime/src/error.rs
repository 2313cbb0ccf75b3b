//! What can go wrong, and the problem each becomes.

use std::time::Duration;

use identity::{Code, Problem};
use store::{AppendError, CommitError, Quota, StoreError, Verdict};

use crate::InvalidMessage;

/// A stream that was refused may be opened again after this long.
pub(crate) const CONNECT_RETRY: Duration = Duration::from_secs(5);

/// A rate is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// The rate, as named in `RateLimit-Policy`.
    pub policy: &'static str,
    /// What is allowed.
    pub quota: Quota,
    /// What is left, and when more comes.
    pub verdict: Verdict,
}

/// Why the realtime service refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RealtimeError {
    /// The thread is foreign, unknown or malformed: they cannot be told apart.
    #[error("no access to the thread")]
    ThreadAccessDenied,
    /// The thread exists with another title.
    #[error("the thread has another title")]
    TitleConflict,
    /// The canvas is foreign, unknown or malformed: they cannot be told apart.
    #[error("no access to the canvas")]
    CanvasAccessDenied,
    /// The canvas exists with another title.
    #[error("the canvas has another title")]
    CanvasTitleConflict,
    /// The message is none of the rail.
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
    /// The idempotency key stands for another message.
    #[error("the idempotency key was used for another message")]
    IdempotencyConflict,
    /// A rate of the tenant is used up.
    #[error("the rate {} is used up", .0.policy)]
    Throttled(Box<Exhausted>),
    /// The tenant or the process has all the streams it may have.
    #[error("too many open streams")]
    TooManyConnections,
    /// The server is stopping.
    #[error("the server is stopping")]
    Draining,
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AppendError> for RealtimeError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::IdempotencyConflict => Self::IdempotencyConflict,
            AppendError::Store(error) => Self::Store(error),
        }
    }
}

impl From<CommitError> for RealtimeError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) => Self::TitleConflict,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl From<RealtimeError> for Problem {
    fn from(error: RealtimeError) -> Self {
        match error {
            RealtimeError::ThreadAccessDenied => Self::new(
                Code::ThreadAccessDenied,
                "There is no such thread here, or you have no access to it.",
            ),
            RealtimeError::TitleConflict => {
                Self::new(Code::Conflict, "The thread exists with another title.")
            }
            RealtimeError::CanvasAccessDenied => Self::new(
                Code::CanvasAccessDenied,
                "There is no such canvas here, or you have no access to it.",
            ),
            RealtimeError::CanvasTitleConflict => {
                Self::new(Code::Conflict, "The canvas exists with another title.")
            }
            RealtimeError::Invalid(invalid) => invalid.into(),
            RealtimeError::IdempotencyConflict => Self::new(
                Code::IdempotencyConflict,
                "The idempotency key was used for another message.",
            ),
            RealtimeError::Throttled(exhausted) => throttled(&exhausted),
            RealtimeError::TooManyConnections => {
                Self::new(Code::Throttled, "Too many streams are open.").retry_after(CONNECT_RETRY)
            }
            RealtimeError::Draining => {
                Self::new(Code::Draining, "The server is stopping. Connect again.")
                    .retry_after(Duration::from_secs(1))
            }
            RealtimeError::Store(error) => Self::unavailable(&error),
        }
    }
}

impl From<InvalidMessage> for Problem {
    fn from(invalid: InvalidMessage) -> Self {
        let why = invalid.to_string();
        match invalid {
            InvalidMessage::Type | InvalidMessage::Rail(_) => Self::invalid("/type", why),
            InvalidMessage::TooLarge => Self::new(Code::BodyTooLarge, why),
            InvalidMessage::IdempotencyKey => Self::new(Code::HeaderInvalid, why),
        }
    }
}

/// 429 with the fields of draft-ietf-httpapi-ratelimit-headers.
fn throttled(exhausted: &Exhausted) -> Problem {
    let Exhausted {
        policy,
        quota,
        verdict,
    } = exhausted;
    let window_s = quota.burst.get().div_ceil(quota.per_second.get());
    let reset_s = verdict.reset_after.as_millis().div_ceil(1000);
    Problem::new(
        Code::Throttled,
        format!("The rate \"{policy}\" is used up."),
    )
    .retry_after(verdict.retry_after)
    .with_header(
        "ratelimit-policy",
        format!("\"{policy}\";q={};w={window_s}", quota.burst),
    )
    .with_header(
        "ratelimit",
        format!("\"{policy}\";r={};t={reset_s}", verdict.remaining),
    )
}
