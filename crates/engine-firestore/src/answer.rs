//! What an answer other than success means for who asked.

use std::error::Error as _;

use tonic::{Code, ConnectError, Status};

/// Why a call was not answered as hoped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A precondition does not hold. Nothing was changed.
    Unmet,
    /// Others were in the way, or more was asked than is allowed at a time. Nothing was changed.
    Contended,
    /// Nothing was sent: there was no connection, no token, or no room.
    Unsent(&'static str),
    /// Nobody answered, so what was sent may have been carried out, or may still be.
    Lost(&'static str),
    /// It was refused and would be again. Nothing was changed.
    Refused(Code),
    /// What is stored, or was answered, cannot be understood.
    Damaged,
}

/// A document has other fields than those that are written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

impl From<Damaged> for Fault {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

impl Fault {
    /// What an answer to `Commit` means.
    pub(crate) fn of_commit(status: &Status) -> Self {
        match status.code() {
            Code::FailedPrecondition | Code::AlreadyExists | Code::NotFound => Self::Unmet,
            _ => Self::of_read(status),
        }
    }

    /// What an answer to a question means. The service's own words may hold names, so they are not kept.
    pub(crate) fn of_read(status: &Status) -> Self {
        match status.code() {
            Code::Aborted | Code::ResourceExhausted => Self::Contended,
            Code::Unavailable if never_connected(status) => Self::Unsent(AWAY),
            Code::Unavailable => Self::Lost(AWAY),
            Code::DeadlineExceeded | Code::Cancelled => Self::Lost(LATE),
            Code::Unknown | Code::Internal | Code::DataLoss => Self::Lost("its answer broke off"),
            code => Self::Refused(code),
        }
    }

    /// What happened, to be shown.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Unmet => "a precondition does not hold".to_owned(),
            Self::Contended => "too many write the same documents".to_owned(),
            Self::Unsent(why) | Self::Lost(why) => (*why).to_owned(),
            Self::Refused(code) => format!("it answered {code:?}"),
            Self::Damaged => "a document has other fields than those that are written".to_owned(),
        }
    }
}

/// Whether there was no connection on which a request could have been sent.
fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// There is no connection, or there is none any more.
pub(crate) const AWAY: &str = "it cannot be reached";
/// Nobody answered while there was time.
pub(crate) const LATE: &str = "it did not answer in time";
/// More calls wait than can be made in time.
pub(crate) const CROWDED: &str = "too many calls to it wait";
