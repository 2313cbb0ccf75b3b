//! Subscribers: one thread, as cheap as it can be, because the server needs the cores.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::{JoinSet, LocalSet},
};

use super::target::{Target, Transport, stamp};
use crate::{
    stats::Latencies,
    wire::{
        frame::{self, Frames},
        http::{Connection, status},
        sse::Events,
    },
};

const READ_BYTES: usize = 16 * 1024;
const PUBLISHERS: u32 = 4;
/// Connections that are being opened at once: fewer than a listener's backlog.
const OPENING_MAX: usize = 128;
/// How long all subscriptions may take to open.
const OPEN_MAX: Duration = Duration::from_secs(60);
/// How long the last deliveries may take after the last publication.
pub(super) const DRAIN_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);

/// What a flood came to.
pub(super) struct Flood {
    pub(super) expected: u64,
    pub(super) delivered: u64,
    /// From the first publication to the last delivery.
    pub(super) took: Duration,
    /// The rate that the publisher reached.
    pub(super) published_per_s: f64,
    pub(super) latencies: Latencies,
}

impl Flood {
    pub(super) fn deliveries_per_s(&self) -> f64 {
        self.delivered as f64 / self.took.as_secs_f64()
    }

    /// Deliveries that did not come.
    pub(super) fn missing(&self) -> u64 {
        self.expected - self.delivered
    }
}

/// Publishes `events` at `per_s` to `subscribers` and waits for all deliveries. Publishers and subscribers are
/// spread evenly over `targets`, the nodes of one stream.
///
/// # Errors
/// When a stream breaks, does not open, or brings more than was published.
pub(super) fn flood(
    targets: &[Target],
    transport: Transport,
    subscribers: usize,
    per_s: u32,
    events: u32,
) -> Result<Flood> {
    let crowd = Crowd::open(targets, transport, subscribers)?;
    let expected = subscribers as u64 * u64::from(events);
    let first = crowd.clock.elapsed();
    publish(&crowd.clock, per_s, events, |publisher| {
        let target = targets.get(publisher as usize % targets.len());
        let target = target.context("a node to publish at")?;
        let mut connection = Connection::open(target.addr)?;
        Ok(move |at| target.publish(&mut connection, at))
    })?;
    let publishing = crowd.clock.elapsed() - first;
    let deadline = Instant::now() + DRAIN_MAX;
    while crowd.seen.delivered.load(Ordering::Relaxed) < expected && Instant::now() < deadline {
        thread::sleep(POLL);
    }
    let last = Duration::from_nanos(crowd.seen.last_ns.load(Ordering::Relaxed));
    let delivered = crowd.seen.delivered.load(Ordering::Relaxed);
    let latencies = crowd.close()?;
    if delivered > expected {
        bail!("{delivered} deliveries of {expected}");
    }
    Ok(Flood {
        expected,
        delivered,
        took: last.saturating_sub(first),
        published_per_s: f64::from(events) / publishing.as_secs_f64(),
        latencies,
    })
}

/// Publishes at a steady pace over a few connections, so that one slow
/// acknowledgement holds back none of the others' events. Nothing is skipped.
/// `connect` makes the connection of a publisher, which takes the time of each event.
pub(super) fn publish<P: FnMut(u64) -> Result<()>>(
    clock: &Instant,
    per_s: u32,
    events: u32,
    connect: impl Fn(u32) -> Result<P> + Sync,
) -> Result<()> {
    let started = Instant::now();
    let connect = &connect;
    thread::scope(|scope| {
        let publisher = |first: u32| {
            move || -> Result<()> {
                let mut publish = connect(first)?;
                for event in (first..events).step_by(PUBLISHERS as usize) {
                    let due = Duration::from_secs(1) * event / per_s;
                    thread::sleep(due.saturating_sub(started.elapsed()));
                    publish(u64::try_from(clock.elapsed().as_nanos())?)?;
                }
                Ok(())
            }
        };
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|first| scope.spawn(publisher(first)))
            .collect();
        publishers.into_iter().try_for_each(|publisher| {
            let published = publisher.join();
            published.map_err(|_| anyhow!("a publisher panicked"))?
        })
    })
}

/// Subscriptions that receive nothing.
pub(super) struct Idle(Crowd);

impl Idle {
    /// Opens `count` subscriptions.
    ///
    /// # Errors
    /// When one does not open.
    pub(super) fn open(target: &Target, transport: Transport, count: usize) -> Result<Self> {
        Crowd::open(std::slice::from_ref(target), transport, count).map(Self)
    }

    /// Closes them.
    ///
    /// # Errors
    /// When one of them broke meanwhile.
    pub(super) fn close(self) -> Result<()> {
        self.0.close().map(drop)
    }
}

/// What all subscribers saw, readable while they run.
#[derive(Default)]
struct Seen {
    opened: AtomicUsize,
    delivered: AtomicU64,
    last_ns: AtomicU64,
}

/// All subscribers, on a thread of their own.
struct Crowd {
    clock: Instant,
    seen: Arc<Seen>,
    stop: watch::Sender<bool>,
    reader: JoinHandle<Result<Latencies>>,
}

