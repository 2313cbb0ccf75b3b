//! The secondary index of a log: which records may have an actor, an action, a target or a trace, and which a time.
//!
//! Start at [`Index`]: it is all that a writer needs of a log's index, and it is
//! small enough to stand in the log's head document. [`Index::advance`] adds
//! records and does a bounded piece of upkeep; what it returns is committed in
//! **one** batch together with the head, so that a crash leaves no page that
//! nobody knows. [`Index::candidates`] answers a query.
//!
//! The index is log-structured. Entries, which are (hash of a term, seq), gather in
//! a tail inside the head; a tail of more than [`TAIL_ENTRIES_MAX`] becomes a
//! segment, which is sorted and cut into pages of 4 KiB, each a document that is
//! written once. Eight segments of about one size are merged into one. A
//! merge is a job in the state that goes on by some pages with every commit, so
//! that no commit has much to do however long the log is, and a term is looked
//! up in a number of pages that grows with the logarithm of the log.
//! Times are entries of the same segments: see [`entry`](self#times).
//!
//! A log of a few records is a tail and nothing else: it takes no document.
//!
//! # Times
//!
//! Records stand in the order of their seqs, and clocks step back, so times are not
//! sorted. Each segment therefore holds two ascending lists of marks, one per up to
//! [`MARK_EVENTS`] records: how the latest time so far rises, and how
//! the earliest time still to come does. Both are sorted whatever the clocks do,
//! so a search in them gives the first and the last block of a segment that can hold a time between
//! two bounds. No record between the bounds is ever outside; at the edges up to a block
//! of others may be inside, and more where a clock stepped back between them.
//!
//! **Invariant:** a candidate may be wrong, because hashes are short and blocks
//! coarse, and the caller checks it against the record. A record that matches is
//! never left out: the pages of a segment tile the space of keys, so one
//! that is missing is noticed.

mod advance;
mod codec;
mod due;
mod entry;
mod merge;
mod page;
mod pages;
mod query;
mod reader;
mod run;
mod segment;
mod state;
mod term;
mod wire;

pub use advance::{EVENTS_MAX, IndexEvent, PLAN_STEPS_MAX, Plan, TERMS_MAX};
pub use pages::Pages;
pub use query::{CANDIDATES_MAX, Candidates, QUERY_READS_MAX, QUERY_TERMS_MAX, Query};
pub use run::MARK_EVENTS;
pub use state::{Index, TAIL_ENTRIES_MAX};
pub use term::{IndexField, Term};

use store::StoreError;

/// Why an index cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// A page is not there: the index was advanced by someone else since this state was
    /// read. Read it again; if the error stays with the newest state, the store lost the page.
    #[error("the state of the index is older than its pages")]
    Stale,
    /// A stored state or page is not what was written.
    #[error("the stored index is damaged")]
    Damaged,
    /// Merges and deletions are too far behind to add more: advance without events first.
    #[error("the index has too much upkeep to do")]
    Behind,
    /// Events do not follow what was added last, or are too many.
    #[error("events to index are out of order or too many")]
    Refused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
