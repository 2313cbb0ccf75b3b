//! A topic: one stream that is followed live, by one pump for all subscribers.

use std::task::{Context, Poll};

use bytes::Bytes;
use identity::UserId;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use smol_str::SmolStr;
use store::{Epoch, StoredEvent, StreamKey};
use tokio::{
    sync::{Notify, OnceCell},
    time::Instant,
};

use super::{
    ring::{At, Bounds, Ring},
    waiters::{WAKE_STEP, Waiters, Whom},
};
use crate::{
    envelope::{Bodies, render},
    gestures::{GestureRefused, Gestures, Seen, Taken},
    meters::Transport,
    presence::{News, Presence, Roster, StateRefused, Update},
};

/// A stream with at least one subscriber, or one that left just now.
pub(crate) struct Topic {
    pub(super) stream: StreamKey,
    pub(super) bodies: Bodies,
    /// Set once the pump runs; before that the first subscribers wait.
    pub(super) started: OnceCell<()>,
    /// Tells the pump that there is something to do by and by.
    pub(super) nudge: Notify,
    /// Tells the meeting with other nodes that there is something to tell them.
    pub(super) news: Notify,
    state: Mutex<State>,
    /// Behind a lock of their own, so that many of them do not hold up events.
    gestures: Mutex<Gestures>,
}

struct State {
    epoch: Epoch,
    ring: Ring,
    waiters: Waiters,
    presence: Presence,
    /// Set when the topic cannot go on: its subscribers are cut and resume elsewhere.
    closed: bool,
}

/// What followers on other nodes are to be told.
pub(super) struct TopicNews {
    pub(super) members: News,
    pub(super) gestures: Vec<(UserId, SmolStr, Box<RawValue>)>,
    /// Whether gestures are left, because these are many.
    pub(super) more_gestures: bool,
    /// Whether someone is gone who may come back.
    pub(super) someone_may_return: bool,
}

/// What a subscriber finds at its position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The event.
    Event(Bytes),
    /// The position is no longer in the ring.
    Behind,
    /// The topic has ended.
    Closed,
}

impl Topic {
    pub(super) fn new(stream: StreamKey, bodies: Bodies, presence: Presence) -> Self {
        Self {
            stream,
            bodies,
            started: OnceCell::new(),
            nudge: Notify::new(),
            news: Notify::new(),
            state: Mutex::new(State {
                epoch: Epoch(0),
                ring: Ring::starting_at(1),
                waiters: Waiters::default(),
                presence,
                closed: false,
            }),
            gestures: Mutex::default(),
        }
    }

    /// Begins to hold what follows `head`.
    pub(super) fn start(&self, epoch: Epoch, head: u64) {
        let mut state = self.state.lock();
        state.epoch = epoch;
        state.ring = Ring::starting_at(head + 1);
    }

    pub(super) fn enter(&self, transport: Transport) -> usize {
        self.state.lock().waiters.enter(transport)
    }

    /// Gives a place back; says whether it was the last.
    pub(super) fn leave(&self, place: usize) -> bool {
        let mut state = self.state.lock();
        state.waiters.leave(place);
        state.waiters.is_empty()
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.state.lock().waiters.is_empty()
    }

    /// The life of the log and the seq that the pump expects next.
    pub(super) fn expects(&self) -> (Epoch, u64) {
        let state = self.state.lock();
        (state.epoch, state.ring.next())
    }