impl Crowd {
    fn open(targets: &[Target], transport: Transport, count: usize) -> Result<Self> {
        let clock = Instant::now();
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = watch::channel(false);
        let (broken, trouble) = mpsc::channel();
        let plan = Plan {
            ways: targets
                .iter()
                .map(|target| (target.addr, target.subscribe(transport)))
                .collect(),
            transport,
            clock,
            seen: seen.clone(),
            stopped,
        };
        let reader = thread::spawn(move || {
            let read = read_all(&plan, count);
            if let Err(error) = &read {
                // Nobody waits for it once all are open.
                let _late = broken.send(format!("{error:#}"));
            }
            read
        });
        while seen.opened.load(Ordering::Relaxed) < count {
            if let Ok(error) = trouble.try_recv() {
                bail!("a subscription broke: {error}");
            }
            if clock.elapsed() > OPEN_MAX {
                bail!(
                    "only {} of {count} subscriptions opened",
                    seen.opened.load(Ordering::Relaxed)
                );
            }
            thread::sleep(POLL);
        }
        Ok(Self {
            clock,
            seen,
            stop,
            reader,
        })
    }

    fn close(self) -> Result<Latencies> {
        self.stop.send_replace(true);
        let read = self.reader.join();
        read.map_err(|_| anyhow!("the subscribers panicked"))?
    }
}

/// What each subscriber does.
#[derive(Clone)]
struct Plan {
    /// Where to subscribe, and the bytes that do; subscribers take turns.
    ways: Arc<[(SocketAddr, Vec<u8>)]>,
    transport: Transport,
    clock: Instant,
    seen: Arc<Seen>,
    stopped: watch::Receiver<bool>,
}

fn read_all(plan: &Plan, count: usize) -> Result<Latencies> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let opening = Arc::new(tokio::sync::Semaphore::new(OPENING_MAX));
        let mut subscribers = JoinSet::new();
        for at in 0..count {
            let permit = opening.clone().acquire_owned().await?;
            let plan = plan.clone();
            subscribers.spawn_local(async move {
                let stream = open(&plan, at).await?;
                drop(permit);
                read(&plan, stream).await
            });
        }
        let mut latencies = Latencies::new();
        while let Some(subscriber) = subscribers.join_next().await {
            latencies.merge(&subscriber??);
        }
        Ok(latencies)
    })
}

/// A connection whose head was read, and what came after it.
struct Opened {
    stream: TcpStream,
    parser: Parser,
    rest: Vec<u8>,
}

async fn open(plan: &Plan, at: usize) -> Result<Opened> {
    let way = plan.ways.get(at % plan.ways.len());
    let (addr, request) = way.context("a node to subscribe at")?;
    let mut stream = TcpStream::connect(addr).await.context("connecting")?;
    stream.write_all(request).await?;
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            bail!("the server ended the connection");
        }
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let head = String::from_utf8(bytes)?;
            if !matches!(status(&head), Some(200 | 101)) {
                bail!("no stream: {head}");
            }
            plan.seen.opened.fetch_add(1, Ordering::Relaxed);
            let parser = Parser::new(plan.transport, &head);
            return Ok(Opened {
                stream,
                parser,
                rest,
            });
        }
    }
}

/// Reads until told to stop.
async fn read(plan: &Plan, opened: Opened) -> Result<Latencies> {
    let Opened {
        mut stream,
        mut parser,
        rest,
    } = opened;
    let mut stopped = plan.stopped.clone();
    let mut latencies = Latencies::new();
    let mut buffer = vec![0; READ_BYTES];
    if let Some(pong) = parser.take(plan, &rest, &mut latencies)? {
        stream.write_all(&pong).await?;
    }
    loop {
        let count = tokio::select! {
            count = stream.read(&mut buffer) => count?,
            _ = stopped.wait_for(|stop| *stop) => return Ok(latencies),
        };
        if count == 0 {
            bail!("the server ended a stream");
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        if let Some(pong) = parser.take(plan, bytes, &mut latencies)? {
            stream.write_all(&pong).await?;
        }
    }
}

enum Parser {
    Sse(Events),
    WebSocket(Frames),
}

impl Parser {
    fn new(transport: Transport, head: &str) -> Self {
        match transport {
            Transport::Sse => Self::Sse(Events::after(head)),
            Transport::WebSocket => Self::WebSocket(Frames::default()),
        }
    }

    /// Takes what was read; returns the answer to a ping, if there was one.
    fn take(
        &mut self,
        plan: &Plan,
        bytes: &[u8],
        latencies: &mut Latencies,
    ) -> Result<Option<Vec<u8>>> {
        let now = plan.clock.elapsed();
        let mut pong = None;
        let mut count = 0;
        let mut note = |event: &[u8]| {
            if let Some(at) = stamp(event) {
                latencies.record(now.saturating_sub(Duration::from_nanos(at)));
                count += 1;
            }
        };
        match self {
            Self::Sse(events) => {
                events.feed(bytes)?;
                while let Some(block) = events.next_block()? {
                    note(block.as_bytes());
                }
            }
            Self::WebSocket(frames) => {
                frames.feed(bytes);
                while let Some((opcode, payload)) = frames.next()? {
                    match opcode {
                        frame::TEXT => note(payload),
                        frame::PING => pong = Some(frame::encode(frame::PONG, payload)),
                        frame::CLOSE => bail!("the server closed a WebSocket"),
                        _ => {}
                    }
                }
            }
        }
        if count > 0 {
            plan.seen.delivered.fetch_add(count, Ordering::Relaxed);
            let now = u64::try_from(now.as_nanos())?;
            plan.seen.last_ns.fetch_max(now, Ordering::Relaxed);
        }
        Ok(pong)
    }
}
