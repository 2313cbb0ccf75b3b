//! What is wrong with a receipt or an export, and where.

use crate::{Field, NoteRefused, OpenError, Seq};

/// Why a receipt or an export is not what it claims to be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is no receipt or export of a known version.
    #[error("it is not what it should be: {0}")]
    Malformed(String),
    /// The signed checkpoint is not to be believed.
    #[error("the checkpoint: {0}")]
    Checkpoint(NoteRefused),
    /// It is under an older checkpoint than one that is known.
    #[error(
        "the checkpoint covers {found} epochs, but one of {known} is known: an old one is replayed"
    )]
    Replayed {
        /// How many epochs it covers.
        found: u64,
        /// How many the known one covers.
        known: u64,
    },
    /// The checkpoint contradicts one that is known.
    #[error("the checkpoint of {size} epochs contradicts the known one: history was rewritten")]
    Forked {
        /// How many epochs it covers.
        size: u64,
    },
    /// The epoch is not in the log of epochs.
    #[error("epoch {number} is not under the checkpoint")]
    Epoch {
        /// The epoch, as it is named.
        number: u64,
    },
    /// The head is not in the tree of heads.
    #[error("the head of slot {slot} is not in epoch {epoch}")]
    Head {
        /// The slot, as it is named.
        slot: u64,
        /// The epoch.
        epoch: u64,
    },
    /// The head is another tenant's, or not the one that the trust file names.
    #[error("the head of slot {slot} is not of the tenant and environment: {what}")]
    Tenant {
        /// The slot.
        slot: u64,
        /// What differs.
        what: &'static str,
    },
    /// A record is not what the log has.
    #[error("record {seq}: {fault}")]
    Record {
        /// Which record.
        seq: Seq,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// The leaf hashes of a block are not the log's.
    #[error("the proof of the records from {first} on does not hold")]
    Block {
        /// The first record of the block.
        first: Seq,
    },
    /// The trailer is missing or does not cover the export.
    #[error("after record {last}: {what}")]
    Trailer {
        /// The last record before it, 0 if there is none.
        last: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The trailer's signature is not to be believed.
    #[error("the trailer: {0}")]
    TrailerNote(NoteRefused),
}

/// What is wrong with one record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// It is not where it should be.
    #[error("it is missing")]
    Missing,
    /// Another one stands in its place.
    #[error("record {0} stands in its place")]
    Order(Seq),
    /// Its bytes are not those that the log has.
    #[error("it was altered, or is not in the log")]
    NotInLog,
    /// It is a record of another tenant or environment.
    #[error("it belongs to another tenant or environment")]
    Foreign,
    /// The log has it, and it is no record; or a personal value is not the recorded one.
    #[error(transparent)]
    Content(#[from] OpenError),
    /// A field is said to be erased that the record does not have, or that is shown.
    #[error("{0} cannot be erased")]
    Erased(Field),
}

impl VerifyError {
    /// The record at which the fault was found, if it was found at one.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        match self {
            Self::Record { seq, .. } | Self::Block { first: seq } => Some(*seq),
            Self::Trailer { last, .. } => Seq::try_from(*last).ok(),
            Self::Io(_)
            | Self::Malformed(_)
            | Self::Checkpoint(_)
            | Self::Replayed { .. }
            | Self::Forked { .. }
            | Self::Epoch { .. }
            | Self::Head { .. }
            | Self::Tenant { .. }
            | Self::TrailerNote(_) => None,
        }
    }
}
