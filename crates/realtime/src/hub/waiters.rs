//! Who waits for the next event of a topic.
//!
//! **Invariant:** a subscriber has at most one waker here, and it leaves with
//! the subscriber: an idle topic does not keep the memory of those who left.

use std::task::Waker;

use crate::meters::Transport;

/// Wakers taken out at once; between two such steps others may use the topic.
pub(crate) const WAKE_STEP: usize = 64;

struct Place {
    waker: Option<Waker>,
    transport: Transport,
}

/// Places of subscribers, reused when they leave.
#[derive(Default)]
pub(crate) struct Waiters {
    places: Vec<Option<Place>>,
    free: Vec<usize>,
}

/// Which subscribers to wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// All of them.
    All,
    /// Those of WebSockets.
    Sockets,
}

impl Waiters {
    /// A place for one subscriber.
    pub(crate) fn enter(&mut self, transport: Transport) -> usize {
        let place = Some(Place {
            waker: None,
            transport,
        });
        let reused = self.free.pop();
        match reused.and_then(|at| Some((at, self.places.get_mut(at)?))) {
            Some((at, empty)) => {
                *empty = place;
                at
            }
            None => {
                self.places.push(place);
                self.places.len() - 1
            }
        }
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self, at: usize) {
        if let Some(place) = self.places.get_mut(at)
            && place.take().is_some()
        {
            self.free.push(at);
        }
        if self.is_empty() {
            // After a storm the memory of its places is returned.
            *self = Self::default();
        }
    }

    /// How many have a place.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether nobody has one.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes that the subscriber at `at` waits.
    pub(crate) fn wait(&mut self, at: usize, waker: &Waker) {
        if let Some(Some(place)) = self.places.get_mut(at) {
            match &mut place.waker {
                Some(known) => known.clone_from(waker),
                None => place.waker = Some(waker.clone()),
            }
        }
    }

    /// Takes up to [`WAKE_STEP`] wakers from place `from` on; returns where to
    /// go on, or `None` at the end.
    pub(crate) fn take(&mut self, from: usize, whom: Whom, out: &mut Vec<Waker>) -> Option<usize> {
        for (at, place) in self.places.iter_mut().enumerate().skip(from) {
            if out.len() == WAKE_STEP {
                return Some(at);
            }
            let wanted = |place: &&mut Place| whom == Whom::All || place.transport == Transport::Ws;
            out.extend(
                place
                    .as_mut()
                    .filter(wanted)
                    .and_then(|place| place.waker.take()),
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused_and_wakers_are_taken_once() {
        let mut waiters = Waiters::default();
        let first = waiters.enter(Transport::Sse);
        let second = waiters.enter(Transport::Ws);
        waiters.leave(first);
        assert_eq!(waiters.enter(Transport::Sse), first);
        waiters.wait(first, Waker::noop());
        waiters.wait(second, Waker::noop());
        let mut out = Vec::new();
        assert_eq!(waiters.take(0, Whom::Sockets, &mut out), None);
        assert_eq!(out.len(), 1);
        assert_eq!(waiters.take(0, Whom::All, &mut out), None);
        assert_eq!(out.len(), 2);
        assert_eq!(waiters.take(0, Whom::All, &mut out), None);
        assert_eq!(out.len(), 2);
        assert_eq!(waiters.len(), 2);
    }

    #[test]
    fn many_are_taken_in_steps() {
        let mut waiters = Waiters::default();
        for _ in 0..WAKE_STEP + 1 {
            let at = waiters.enter(Transport::Sse);
            waiters.wait(at, Waker::noop());
        }
        let mut out = Vec::new();
        assert_eq!(waiters.take(0, Whom::All, &mut out), Some(WAKE_STEP));
        out.clear();
        assert_eq!(waiters.take(WAKE_STEP, Whom::All, &mut out), None);
        assert_eq!(out.len(), 1);
    }
}
