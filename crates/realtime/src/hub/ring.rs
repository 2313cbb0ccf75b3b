//! The ring: the latest events of a topic, rendered once, shared by all.
//!
//! A subscriber has a position, not a queue: what a topic costs does not depend
//! on how many follow it.
//!
//! **Invariant:** the ring holds `first..next` without a hole, within its bounds.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{envelope::Rendered, frames::event_frame, meters::Transport};

/// Bounds of a ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

struct Slot {
    rendered: Rendered,
    frame: Option<Bytes>,
}

impl Slot {
    fn bytes(&self) -> usize {
        self.rendered.sse.len() + self.frame.as_ref().map_or(0, Bytes::len)
    }
}

/// What the ring has at a position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The event there.
    Event(Bytes),
    /// Nothing yet.
    Ahead,
    /// Nothing any more.
    Behind,
}

/// The latest events of a topic.
pub(crate) struct Ring {
    first: u64,
    slots: VecDeque<Slot>,
    bytes: usize,
}

impl Ring {
    /// An empty ring whose first event will be `next`.
    pub(crate) fn starting_at(next: u64) -> Self {
        Self {
            first: next,
            slots: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The seq that the next event must have.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// What it holds now, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next event.
    pub(crate) fn push(&mut self, rendered: Rendered, bounds: Bounds) {
        let slot = Slot {
            rendered,
            frame: None,
        };
        self.bytes += slot.bytes();
        self.slots.push_back(slot);
        self.shrink(bounds);
    }

    /// Drops the oldest events until the bounds hold; the latest always stays.
    fn shrink(&mut self, bounds: Bounds) {
        while self.slots.len() > 1
            && (self.slots.len() > bounds.events || self.bytes > bounds.bytes)
        {
            if let Some(slot) = self.slots.pop_front() {
                self.bytes -= slot.bytes();
                self.first += 1;
            }
        }
    }

    /// The event `seq` as `transport` sends it.
    pub(crate) fn at(&mut self, seq: u64, transport: Transport) -> At {
        let Some(index) = seq.checked_sub(self.first) else {
            return At::Behind;
        };
        let slot = usize::try_from(index)
            .ok()
            .and_then(|index| self.slots.get_mut(index));
        let Some(slot) = slot else {
            return At::Ahead;
        };
        match transport {
            Transport::Sse => At::Event(slot.rendered.sse.clone()),
            Transport::Ws => {
                let envelope = &slot.rendered.envelope;
                let frame = slot.frame.get_or_insert_with(|| {
                    let frame = event_frame(envelope);
                    self.bytes += frame.len();
                    frame
                });
                At::Event(frame.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use store::{Cursor, Epoch, StoredEvent};

    use super::*;
    use crate::envelope::{Bodies, render};

    fn event(seq: u64, size: usize) -> Rendered {
        let event = StoredEvent {
            cursor: Cursor {
                epoch: Epoch(1),
                seq,
            },
            body: format!("{{\"data\":\"{}\"}}", "x".repeat(size)).into(),
        };
        render(&event, Bodies::Envelopes)
    }

    #[test]
    fn a_position_is_behind_there_or_ahead() {
        let bounds = Bounds {
            events: 2,
            bytes: 1 << 20,
        };
        let mut ring = Ring::starting_at(5);
        for seq in 5..8 {
            ring.push(event(seq, 1), bounds);
        }
        assert_eq!(ring.at(5, Transport::Sse), At::Behind);
        assert!(matches!(ring.at(6, Transport::Sse), At::Event(_)));
        assert!(matches!(ring.at(7, Transport::Ws), At::Event(_)));
        assert_eq!(ring.at(8, Transport::Sse), At::Ahead);
        assert_eq!(ring.next(), 8);
    }

    proptest! {
        #[test]
        fn bounds_hold_and_bytes_are_the_sum(
            sizes in proptest::collection::vec(0_usize..2000, 1..200),
            events in 1_usize..50,
            bytes in 1_usize..20_000,
        ) {
            let bounds = Bounds { events, bytes };
            let mut ring = Ring::starting_at(1);
            for (seq, size) in (1..).zip(&sizes) {
                ring.push(event(seq, *size), bounds);
                ring.at(seq, Transport::Ws);
                prop_assert_eq!(ring.next(), seq + 1);
                prop_assert!(ring.slots.len() <= events);
                let sum: usize = ring.slots.iter().map(Slot::bytes).sum();
                prop_assert_eq!(ring.bytes(), sum);
                let newest = ring.slots.back().map_or(0, Slot::bytes);
                prop_assert!(ring.bytes() <= bytes + newest);
            }
        }
    }
}
