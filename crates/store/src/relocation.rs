//! Moving streams from one engine to another, so that whoever follows them cannot tell.
//!
//! A copy has the events, the seqs, the epoch and the idempotency keys of its stream: a cursor that was given before
//! is honoured after, and what was sent once is known. That is only right while one of the two is written to. So once
//! the copy is in use, the stream that was left behind is renewed: a cursor that the copy gave is a gap there, and
//! never a position in events that it does not have.

use async_trait::async_trait;
use identity::{SystemAuthority, Timestamp};

use crate::{
    Bounds, Cursor, EVENT_BYTES_MAX, Epoch, EventLog, Idempotency, NewEvent, READ_EVENTS_MAX,
    StoreError, StreamKey,
};

/// Some of an engine's streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamsPage {
    /// Their keys; one may come twice.
    pub streams: Vec<StreamKey>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// Why nothing was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The stream is elsewhere: it goes on from its head and from nothing else.
    #[error("the stream is at {}", .0.at_head())]
    Elsewhere(Bounds),
    /// The engine failed; after [`StoreError::Unavailable`] the events may nevertheless be there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an engine of event logs does beside [`EventLog`] for a move. No service has it.
///
/// Laws, proved for every engine by `store::contract::relocation`:
/// 1. `streams` names every stream that ever had an event, page by page, however many there are.
/// 2. `import` puts events behind `after`, durably, all or none, and nothing if the head is not there. A stream that
///    never had an event begins behind `after`, with its epoch, whatever its seq.
/// 3. What was imported is read, followed, trimmed and continued as if it had been appended, also after a restart.
/// 4. `keys` tells the idempotency key of every event of the last day, trimmed or not; a key that was imported answers
///    with the cursor of its event, for a day from `NewEvent::at`.
/// 5. `renew` changes the epoch and nothing else: cursors of before are gaps, tails that are open end with one.
/// 6. `erase` leaves a stream that never had an event, in the epoch that it is given.
/// 7. Other streams are as they were.
#[async_trait]
pub trait Relocation: EventLog {
    /// Streams of all tenants; the first page is `after` nothing.
    async fn streams(
        &self,
        authority: &SystemAuthority,
        after: Option<String>,
    ) -> Result<StreamsPage, StoreError>;
    /// The idempotency keys that the stream remembers at `now`, each with the seq of its event; in no order.
    async fn keys(
        &self,
        stream: &StreamKey,
        now: Timestamp,
    ) -> Result<Vec<(u64, Idempotency)>, StoreError>;
    /// Puts at most [`READ_EVENTS_MAX`] events behind `after`.
    async fn import(
        &self,
        stream: &StreamKey,
        after: Cursor,
        events: Vec<NewEvent>,
    ) -> Result<(), ImportError>;
    /// Gives the stream another epoch.
    async fn renew(&self, stream: &StreamKey, epoch: Epoch) -> Result<(), StoreError>;
    /// Removes the events and keys of the stream. What is appended later is in `next`.
    async fn erase(&self, stream: &StreamKey, next: Epoch) -> Result<(), StoreError>;
}

/// Holds the limits of an import, for engines.
///
/// # Errors
/// [`StoreError::Limit`].
pub fn check_import(events: &[NewEvent]) -> Result<(), StoreError> {
    let fits = |event: &NewEvent| event.body.len() <= EVENT_BYTES_MAX;
    if events.len() <= READ_EVENTS_MAX && events.iter().all(fits) {
        return Ok(());
    }
    let why = format!("an import has at most {READ_EVENTS_MAX} events of {EVENT_BYTES_MAX} bytes");
    Err(StoreError::Limit(why))
}
