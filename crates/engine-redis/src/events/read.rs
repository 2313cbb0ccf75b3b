//! Reading: bounds and pages, each in one call of a script.
//!
//! **Invariant:** a page has no hole. What an operator deleted from the middle of a stream is
//! damage, and said so.

use std::sync::Arc;

use bytes::Bytes;
use deadpool_redis::redis::Value;
use store::{Bounds, Cursor, READ_BYTES_MAX, READ_EVENTS_MAX, Read, StoreError, StoredEvent};

use crate::{
    error::Fault,
    lanes::{Lanes, Question},
    life::Life,
    names::StreamNames,
    scripts,
};

/// For how long a stream that somebody looked at, and nobody wrote to, keeps its life: a week.
pub(super) const UNWRITTEN_KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Reads streams.
pub(crate) struct Reader {
    lanes: Arc<Lanes>,
}

/// What the script found.
struct Found {
    begun: u32,
    bounds: Bounds,
    events: Vec<StoredEvent>,
}

impl Reader {
    pub(crate) fn new(lanes: Arc<Lanes>) -> Self {
        Self { lanes }
    }

    pub(crate) async fn bounds(&self, names: &StreamNames) -> Result<Bounds, StoreError> {
        Ok(self.find(names, None, 0).await?.bounds)
    }

    /// The number that the stream was begun with: its events' ids and its keys begin with it.
    pub(crate) async fn begun(&self, names: &StreamNames) -> Result<u32, StoreError> {
        Ok(self.find(names, None, 0).await?.begun)
    }

    pub(crate) async fn page(
        &self,
        names: &StreamNames,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        let limit = limit.clamp(1, READ_EVENTS_MAX);
        let found = self
            .find(names, after.map(|cursor| cursor.seq), limit)
            .await?;
        let bounds = found.bounds;
        if let Some(reason) = after.and_then(|cursor| bounds.gap(cursor)) {
            return Ok(Read::Gap { reason, bounds });
        }
        let first = after.map_or(bounds.oldest, |cursor| cursor.seq + 1);
        let mut expected = first;
        for event in &found.events {
            if event.cursor.seq != expected {
                break;
            }
            expected += 1;
        }
        let whole = expected == first + found.events.len() as u64;
        // The first event is always returned, so an empty page is one at the head.
        if !whole || (found.events.is_empty() && first <= bounds.head) {
            let why = format!("event {expected} of {} is missing", names.events);
            return Err(StoreError::Corrupt(why));
        }
        let events = found.events;
        Ok(Read::Page { events, bounds })
    }

    async fn find(
        &self,
        names: &StreamNames,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let mut read = scripts::READ.key(&*names.events);
        read.key(&*names.life)
            .arg(after.map_or(String::new(), |seq| seq.to_string()))
            .arg(limit)
            .arg(READ_BYTES_MAX)
            .arg(self.lanes.draw())
            .arg(UNWRITTEN_KEPT_MS);
        let (value, life) = self.lanes.ask(Question::Script(&read)).await?;
        Found::parse(value, life).ok_or_else(|| Fault::strange(self.lanes.place()))
    }
}

/// A number and a seq: `<begun>-<seq>`, the id of an entry.
pub(crate) fn id(value: &[u8]) -> Option<(u32, u64)> {
    let (begun, seq) = std::str::from_utf8(value).ok()?.split_once('-')?;
    Some((begun.parse().ok()?, seq.parse().ok()?))
}

/// What the epoch of a stream of another engine differs by: `^<number>`, or nothing for all others.
pub(crate) fn salt_of(value: &[u8]) -> Option<u32> {
    match std::str::from_utf8(value).ok()? {
        "" => Some(0),
        salt => salt.strip_prefix('^')?.parse().ok(),
    }
}

fn text(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

impl Found {
    fn parse(value: Value, life: Life) -> Option<Self> {
        let Value::Array(parts) = value else {
            return None;
        };
        let [last, oldest, page, salt]: [Value; 4] = parts.try_into().ok()?;
        let (begun, head) = id(&text(last)?)?;
        let oldest = text(oldest)?;
        let oldest = if oldest.is_empty() {
            head + 1
        } else {
            id(&oldest)?.1
        };
        let Value::Array(page) = page else {
            return None;
        };
        let epoch = life.epoch(begun ^ salt_of(&text(salt)?)?);
        let mut events = Vec::with_capacity(page.len() / 2);
        let mut page = page.into_iter();
        while let (Some(entry), Some(body)) = (page.next(), page.next()) {
            let (of, seq) = id(&text(entry)?)?;
            let cursor = Cursor { epoch, seq };
            events.push(StoredEvent {
                cursor,
                body: Bytes::from(text(body)?),
            });
            if of != begun {
                return None;
            }
        }
        let bounds = Bounds {
            epoch,
            oldest,
            head,
        };
        Some(Self {
            begun,
            bounds,
            events,
        })
    }
}
