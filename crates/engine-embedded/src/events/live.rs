//! New events on their way from the writer to live tails.
//!
//! **Invariant:** a slot holds consecutive events of its stream, at most
//! [`SLOT_EVENTS_MAX`] and [`SLOT_BYTES_MAX`] and one event. When more come it
//! only notes that it is behind; its tail then reads the table.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use store::{StoredEvent, StreamKey};
use tokio::sync::Notify;

/// Events that wait for one tail.
const SLOT_EVENTS_MAX: usize = 256;
/// Bytes of them.
const SLOT_BYTES_MAX: usize = 256 * 1024;

/// All live tails, by stream.
#[derive(Default)]
pub(crate) struct Live {
    slots: Mutex<Slots>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Slots {
    by_stream: HashMap<StreamKey, Vec<Arc<Slot>>>,
    closed: bool,
}

/// What waits for one tail.
#[derive(Default)]
pub(crate) struct Slot {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<StoredEvent>,
    bytes: usize,
    behind: bool,
    closed: bool,
}

/// What a tail found in its slot.
pub(crate) enum Found {
    /// The events that follow its position.
    Events(Vec<StoredEvent>),
    /// Nothing yet.
    Nothing,
    /// More came than the slot holds: read the table.
    Behind,
    /// The engine closed.
    Closed,
}

impl Live {
    /// Registers a tail: whatever is committed from now on reaches its slot.
    pub(crate) fn register(&self, stream: &StreamKey) -> Arc<Slot> {
        let slot = Arc::new(Slot::default());
        let mut slots = self.slots.lock();
        slot.waiting.lock().closed = slots.closed;
        let of_stream = slots.by_stream.entry(stream.clone()).or_default();
        of_stream.push(Arc::clone(&slot));
        self.count.fetch_add(1, Ordering::SeqCst);
        slot
    }

    /// Forgets a tail.
    pub(crate) fn forget(&self, stream: &StreamKey, slot: &Arc<Slot>) {
        let mut slots = self.slots.lock();
        if let Some(of_stream) = slots.by_stream.get_mut(stream) {
            of_stream.retain(|other| !Arc::ptr_eq(other, slot));
            if of_stream.is_empty() {
                slots.by_stream.remove(stream);
            }
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Hands committed events to the tails of their streams.
    pub(crate) fn publish<'e>(
        &self,
        events: impl Iterator<Item = (&'e StreamKey, &'e StoredEvent)>,
    ) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let slots = self.slots.lock();
        for (stream, event) in events {
            for slot in slots.by_stream.get(stream).into_iter().flatten() {
                slot.offer(event);
            }
        }
    }

    /// Makes the tails of a stream look at the table again.
    pub(crate) fn interrupt(&self, stream: &StreamKey) {
        for slot in self
            .slots
            .lock()
            .by_stream
            .get(stream)
            .into_iter()
            .flatten()
        {
            slot.interrupt();
        }
    }

    /// Ends all tails.
    pub(crate) fn close(&self) {
        let mut slots = self.slots.lock();
        slots.closed = true;
        for slot in slots.by_stream.values().flatten() {
            slot.waiting.lock().closed = true;
            slot.changed.notify_one();
        }
    }
}

impl Slot {
    fn offer(&self, event: &StoredEvent) {
        let mut waiting = self.waiting.lock();
        if waiting.behind {
            return;
        }
        if waiting.events.len() >= SLOT_EVENTS_MAX || waiting.bytes >= SLOT_BYTES_MAX {
            waiting.behind = true;
        } else {
            waiting.bytes += event.body.len();
            waiting.events.push_back(event.clone());
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// What is there may not follow the position of the tail any more.
    fn interrupt(&self) {
        let mut waiting = self.waiting.lock();
        waiting.events.clear();
        waiting.bytes = 0;
        waiting.behind = true;
        drop(waiting);
        self.changed.notify_one();
    }

    /// Takes what follows `position`.
    pub(crate) fn take(&self, position: u64) -> Found {
        let mut waiting = self.waiting.lock();
        let mut events = std::mem::take(&mut waiting.events);
        waiting.bytes = 0;
        let seen = events.partition_point(|event| event.cursor.seq <= position);
        events.drain(..seen);
        match events.front() {
            Some(first) if first.cursor.seq == position + 1 => Found::Events(events.into()),
            Some(_) => Found::Behind,
            None if waiting.behind => {
                // From now on events are kept again, and the table has those before.
                waiting.behind = false;
                Found::Behind
            }
            None if waiting.closed => Found::Closed,
            None => Found::Nothing,
        }
    }

    /// Waits until something may have changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use store::{Cursor, Epoch};

    use super::*;

    fn event(seq: u64) -> StoredEvent {
        StoredEvent {
            cursor: Cursor {
                epoch: Epoch(1),
                seq,
            },
            body: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn a_slot_is_bounded_and_says_that_it_is_behind_once() {
        let slot = Slot::default();
        for seq in 1..=10_000 {
            slot.offer(&event(seq));
        }
        assert!(slot.waiting.lock().events.len() <= SLOT_EVENTS_MAX);
        let Found::Events(events) = slot.take(0) else {
            panic!("the first events are there");
        };
        assert_eq!(events.len(), SLOT_EVENTS_MAX);
        assert!(matches!(slot.take(256), Found::Behind));
        assert!(matches!(slot.take(256), Found::Nothing));
        slot.offer(&event(10_001));
        assert!(matches!(slot.take(10_000), Found::Events(_)));
    }

    #[test]
    fn what_the_table_gave_already_is_not_repeated() {
        let slot = Slot::default();
        (1..=5).for_each(|seq| slot.offer(&event(seq)));
        let Found::Events(events) = slot.take(3) else {
            panic!("two events are new");
        };
        assert_eq!(events, [event(4), event(5)]);
    }
}
