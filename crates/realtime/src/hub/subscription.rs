//! A subscription: one position in one stream.
//!
//! **Invariant:** events come out in order of seq, each once. Where that is
//! impossible a gap comes first, and it says where the events go on.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use identity::UserId;
use store::{Bounds, Cursor, Epoch, GapReason, Read, StoreError, StoredEvent};
use tokio::time::Instant;

use super::{Seat, topic::Found};
use crate::{
    envelope::render,
    frames::event_frame,
    gestures::{GestureRefused, Seen},
    meters::Transport,
    presence::{Roster, Update},
};

/// Events of one page of a replay; small, because each who replays holds one.
const PAGE_EVENTS: usize = 64;
/// Longest part of a cursor that is sent back in a gap, in bytes.
const REQUESTED_BYTES_MAX: usize = 64;

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// With the next event.
    Live,
    /// After this cursor.
    After(Cursor),
    /// After something that is no cursor.
    Malformed(String),
}

impl From {
    /// Takes a client's cursor; an empty one counts as none.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text {
            None | Some("") => Self::Live,
            Some(text) => text.parse().map_or_else(
                |_| Self::Malformed(text.chars().take(REQUESTED_BYTES_MAX).collect()),
                Self::After,
            ),
        }
    }
}

/// A cursor that cannot be honoured; everything from `bounds.oldest` follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) reason: &'static str,
    pub(crate) requested: String,
    pub(crate) bounds: Bounds,
}

/// The name of a reason on the wire.
pub(crate) fn reason_name(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Evicted => "evicted",
        GapReason::UnknownEpoch => "unknown_epoch",
        GapReason::Future => "future",
    }
}

/// What a subscription brings.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// An event, as the transport sends it.
    Event(Bytes),
    /// Something is missing here.
    Gap(Gap),
    /// The subscriber fell behind: resume with the last cursor.
    Cut,
    /// The topic ended, because its log did not go on where it was: resume with the last cursor.
    Ended,
    /// The log cannot be read.
    Failed(StoreError),
}

enum Stage {
    /// Takes events from the ring.
    Live,
    /// Waits for the bounds of the stream.
    Placing(From, BoxFuture<'static, Result<Bounds, StoreError>>),
    /// Waits for a page of the log.
    Reading(BoxFuture<'static, Result<Read, StoreError>>),
    /// Takes events from a page.
    Page(VecDeque<StoredEvent>),
}

/// One position in one stream.
pub(crate) struct Subscription {
    seat: Seat,
    transport: Transport,
    epoch: Epoch,
    /// The last event when the subscription began.
    head: u64,
    /// The seq that comes next.
    next: u64,
    /// When the end of the ring was reached last, if it was.
    level_at: Option<Instant>,
    gap: Option<Box<Gap>>,
    stage: Stage,
}

impl Subscription {
    pub(super) fn new(seat: Seat, transport: Transport, from: From, bounds: Bounds) -> Self {
        let mut subscription = Self {
            seat,
            transport,
            epoch: bounds.epoch,
            head: bounds.head,
            next: bounds.head + 1,
            level_at: None,
            gap: None,
            stage: Stage::Live,
        };
        subscription.place(from, bounds);
        subscription
    }

    fn place(&mut self, from: From, bounds: Bounds) {
        self.epoch = bounds.epoch;
        self.level_at = None;
        self.gap = None;
        let (reason, requested) = match from {
            From::Live => {
                self.next = bounds.head + 1;
                return;
            }
            From::Malformed(text) => ("malformed", text),
            From::After(cursor) => match bounds.gap(cursor) {
                None => {
                    self.next = cursor.seq + 1;
                    return;
                }
                Some(reason) => (reason_name(reason), cursor.to_string()),
            },
        };
        self.miss(reason, requested, bounds);
    }

    fn miss(&mut self, reason: &'static str, requested: String, bounds: Bounds) {
        self.epoch = bounds.epoch;
        self.next = bounds.oldest;
        self.gap = Some(Box::new(Gap {
            reason,
            requested,
            bounds,
        }));
    }

    /// The last event before the position.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            seq: self.next.saturating_sub(1),
        }
    }

