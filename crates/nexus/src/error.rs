//! What can go wrong, and the problem each becomes.

use gatechain::{CommitRefused, Denied};
use identity::{Code, DirectoryUnavailable, Problem};
use store::StoreError;

use crate::{GroupMax, Invalid, search::IndexFault};

/// Why a record was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum NexusError {
    /// A value is not acceptable.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such record here; foreign, unknown and deleted ones are alike.
    #[error("no such record")]
    NotFound,
    /// The caller's revision of the record is not the stored one.
    #[error("the record has changed")]
    Stale,
    /// The idempotency key stands for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyConflict,
    /// Another record has the place that only one can have.
    #[error("another record has this place")]
    Taken,
    /// The group of records would be too large.
    #[error("the group has at most {} records of {} bytes in all", .0.records, .0.bytes)]
    Full(GroupMax),
    /// There is no object in the store where one was to be uploaded, or was registered.
    #[error("the object is not in the store")]
    ObjectMissing,
    /// The object in the store is not what was promised; the first thing in which it differs.
    #[error("the object differs from what was promised in its {0}")]
    ObjectMismatch(&'static str),
    /// Others changed the same record meanwhile.
    #[error("the record was changed by others meanwhile")]
    Contended,
    /// The gates have closed since the permit was given.
    #[error(transparent)]
    Denied(Box<Denied>),
    /// Whether a surface or an app is the tenant's cannot be known now.
    #[error(transparent)]
    Directory(#[from] DirectoryUnavailable),
    /// Too many searches are under way.
    #[error("too many searches are under way")]
    SearchBusy,
    /// The index of a search failed.
    #[error("the search index failed: {0}")]
    Index(#[from] IndexFault),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitRefused> for NexusError {
    fn from(refused: CommitRefused) -> Self {
        match refused {
            CommitRefused::Denied(denied) => Self::Denied(denied),
            CommitRefused::Conflict(_) => Self::Contended,
            CommitRefused::Foreign => Self::NotFound,
            CommitRefused::Store(error) => Self::Store(error),
        }
    }
}

impl From<NexusError> for Problem {
    fn from(error: NexusError) -> Self {
        match error {
            NexusError::Invalid(invalid) => Self::invalid(&invalid.pointer, invalid.why),
            NexusError::NotFound => Self::not_found(),
            NexusError::Stale => Self::new(
                Code::PreconditionFailed,
                "The record has changed; read it again.",
            ),
            NexusError::IdempotencyConflict => Self::new(
                Code::IdempotencyConflict,
                "The idempotency key was used for another record.",
            ),
            NexusError::Taken => Self::new(Code::Conflict, "There is one for this place already."),
            NexusError::Contended => Self::new(
                Code::Conflict,
                "Others changed it at the same moment. Nothing of this request was done; send it again.",
            ),
            full @ NexusError::Full(_) => Self::new(Code::LimitReached, full.to_string()),
            NexusError::ObjectMissing => Self::new(
                Code::ObjectMissing,
                "The store has no such object: upload it with the form, then register it.",
            ),
            NexusError::ObjectMismatch(what) => Self::new(
                Code::ObjectMismatch,
                format!("The object differs from what was promised in its {what}."),
            )
            .with("differs_in", what),
            NexusError::Denied(denied) => (*denied).into(),
            unable @ (NexusError::SearchBusy | NexusError::Index(_)) => Self::unavailable(&unable),
            NexusError::Directory(error) => Self::unavailable(&error),
            NexusError::Store(StoreError::Limit(what)) => {
                Self::invalid("", format!("is too large to be stored: {what}"))
            }
            NexusError::Store(error) => Self::unavailable(&error),
        }
    }
}