    /// What the ring holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.state.lock().ring.bytes()
    }

    /// Adds events that follow what is there. Events that are known are
    /// skipped; `false` says that one was missing.
    pub(super) fn extend(&self, events: &[StoredEvent], bounds: Bounds) -> bool {
        let mut state = self.state.lock();
        for event in events {
            let next = state.ring.next();
            if event.cursor.epoch != state.epoch || event.cursor.seq > next {
                return false;
            }
            if event.cursor.seq == next {
                state.ring.push(render(event, self.bodies), bounds);
            }
        }
        true
    }

    /// Ends the topic for all of its subscribers.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Wakes those who wait, in steps that let others run: a large topic does
    /// not keep its worker from the requests of another tenant, nor from the
    /// acknowledgement of the next message.
    pub(super) async fn wake(&self, whom: Whom) {
        let mut step = Vec::with_capacity(WAKE_STEP);
        let mut from = Some(0);
        while let Some(at) = from {
            from = self.state.lock().waiters.take(at, whom, &mut step);
            for waker in step.drain(..) {
                waker.wake();
            }
            if from.is_some() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The event `seq`, or a place among those who wait for it.
    pub(super) fn poll_at(
        &self,
        seq: u64,
        transport: Transport,
        place: usize,
        cx: &Context<'_>,
    ) -> Poll<Found> {
        let mut state = self.state.lock();
        if state.closed {
            return Poll::Ready(Found::Closed);
        }
        match state.ring.at(seq, transport) {
            At::Event(bytes) => Poll::Ready(Found::Event(bytes)),
            At::Behind => Poll::Ready(Found::Behind),
            At::Ahead => {
                state.waiters.wait(place, cx.waker());
                Poll::Pending
            }
        }
    }

    /// A member is there; returns who else is known to be.
    pub(crate) fn join(&self, user: &UserId) -> Roster {
        let roster = {
            let mut state = self.state.lock();
            state.presence.join(user);
            state.presence.roster()
        };
        self.tell();
        roster
    }

    /// What a member does is told: here by the pump, and elsewhere by the meeting with other nodes.
    fn tell(&self) {
        self.nudge.notify_one();
        self.news.notify_one();
    }

    /// One socket of a member is gone.
    pub(crate) fn part(&self, user: &UserId) {
        self.state.lock().presence.part(user, Instant::now());
        self.tell();
    }

    /// A member shows another state.
    pub(crate) fn show(&self, user: &UserId, shown: Box<RawValue>) -> Result<(), StateRefused> {
        self.state.lock().presence.show(user, shown)?;
        self.tell();
        Ok(())
    }

    /// The next change of presence after `seen`, if there is one.
    pub(crate) fn presence_after(&self, seen: u64) -> Option<Update> {
        self.state.lock().presence.after(seen)
    }

    /// A member makes a gesture.
    pub(crate) fn gesture(
        &self,
        user: &UserId,
        kind: &str,
        data: &RawValue,
    ) -> Result<(), GestureRefused> {
        let taken = self.gestures.lock().put(user, kind, data, Instant::now())?;
        if taken == Taken::Due {
            self.nudge.notify_one();
        }
        self.news.notify_one();
        Ok(())
    }

    /// Begins to keep what other nodes are to be told; `false` when that is so already.
    pub(super) fn begins_sharing(&self) -> bool {
        let mut state = self.state.lock();
        if state.presence.is_shared() {
            return false;
        }
        state.presence.share();
        self.gestures.lock().share(true);
        true
    }

    /// Ends that if nobody is here, and others know it.
    pub(super) fn ends_sharing(&self) -> bool {
        let mut state = self.state.lock();
        let over = state.presence.ends_sharing();
        if over {
            self.gestures.lock().share(false);
        }
        over
    }

    /// Other nodes are told of all members here once more.
    pub(super) fn renew_news(&self) {
        self.state.lock().presence.share();
        self.news.notify_one();
    }

    /// What other nodes are to be told now, with about so many bytes of gestures.
    pub(super) fn take_news(&self, gesture_bytes: usize) -> TopicNews {
        let mut state = self.state.lock();
        let members = state.presence.take_news(Instant::now());
        let someone_may_return = state.presence.has_news();
        drop(state);
        let mut own = self.gestures.lock();
        TopicNews {
            members,
            gestures: own.take_news(gesture_bytes),
            more_gestures: own.has_news(),
            someone_may_return,
        }
    }

    /// A member is on another node.
    pub(super) fn here_on(&self, node: u64, user: &UserId, shown: Option<Box<RawValue>>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.presence.here_on(node, user, shown, now);
        drop(state);
        self.nudge.notify_one();
    }

    /// A member is not on that node any more.
    pub(super) fn gone_from(&self, node: u64, user: &UserId) {
        let now = Instant::now();
        self.state.lock().presence.gone_from(node, user, now);
        self.nudge.notify_one();
    }

    /// A member makes a gesture on another node; what may not be is left out.
    pub(super) fn gesture_elsewhere(&self, user: &UserId, kind: &str, data: &RawValue) {
        let taken = self.gestures.lock().take(user, kind, data, Instant::now());
        if taken == Ok(Taken::Due) {
            self.nudge.notify_one();
        }
    }

    /// Gestures of others that changed since `seen`, if they were told.
    pub(crate) fn gestures_after(&self, seen: &mut Seen, own: &UserId) -> Option<Bytes> {
        self.gestures.lock().after(seen, own)
    }

    /// When presence or gestures have something to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        let presence = self.state.lock().presence.due(Instant::now());
        let gestures = self.gestures.lock().due();
        presence.into_iter().chain(gestures).min()
    }

    /// Tells what is due.
    pub(super) async fn flush(&self) {
        let now = Instant::now();
        let presence = self.state.lock().presence.flush(now);
        let gestures = self.gestures.lock().flush(now);
        if presence || gestures {
            self.wake(Whom::Sockets).await;
        }
    }
}