    /// The last event of the stream when the subscription began.
    pub(crate) fn head(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            seq: self.head,
        }
    }

    /// Goes to another position of the same stream.
    pub(crate) fn restart(&mut self, from: From) {
        let hub = self.seat.hub.clone();
        let topic = self.seat.topic.clone();
        let bounds = Box::pin(async move { hub.log.bounds(&topic.stream).await });
        self.stage = Stage::Placing(from, bounds);
    }

    /// The next delivery.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            if let Some(gap) = self.gap.take() {
                return Poll::Ready(Delivery::Gap(*gap));
            }
            match &mut self.stage {
                Stage::Live => match ready!(self.poll_ring(cx)) {
                    Found::Event(bytes) => {
                        self.next += 1;
                        return Poll::Ready(Delivery::Event(bytes));
                    }
                    Found::Behind if !self.too_slow() => self.stage = Stage::Reading(self.page()),
                    Found::Behind => return Poll::Ready(Delivery::Cut),
                    Found::Closed => return Poll::Ready(Delivery::Ended),
                },
                Stage::Placing(from, bounds) => {
                    let answer = ready!(bounds.as_mut().poll(cx));
                    let from = std::mem::replace(from, From::Live);
                    self.stage = Stage::Live;
                    match answer {
                        Ok(bounds) => self.place(from, bounds),
                        Err(error) => return Poll::Ready(Delivery::Failed(error)),
                    }
                }
                Stage::Reading(page) => {
                    let answer = ready!(page.as_mut().poll(cx));
                    self.stage = Stage::Live;
                    if let Err(end) = self.turn(answer) {
                        return Poll::Ready(end);
                    }
                }
                Stage::Page(events) => match events.pop_front() {
                    Some(event) => return Poll::Ready(Delivery::Event(self.replay(&event))),
                    None => self.stage = Stage::Live,
                },
            }
        }
    }

    fn poll_ring(&mut self, cx: &Context<'_>) -> Poll<Found> {
        let found = self
            .seat
            .topic
            .poll_at(self.next, self.transport, self.seat.place, cx);
        if found.is_pending() {
            self.level_at = Some(Instant::now());
        }
        found
    }

    /// Who was level with the stream once must come level again in time. Who
    /// still replays may take as long as it takes.
    fn too_slow(&self) -> bool {
        let behind_max = self.seat.hub.timings.behind_max;
        self.level_at.is_some_and(|at| at.elapsed() > behind_max)
    }

    fn page(&self) -> BoxFuture<'static, Result<Read, StoreError>> {
        let hub = Arc::clone(&self.seat.hub);
        let topic = self.seat.topic.clone();
        let after = self.cursor();
        Box::pin(async move {
            // The semaphore is never closed; without a permit the read goes ahead.
            let _permit = hub.page_reads.acquire().await;
            hub.log.read(&topic.stream, Some(after), PAGE_EVENTS).await
        })
    }

    /// Takes a page that was read.
    fn turn(&mut self, answer: Result<Read, StoreError>) -> Result<(), Delivery> {
        match answer {
            Ok(Read::Page { events, .. }) if events.is_empty() => Err(Delivery::Failed(
                StoreError::Corrupt("events of a stream are missing".to_owned()),
            )),
            Ok(Read::Page { events, .. }) => {
                self.stage = Stage::Page(events.into());
                Ok(())
            }
            Ok(Read::Gap { reason, bounds }) => {
                let requested = self.cursor().to_string();
                self.miss(reason_name(reason), requested, bounds);
                Ok(())
            }
            Err(error) => Err(Delivery::Failed(error)),
        }
    }

    fn replay(&mut self, event: &StoredEvent) -> Bytes {
        self.next = event.cursor.seq + 1;
        let rendered = render(event, self.seat.topic.bodies);
        match self.transport {
            Transport::Sse => rendered.sse,
            Transport::Ws => event_frame(&rendered.envelope),
        }
    }

    /// Takes part in the presence of the stream.
    pub(crate) fn join(&self, user: &UserId) -> (Attendance, Roster) {
        let roster = self.seat.topic.join(user);
        self.seat.hub.meet(&self.seat.topic);
        let attendance = Attendance {
            topic: self.seat.topic.clone(),
            user: user.clone(),
            seen: roster.version,
            gestures: Seen::default(),
        };
        (attendance, roster)
    }
}

/// A socket's part in the presence and the gestures of its stream; dropping it ends that.
pub(crate) struct Attendance {
    topic: Arc<super::Topic>,
    user: UserId,
    seen: u64,
    gestures: Seen,
}

impl Attendance {
    /// Shows another state to the others.
    pub(crate) fn show(
        &self,
        state: Box<serde_json::value::RawValue>,
    ) -> Result<(), crate::presence::StateRefused> {
        self.topic.show(&self.user, state)
    }

    /// Makes a gesture, to be told to the others.
    pub(crate) fn gesture(
        &self,
        kind: &str,
        data: &serde_json::value::RawValue,
    ) -> Result<(), GestureRefused> {
        self.topic.gesture(&self.user, kind, data)
    }

    /// The next change that concerns others, as a frame. Its waker is the
    /// subscription's.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let presence = self.next_presence();
        presence.or_else(|| self.topic.gestures_after(&mut self.gestures, &self.user))
    }

    fn next_presence(&mut self) -> Option<Bytes> {
        while let Some(Update { version, change }) = self.topic.presence_after(self.seen) {
            self.seen = version;
            let frame = change.frame_for(&self.user);
            if frame.is_some() {
                return frame;
            }
        }
        None
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.topic.part(&self.user);
    }
}
