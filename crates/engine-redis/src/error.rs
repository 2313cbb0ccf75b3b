//! Why a Redis cannot be used, and what a failure of one means for the caller.
//!
//! **Invariant:** what is shown names the place, never the user or the password.

use std::error::Error as _;

use deadpool_redis::redis::{ErrorKind, RedisError as ClientError, ServerErrorKind};
use store::StoreError;

/// Why a configuration is refused, or the Redis that it names does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// The configuration is not one that a Redis can have.
    #[error("{0}")]
    Invalid(String),
    /// It cannot be reached, or did not answer in time. It may later.
    #[error("the Redis at {place} does not answer: {why}")]
    Unreachable {
        /// Host, port and database.
        place: String,
        /// What happened instead.
        why: String,
    },
    /// It and this node do not come to speak TLS.
    #[error("no TLS with the Redis at {place}: {why}")]
    Handshake {
        /// Host, port and database.
        place: String,
        /// Who does not take what of the other.
        why: String,
    },
    /// The user or the password does not open it, or may not do what is needed.
    #[error("the Redis at {place} refuses the user, or the password: {why}")]
    Refused {
        /// Host, port and database.
        place: String,
        /// The code of the answer.
        why: String,
    },
    /// It does not promise what the configuration asks for.
    #[error("the Redis at {place} does not keep what it acknowledges: {why}")]
    NotDurable {
        /// Host, port and database.
        place: String,
        /// What is missing, and how to set it.
        why: String,
    },
    /// It is not the one server that all is written to.
    #[error("the Redis at {place} is {found}; a single primary is needed, which may have replicas")]
    NotPrimary {
        /// Host, port and database.
        place: String,
        /// What it is.
        found: &'static str,
    },
    /// It is too old.
    #[error("the Redis at {place} has version {found}; 7.0 or later is needed")]
    TooOld {
        /// Host, port and database.
        place: String,
        /// Its version.
        found: String,
    },
}

/// A failed command: what it means, and whether its connection is of any more use.
pub(crate) struct Fault {
    pub(crate) error: StoreError,
    pub(crate) connection_lost: bool,
    /// Whether all the time that there was is used up.
    pub(crate) late: bool,
}

impl Fault {
    /// No answer in time. The connection may be stuck, so another is taken.
    pub(crate) fn late(place: &str) -> Self {
        Self {
            error: StoreError::Unavailable(format!("Redis at {place} did not answer in time")),
            connection_lost: true,
            late: true,
        }
    }

    /// There was no connection to begin with.
    pub(crate) fn unopened(error: StoreError) -> Self {
        Self {
            error,
            connection_lost: false,
            late: false,
        }
    }

    pub(crate) fn of(place: &str, cause: &ClientError) -> Self {
        let says = format!("Redis at {place}: {}", reason(cause));
        let refuses_writes = matches!(cause.code(), Some("OOM" | "MISCONF" | "NOREPLICAS"));
        let damaged = matches!(cause.code(), Some("WRONGTYPE"))
            || matches!(
                cause.kind(),
                ErrorKind::UnexpectedReturnType | ErrorKind::Parse
            );
        // A master that became a replica keeps its connections, and takes no writes from them.
        let demoted = matches!(
            cause.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        );
        Self {
            error: match (refuses_writes, damaged) {
                (true, _) => StoreError::ReadOnly(says),
                (_, true) => StoreError::Corrupt(says),
                _ => StoreError::Unavailable(says),
            },
            connection_lost: demoted || cause.is_unrecoverable_error(),
            late: false,
        }
    }

    /// What an answer that no script of ours gives means.
    pub(crate) fn strange(place: &str) -> StoreError {
        StoreError::Corrupt(format!("Redis at {place} gave an answer of another form"))
    }
}

/// What the client says, without names that it was configured with.
pub(crate) fn reason(cause: &ClientError) -> String {
    match (cause.code(), cause.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(detail)) => format!("{}: {detail}", cause.category()),
        (None, None) => match cause.source() {
            Some(source) => source.to_string(),
            None => cause.category().to_owned(),
        },
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
