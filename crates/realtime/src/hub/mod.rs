//! The hub: every followed stream is read from the log once, by one pump, and
//! shared by all of its subscribers.
//!
//! Start at [`Hub::subscribe`]. A subscriber first reads the log in pages until
//! its position is in the topic's ring, then takes from the ring. Both are
//! positions in one sequence, so replay joins live without a hole or a repeat.
//! Who falls out of the ring reads pages again, and is cut if that does not
//! bring it level in time.
//!
//! **Invariant:** memory is bounded by topics and their rings, whatever the
//! subscribers do; a topic ends when the last of them has been gone for a while.

pub(crate) mod peers;
pub(crate) mod ring;
mod subscription;
pub(crate) mod topic;
mod waiters;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use metrics::{Gauge, gauge};
use parking_lot::Mutex;
use store::{Cursor, EventLog, StoreError, StoredEvent, StreamKey, Tail, TailError};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};

use peers::Peers;
pub(crate) use subscription::{Attendance, Delivery, From, Gap, Subscription, reason_name};
use topic::Topic;
use waiters::Whom;

use crate::{
    RingLimits, Timings, envelope::Bodies, meters::Transport, presence::Presence, trace::fan_out,
};

/// Pages that are read from the log at once, by all who replay.
const PAGE_READS_MAX: usize = 32;
/// Where a pump waits before it follows the log again after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// The part of its bound that a ring keeps when all rings together are too large.
const CROWDED_SHARE: usize = 16;

/// Topics by stream, and what they share.
pub(crate) struct Hub {
    log: Arc<dyn EventLog>,
    limits: RingLimits,
    timings: Timings,
    bodies: Bodies,
    topics: Mutex<HashMap<StreamKey, Arc<Topic>>>,
    bytes: AtomicUsize,
    /// The same, of all hubs of the process, to be looked at.
    bytes_seen: Gauge,
    page_reads: Semaphore,
    /// Other nodes, where followers of the same streams are told of each other.
    peers: OnceLock<Arc<Peers>>,
}

/// A subscriber's place in a topic; dropping it gives the place back.
pub(crate) struct Seat {
    hub: Arc<Hub>,
    topic: Arc<Topic>,
    place: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.topic.leave(self.place) {
            if self.topic.started.initialized() {
                self.topic.nudge.notify_one();
            } else {
                self.hub.retire(&self.topic);
            }
        }
    }
}

impl Hub {
    pub(crate) fn new(
        log: Arc<dyn EventLog>,
        bodies: Bodies,
        limits: RingLimits,
        timings: Timings,
    ) -> Self {
        Self {
            log,
            bodies,
            limits,
            timings,
            topics: Mutex::default(),
            bytes: AtomicUsize::new(0),
            bytes_seen: gauge!("tenantry_realtime_ring_bytes"),
            page_reads: Semaphore::new(PAGE_READS_MAX),
            peers: OnceLock::new(),
        }
    }

    /// Follows `stream` from `from`.
    ///
    /// # Errors
    /// The log's, when it cannot be read.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        stream: &StreamKey,
        from: From,
        transport: Transport,
    ) -> Result<Subscription, StoreError> {
        let seat = self.enter(stream, transport);
        let topic = seat.topic.clone();
        topic.started.get_or_try_init(|| self.start(&topic)).await?;
        let bounds = self.log.bounds(stream).await?;
        Ok(Subscription::new(seat, transport, from, bounds))
    }

    /// From now on followers are told of those on other nodes; the first ones stay.
    pub(crate) fn share_with(&self, peers: Peers) {
        self.peers.get_or_init(|| Arc::new(peers));
    }

    /// Meets those who follow a stream elsewhere, now that a socket here does.
    fn meet(&self, topic: &Arc<Topic>) {
        if let Some(peers) = self.peers.get()
            && topic.begins_sharing()
        {
            tokio::spawn(Arc::clone(peers).meet(Arc::clone(topic)));
        }
    }

    fn enter(self: &Arc<Self>, stream: &StreamKey, transport: Transport) -> Seat {
        let mut topics = self.topics.lock();
        let topic = topics.entry(stream.clone()).or_insert_with(|| {
            let presence = Presence::new(self.timings.presence_grace);
            Arc::new(Topic::new(stream.clone(), self.bodies, presence))
        });
        // Under the lock of the map, so that the topic cannot retire in between.
        let place = topic.enter(transport);
        Seat {
            hub: self.clone(),
            topic: topic.clone(),
            place,
        }
    }

    async fn start(self: &Arc<Self>, topic: &Arc<Topic>) -> Result<(), StoreError> {
        let bounds = self.log.bounds(&topic.stream).await?;
        let tail = self.log.tail(&topic.stream, bounds.at_head()).await?;
        topic.start(bounds.epoch, bounds.head);
        tokio::spawn(Pump::new(self.clone(), topic.clone()).run(tail));
        Ok(())
    }

    /// Forgets the topic if nobody follows it any more.
    fn retire(&self, topic: &Arc<Topic>) -> bool {
        let mut topics = self.topics.lock();
        if !topic.is_deserted() {
            return false;
        }
        self.forget(&mut topics, topic);
        true
    }

    fn forget(&self, topics: &mut HashMap<StreamKey, Arc<Topic>>, topic: &Arc<Topic>) {
        let known = topics.get(&topic.stream);
        if known.is_some_and(|known| Arc::ptr_eq(known, topic)) {
            topics.remove(&topic.stream);
        }
    }

    /// How many topics there are.
    pub(crate) fn topics(&self) -> usize {
        self.topics.lock().len()
    }

    /// Wakes every subscriber, to notice that the server is stopping.
    pub(crate) async fn wake_all(&self) {
        let topics: Vec<_> = self.topics.lock().values().cloned().collect();
        for topic in topics {
            topic.wake(Whom::All).await;
        }
    }

    /// The bounds of each ring: small ones when all together are too large.
    fn ring_bounds(&self) -> ring::Bounds {
        let crowded = self.bytes.load(Ordering::Relaxed) > self.limits.bytes_all_topics;
        let share = if crowded { CROWDED_SHARE } else { 1 };
        ring::Bounds {
            events: self.limits.events,
            bytes: self.limits.bytes / share,
        }
    }
}

