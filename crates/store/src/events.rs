//! Event logs: durable, ordered streams that are read again from any cursor.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use identity::Timestamp;

use crate::{StoreError, StreamKey};

/// Largest event body, in bytes.
pub const EVENT_BYTES_MAX: usize = 128 * 1024;
/// Most events of one page.
pub const READ_EVENTS_MAX: usize = 1000;
/// Bytes after which a page ends; the first event is always returned.
pub const READ_BYTES_MAX: usize = 1024 * 1024;
/// Idempotency keys are remembered for at least this long: a day.
pub const IDEMPOTENCY_MS_MIN: u64 = 24 * 60 * 60 * 1000;

/// Identifies one life of a log. It changes when acknowledged events were
/// lost or rolled back (a restore from a backup), so that old cursors are
/// recognised instead of misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u32);

/// A position in one stream: everything up to and with `seq` has been seen.
///
/// Written `<epoch>-<seq>`, such as `3f9a-42`; opaque to clients. `seq` rises
/// by one per event of a stream, from 1; 0 is before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The life of the log it was given in.
    pub epoch: Epoch,
    /// The last event seen.
    pub seq: u64,
}

/// A text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch.0, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (epoch, seq) = text.split_once('-').ok_or(InvalidCursor)?;
        let parsed = Self {
            epoch: Epoch(u32::from_str_radix(epoch, 16).map_err(|_| InvalidCursor)?),
            seq: seq.parse().map_err(|_| InvalidCursor)?,
        };
        // One position has one spelling: no signs, no leading zeros, no capitals.
        if parsed.to_string() == text {
            Ok(parsed)
        } else {
            Err(InvalidCursor)
        }
    }
}

/// Makes a repeated append harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Idempotency {
    /// Hash of the caller's key (and of who the caller is).
    pub key: [u8; 16],
    /// Hash of what the key stands for, to notice a key used for something else.
    pub fingerprint: [u8; 16],
}

/// An event to append.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// At most [`EVENT_BYTES_MAX`]; the log does not look inside.
    pub body: Bytes,
    /// When it happened; used to forget idempotency keys, not for order.
    pub at: Timestamp,
    /// Set when the caller may send it again.
    pub idempotency: Option<Idempotency>,
}

/// The answer to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Where the event is.
    pub cursor: Cursor,
    /// Whether it was there before, under the same idempotency key.
    pub duplicate: bool,
}

/// Why an append did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The idempotency key stands for another event.
    #[error("the idempotency key was used for another event")]
    IdempotencyConflict,
    /// The engine failed. After [`StoreError::Unavailable`] the event may
    /// nevertheless be there; an idempotency key makes a retry safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An event, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Where it is.
    pub cursor: Cursor,
    /// What was appended.
    pub body: Bytes,
}

/// What a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The life of the log.
    pub epoch: Epoch,
    /// The first event that is still there; `head + 1` when there is none.
    pub oldest: u64,
    /// The last event ever appended; 0 when there was none.
    pub head: u64,
}

impl Bounds {
    /// The cursor from which everything retained is read.
    #[must_use]
    pub fn before_oldest(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            seq: self.oldest.saturating_sub(1),
        }
    }

    /// The cursor after which there is nothing yet.
    #[must_use]
    pub fn at_head(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            seq: self.head,
        }
    }

    /// Says why `cursor` cannot be honoured, if it cannot.
    #[must_use]
    pub fn gap(&self, cursor: Cursor) -> Option<GapReason> {
        if cursor.epoch != self.epoch {
            Some(GapReason::UnknownEpoch)
        } else if cursor.seq > self.head {
            Some(GapReason::Future)
        } else if cursor.seq.saturating_add(1) < self.oldest {
            Some(GapReason::Evicted)
        } else {
            None
        }
    }
}

/// Why a cursor cannot be honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// Events after it are gone.
    Evicted,
    /// It was given in another life of the log.
    UnknownEpoch,
    /// It is past the head.
    Future,
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The events after the cursor, without a hole; empty at the head.
    Page {
        /// In order.
        events: Vec<StoredEvent>,
        /// The stream at the time of the read.
        bounds: Bounds,
    },
    /// The cursor cannot be honoured.
    Gap {
        /// Why.
        reason: GapReason,
        /// What the stream holds instead.
        bounds: Bounds,
    },
}

/// Why a tail ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// The position it had reached cannot be honoured any more.
    #[error("the position of the tail is gone: {0:?}")]
    Gap(GapReason, Bounds),
    /// The engine failed; tail again from the last event seen.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Events in order as they become durable, several at once when they do.
pub type Tail = BoxStream<'static, Result<Vec<StoredEvent>, TailError>>;

/// Durable home of event streams.
///
/// Laws, proved for every engine by `store::contract::events`:
/// 1. An `append` that returned `Ok` is durable: every later `read` finds it once, also after a crash.
/// 2. `seq` of a stream rises by exactly one per event, from 1, in the order of acknowledgement.
/// 3. An idempotency key appends once: the same key and fingerprint return the first cursor with
///    `duplicate`; another fingerprint is `IdempotencyConflict`; both also after a restart, and also
///    when two such appends race.
/// 4. `read` returns the events after the cursor without a hole, bounded in number and bytes.
/// 5. A cursor that is too old, from another epoch or from the future is a `Gap` that says which.
/// 6. `tail` continues `read`: nothing is missing and nothing comes twice where they join,
///    however many events are appended meanwhile. A tail that cannot continue says so and ends.
/// 7. `trim` removes events up to a seq and nothing else; the head and later seqs stay what they were,
///    also when all events are gone and after a restart.
/// 8. Streams are apart: no call for one ever returns or changes events of another.
/// 9. An event over the limit is refused with `Limit` and nothing is appended.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends `event`, durable when this returns.
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError>;
    /// Reads up to `limit` events after `after`, or from the oldest one;
    /// engines clamp `limit` to 1 to [`READ_EVENTS_MAX`].
    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError>;
    /// What the stream holds now; an unknown stream is empty.
    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError>;
    /// Follows the stream from `after`, first what is there, then live. A
    /// cursor that cannot be honoured is the tail's first and last item.
    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError>;
    /// Removes the events up to and with `up_to`, at most up to the head.
    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_spelling() {
        let cursor = Cursor {
            epoch: Epoch(0x3f9a),
            seq: 42,
        };
        assert_eq!(cursor.to_string(), "3f9a-42");
        assert_eq!("3f9a-42".parse(), Ok(cursor));
        for bad in [
            "",
            "-",
            "3f9a",
            "3F9A-42",
            "03f9a-42",
            "3f9a-042",
            "3f9a-+42",
            "3f9a--1",
            "g-1",
            "3f9a-42 ",
            "100000000-1",
            "1-18446744073709551616",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad:?}");
        }
    }
}
