//! Following a stream: a bell says that there is more, and a page says what.
//!
//! **Invariant:** the bell is heard before the stream is read, so an event is in
//! a page or rings after it. After a lost connection every bell rings.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use store::{Cursor, READ_EVENTS_MAX, Read, StoredEvent, Tail, TailError};

use super::read::Reader;
use crate::{listener::Bell, names::StreamNames};

struct Follower {
    reader: Arc<Reader>,
    names: StreamNames,
    bell: Bell,
    position: Cursor,
    /// Whether there may be more than was read.
    more: bool,
    ended: bool,
}

/// A tail of a stream after `position`.
pub(crate) fn follow(
    reader: Arc<Reader>,
    names: StreamNames,
    bell: Bell,
    position: Cursor,
) -> Tail {
    let follower = Follower {
        reader,
        names,
        bell,
        position,
        more: true,
        ended: false,
    };
    stream::unfold(follower, |mut follower| async move {
        if follower.ended {
            return None;
        }
        let item = follower.next().await;
        follower.ended = item.is_err();
        Some((item, follower))
    })
    .boxed()
}

impl Follower {
    async fn next(&mut self) -> Result<Vec<StoredEvent>, TailError> {
        loop {
            if !self.more {
                self.bell.rung().await;
            }
            // What rings from here on is in the page or after it.
            self.bell.heard().await;
            let page = self
                .reader
                .page(&self.names, Some(self.position), READ_EVENTS_MAX);
            match page.await? {
                Read::Gap { reason, bounds } => return Err(TailError::Gap(reason, bounds)),
                Read::Page { events, bounds } => {
                    if let Some(last) = events.last() {
                        self.position = last.cursor;
                    }
                    self.more = self.position.seq < bounds.head;
                    if !events.is_empty() {
                        return Ok(events);
                    }
                }
            }
        }
    }
}