/// Follows the log for one topic until it is deserted or its position is lost.
struct Pump {
    hub: Arc<Hub>,
    topic: Arc<Topic>,
    charge: Charge,
    deserted_at: Option<Instant>,
}

/// How one step of a pump ended.
enum Step {
    Well,
    Deserted,
    Lost,
    Failed(String),
}

impl Pump {
    fn new(hub: Arc<Hub>, topic: Arc<Topic>) -> Self {
        let charge = Charge {
            hub: hub.clone(),
            bytes: 0,
        };
        Self {
            hub,
            topic,
            charge,
            deserted_at: None,
        }
    }

    async fn run(mut self, tail: Tail) {
        let mut tail = Some(tail);
        let mut retry = RETRY_FIRST;
        loop {
            let Some(live) = &mut tail else {
                sleep(retry).await;
                retry = (retry * 2).min(RETRY_MAX);
                if self.hub.retire(&self.topic) {
                    return;
                }
                tail = self.tail_again().await;
                continue;
            };
            match self.step(live).await {
                Step::Well => retry = RETRY_FIRST,
                Step::Deserted => return,
                Step::Failed(why) => {
                    tracing::warn!(%why, "a topic follows its log again");
                    tail = None;
                }
                Step::Lost => {
                    self.hub.forget(&mut self.hub.topics.lock(), &self.topic);
                    self.topic.close();
                    self.topic.wake(Whom::All).await;
                    return;
                }
            }
        }
    }

    async fn tail_again(&self) -> Option<Tail> {
        let (epoch, next) = self.topic.expects();
        let seq = next.saturating_sub(1);
        let tail = self.hub.log.tail(&self.topic.stream, Cursor { epoch, seq });
        tail.await.ok()
    }

    /// A batch of events, or what time brings.
    async fn step(&mut self, tail: &mut Tail) -> Step {
        let linger_ends = self.linger_ends();
        let told = self.topic.due();
        let due = linger_ends.into_iter().chain(told).min();
        tokio::select! {
            batch = tail.next() => {
                let told = batch.as_ref().and_then(|batch| batch.as_ref().ok());
                let told = told.map(|events| fan_out(&self.topic.stream, self.topic.bodies, events));
                let step = self.take(batch);
                self.topic.wake(Whom::All).await;
                drop(told);
                step
            }
            () = self.topic.nudge.notified() => Step::Well,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                self.topic.flush().await;
                let over = linger_ends.is_some_and(|at| at <= Instant::now());
                if over && self.hub.retire(&self.topic) {
                    return Step::Deserted;
                }
                Step::Well
            }
        }
    }

    /// When a topic without subscribers ends.
    fn linger_ends(&mut self) -> Option<Instant> {
        if !self.topic.is_deserted() {
            self.deserted_at = None;
            return None;
        }
        let since = *self.deserted_at.get_or_insert_with(Instant::now);
        Some(since + self.hub.timings.linger)
    }

    fn take(&mut self, batch: Option<Result<Vec<StoredEvent>, TailError>>) -> Step {
        match batch {
            Some(Ok(events)) => {
                let whole = self.topic.extend(&events, self.hub.ring_bounds());
                self.charge.set(self.topic.bytes());
                if whole { Step::Well } else { Step::Lost }
            }
            Some(Err(TailError::Gap(..))) => Step::Lost,
            Some(Err(TailError::Store(error))) => Step::Failed(error.to_string()),
            None => Step::Failed("the tail ended".to_owned()),
        }
    }
}

/// What a ring counts in the hub's total; dropping it gives that back.
struct Charge {
    hub: Arc<Hub>,
    bytes: usize,
}

impl Charge {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ring has less than 2^52 bytes"
    )]
    fn set(&mut self, bytes: usize) {
        let grown = bytes as f64 - self.bytes as f64;
        self.hub.bytes_seen.increment(grown);
        if bytes >= self.bytes {
            self.hub
                .bytes
                .fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.hub
                .bytes
                .fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}
