//! The realtime service: what the routes, and embedders, call.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use identity::{Clock, Entropy, Guard, Recorded, Recording, Scope};
use parking_lot::Mutex;
use store::{Appended, Bounds, Bus, Cursor, Documents, EventLog, Read, StoreError, Throttle};

use crate::{
    Backlog, Canvases, Message, RealtimeConfig, RealtimeError, Registry, RingLimits, RouteKey,
    SnippetSink, Tickets,
    envelope::Bodies,
    hub::{From, Hub, Subscription, peers::Peers},
    limits::{Connection, Limits},
    meters::{Meters, Transport},
    publish::Publisher,
    record::{Followed, Opened},
    watch::Watch,
};

/// What the service stands on.
pub struct RealtimeDeps {
    /// Keeps threads and canvases.
    pub documents: Arc<dyn Documents>,
    /// Keeps events.
    pub log: Arc<dyn EventLog>,
    /// Keeps rates.
    pub throttle: Arc<dyn Throttle>,
    /// Gives tickets; made first, because the guard needs it.
    pub tickets: Arc<Tickets>,
    /// Rechecks and renews open streams.
    pub guard: Arc<Guard>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Where streams and messages are recorded.
    pub recording: Recording,
    /// Settings.
    pub config: RealtimeConfig,
}

/// Threads and canvases, their events, and those who follow them.
pub struct Realtime {
    pub(crate) registry: Registry,
    pub(crate) canvases: Canvases,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) config: RealtimeConfig,
    pub(crate) recording: Recording,
    pub(crate) meters: Arc<Meters>,
    pub(crate) publisher: Publisher,
    log: Arc<dyn EventLog>,
    hub: Arc<Hub>,
    /// The hubs of the rails over other logs.
    rails: Mutex<Vec<Arc<Hub>>>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) snippets: OnceLock<Arc<dyn SnippetSink>>,
    pub(crate) backlog: OnceLock<Weak<dyn Backlog>>,
    draining: AtomicBool,
    spread: Mutex<Duration>,
}

/// A page of a thread's events.
pub(crate) struct History {
    pub(crate) events: Vec<store::StoredEvent>,
    pub(crate) bounds: Bounds,
    pub(crate) gap: Option<store::GapReason>,
}

/// A stream that was opened.
pub(crate) struct OpenedStream {
    pub(crate) watch: Watch,
    pub(crate) subscription: Subscription,
    /// The record of that; `None` where nothing is recorded.
    pub(crate) recorded: Option<Recorded>,
}

impl Realtime {
    /// A service over `deps`.
    #[must_use]
    pub fn new(deps: RealtimeDeps) -> Arc<Self> {
        let RealtimeDeps {
            documents,
            log,
            throttle,
            tickets,
            guard,
            clock,
            entropy,
            recording,
            config,
        } = deps;
        let meters = Arc::new(Meters::new());
        let limits = Arc::new(Limits::new(throttle, config.limits.clone()));
        let publisher = Publisher::new(
            log.clone(),
            limits.clone(),
            clock.clone(),
            config.retention,
            meters.clone(),
        );
        Arc::new(Self {
            canvases: Canvases::new(documents.clone(), clock.clone(), entropy.clone()),
            registry: Registry::new(documents, clock, entropy.clone()),
            hub: Arc::new(Hub::new(
                log.clone(),
                Bodies::Envelopes,
                config.ring,
                config.timings.clone(),
            )),
            rails: Mutex::default(),
            tickets,
            guard,
            entropy,
            config,
            recording,
            meters,
            publisher,
            log,
            limits,
            snippets: OnceLock::new(),
            backlog: OnceLock::new(),
            draining: AtomicBool::new(false),
            spread: Mutex::new(Duration::ZERO),
        })
    }

    /// From now on `sink` takes over the messages of threads that want it; the first one stays.
    pub fn hand_snippets_to(&self, sink: Arc<dyn SnippetSink>) {
        self.snippets.get_or_init(|| sink);
    }

    /// From now on followers of a stream are told of those on other nodes, over `bus`: who is there, and
    /// gestures. The first one stays.
    pub fn meet_over(&self, bus: Arc<dyn Bus>) {
        self.hub.share_with(Peers::new(bus, &*self.entropy));
    }

