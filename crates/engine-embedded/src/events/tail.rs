//! Following a stream: first the table, then what the writer hands over.
//!
//! **Invariant:** the slot is registered before the table is read, so an event
//! is in one of the two; the position drops what is in both.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use store::{Cursor, READ_EVENTS_MAX, Read, StoredEvent, StreamKey, Tail, TailError};

use super::live::{Found, Slot};
use crate::{engine::Core, queue::closed};

struct Follower {
    core: Arc<Core>,
    stream: StreamKey,
    slot: Arc<Slot>,
    position: Cursor,
    catching_up: bool,
    ended: bool,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.core.shared.live.forget(&self.stream, &self.slot);
    }
}

/// A tail of `stream` after `position`.
pub(crate) fn follow(core: Arc<Core>, stream: StreamKey, position: Cursor) -> Tail {
    let follower = Follower {
        slot: core.shared.live.register(&stream),
        core,
        stream,
        position,
        catching_up: true,
        ended: false,
    };
    stream::unfold(follower, |mut follower| async move {
        let item = follower.next().await?;
        follower.ended = item.is_err();
        Some((item, follower))
    })
    .boxed()
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Vec<StoredEvent>, TailError>> {
        if self.ended {
            return None;
        }
        loop {
            if self.catching_up {
                match self.catch_up().await {
                    Ok(events) if events.is_empty() => {}
                    item => return Some(item),
                }
            }
            match self.slot.take(self.position.seq) {
                Found::Events(events) => {
                    self.advance(&events);
                    return Some(Ok(events));
                }
                Found::Behind => self.catching_up = true,
                Found::Nothing => self.slot.changed().await,
                Found::Closed => return Some(Err(closed().into())),
            }
        }
    }

    async fn catch_up(&mut self) -> Result<Vec<StoredEvent>, TailError> {
        let read = self
            .core
            .read(&self.stream, Some(self.position), READ_EVENTS_MAX);
        match read.await? {
            Read::Page { events, bounds } => {
                self.advance(&events);
                // What comes after this head comes through the slot.
                self.catching_up = self.position.seq < bounds.head;
                Ok(events)
            }
            Read::Gap { reason, bounds } => Err(TailError::Gap(reason, bounds)),
        }
    }

    fn advance(&mut self, events: &[StoredEvent]) {
        if let Some(last) = events.last() {
            self.position = last.cursor;
        }
    }
}
