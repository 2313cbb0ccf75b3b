//! Event streams: one table in commit order, an index that follows later, and live tails.
//!
//! A row of `events` is written at the end of the table and nowhere else; what
//! finds it by stream ([`unindexed`], then `event_runs`) is kept in memory at
//! first and written in sorted batches. `read` joins the two.
//!
//! **Invariant:** every event is either in [`unindexed::Unindexed`] or in
//! `event_runs`, and readers look at the first before the second; events move
//! only in that direction, so nothing is missed between them.

pub(crate) mod epochs;
pub(crate) mod live;
mod log;
pub(crate) mod read;
mod relocation;
mod tail;
pub(crate) mod unindexed;

pub(crate) use log::EmbeddedEventLog;