    /// The registry of threads.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Publishes a message, and records it; durable when this returns.
    ///
    /// # Errors
    /// [`RealtimeError::Invalid`], [`RealtimeError::Throttled`], [`RealtimeError::IdempotencyConflict`],
    /// [`RealtimeError::Store`].
    pub async fn publish(
        &self,
        scope: &Scope,
        route: &RouteKey,
        message: &Message,
    ) -> Result<Appended, RealtimeError> {
        let answer = self.post(scope, route, message).await;
        // A degraded record is logged; there is nobody else here to tell.
        let _ = self.record_post(scope, route, &answer).await;
        answer
    }

    /// Publishes a message that its route records.
    pub(crate) async fn post(
        &self,
        scope: &Scope,
        route: &RouteKey,
        message: &Message,
    ) -> Result<Appended, RealtimeError> {
        let envelope = self.publisher.admit(scope, route, message).await?;
        self.append(scope, route, envelope, message).await
    }

    /// Reads a page of a thread; from the oldest event where `after` cannot be honoured.
    pub(crate) async fn history(
        &self,
        route: &RouteKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<History, RealtimeError> {
        let stream = route.stream();
        let mut gap = None;
        let mut read = self.log.read(stream, after, limit).await?;
        if let Read::Gap { reason, .. } = read {
            gap = Some(reason);
            read = self.log.read(stream, None, limit).await?;
        }
        let (events, bounds) = match read {
            Read::Page { events, bounds } => (events, bounds),
            Read::Gap { bounds, .. } => (Vec::new(), bounds),
        };
        Ok(History {
            events,
            bounds,
            gap,
        })
    }

    /// Opens a stream: a place among the tenant's streams, a position, a watch over the access.
    pub(crate) async fn open(
        self: &Arc<Self>,
        scope: Scope,
        route: &RouteKey,
        from: From,
        transport: Transport,
    ) -> Result<OpenedStream, RealtimeError> {
        let followed = Followed::of(self, route, transport);
        let subscribe = self.hub.subscribe(route.stream(), from, transport);
        self.open_with(scope, followed, subscribe).await
    }

    /// See [`Realtime::open`]; `subscribe` begins when there is a place for the stream.
    pub(crate) async fn open_with(
        self: &Arc<Self>,
        scope: Scope,
        followed: Followed,
        subscribe: impl Future<Output = Result<Subscription, StoreError>>,
    ) -> Result<OpenedStream, RealtimeError> {
        let connection = self.connect(&scope)?;
        let subscription = subscribe.await?;
        let opened = Opened::new(self.recording.clone(), followed, connection);
        let watch = Watch::new(self.clone(), scope, opened);
        let recorded = watch.record_opening().await;
        Ok(OpenedStream {
            watch,
            subscription,
            recorded,
        })
    }

    fn connect(&self, scope: &Scope) -> Result<Connection, RealtimeError> {
        if self.draining() {
            return Err(RealtimeError::Draining);
        }
        self.limits.connect(scope.tenant())
    }

    /// Streams that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.limits.connections()
    }

    /// Streams of the log that are followed now.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.hubs().iter().map(|hub| hub.topics()).sum()
    }

    fn hubs(&self) -> Vec<Arc<Hub>> {
        let mut hubs = self.rails.lock().clone();
        hubs.push(Arc::clone(&self.hub));
        hubs
    }

    /// A hub over another log, whose followers are told of a drain as all others are.
    pub(crate) fn hub_over(&self, log: Arc<dyn EventLog>, ring: RingLimits) -> Arc<Hub> {
        let timings = self.config.timings.clone();
        let hub = Arc::new(Hub::new(log, Bodies::Whole, ring, timings));
        self.rails.lock().push(Arc::clone(&hub));
        hub
    }

    /// Whether the service is stopping.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// A moment of the time over which a drain is spread.
    pub(crate) fn drain_delay(&self) -> Duration {
        self.jitter(*self.spread.lock())
    }

    /// Closes all streams: new ones are refused from now on, open ones are told
    /// at moments spread over `spread`, and closed. Ends when all are closed, at
    /// the latest after `deadline`; returns how many were left open.
    pub async fn drain(&self, spread: Duration, deadline: Duration) -> usize {
        *self.spread.lock() = spread;
        self.draining.store(true, Ordering::SeqCst);
        let closed = async {
            for hub in self.hubs() {
                hub.wake_all().await;
            }
            self.limits.all_closed().await;
        };
        let _ = tokio::time::timeout(deadline, closed).await;
        self.connections()
    }

    /// A time from zero to `most`, evenly drawn.
    pub(crate) fn jitter(&self, most: Duration) -> Duration {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        most.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
    }
}
