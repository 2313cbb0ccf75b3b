//! The baseline on Redis: every subscriber reads the stream itself, `XREAD BLOCK` on a connection of its own.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, Connection, aio::MultiplexedConnection,
};
use tokio::task::{JoinSet, LocalSet};

use super::{
    EVENTS, EVENTS_PER_S, SUBSCRIBERS,
    client::{DRAIN_MAX, Flood, publish},
    target::{data, stamp},
};
use crate::stats::Latencies;

const STREAM: &str = "flood";
/// How long a read waits for the next event.
const BLOCK_MS: u64 = 500;

/// An entry: its id, its one field and the value.
type Entry = (String, (String, Vec<u8>));

/// What a reader came to.
struct Read {
    delivered: u64,
    last: Duration,
    latencies: Latencies,
}

/// Floods a stream of the empty server at `url`.
///
/// # Errors
/// When a connection breaks.
pub(super) fn flood(url: &str) -> Result<Flood> {
    let client = Client::open(url)?;
    let clock = Instant::now();
    let (opened, open) = mpsc::channel();
    let reading = thread::spawn({
        let client = client.clone();
        move || read_all(&client, clock, &opened)
    });
    open.recv().context("the readers did not connect")?;
    let first = clock.elapsed();
    publish(&clock, EVENTS_PER_S, EVENTS, |_| {
        let mut connection = client.get_connection()?;
        Ok(move |at| add(&mut connection, at))
    })?;
    let publishing = clock.elapsed() - first;
    let read = reading.join();
    let read = read.map_err(|_| anyhow!("the readers panicked"))??;
    Ok(Flood {
        expected: SUBSCRIBERS as u64 * u64::from(EVENTS),
        delivered: read.delivered,
        took: read.last.saturating_sub(first),
        published_per_s: f64::from(EVENTS) / publishing.as_secs_f64(),
        latencies: read.latencies,
    })
}

fn add(connection: &mut Connection, at: u64) -> Result<()> {
    let mut add = redis::cmd("XADD");
    add.arg(STREAM).arg("*").arg("b").arg(data(at));
    Ok(add.exec(connection)?)
}

/// Reads with all subscribers on this thread; `opened` is told when they are connected.
fn read_all(client: &Client, clock: Instant, opened: &mpsc::Sender<()>) -> Result<Read> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut readers = JoinSet::new();
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        for _ in 0..SUBSCRIBERS {
            let connection = client.get_multiplexed_async_connection_with_config(&patient);
            readers.spawn_local(read(connection.await?, clock));
        }
        opened.send(())?;
        let mut all = Read {
            delivered: 0,
            last: Duration::ZERO,
            latencies: Latencies::new(),
        };
        while let Some(reader) = readers.join_next().await {
            let reader = reader??;
            all.delivered += reader.delivered;
            all.last = all.last.max(reader.last);
            all.latencies.merge(&reader.latencies);
        }
        Ok(all)
    })
}

/// Reads until all events came, or none comes any more.
async fn read(mut connection: MultiplexedConnection, clock: Instant) -> Result<Read> {
    let publishing = Duration::from_secs(1) * EVENTS / EVENTS_PER_S;
    let until = clock.elapsed() + publishing + DRAIN_MAX;
    let mut read = Read {
        delivered: 0,
        last: Duration::ZERO,
        latencies: Latencies::new(),
    };
    let mut after = "0".to_owned();
    while read.delivered < u64::from(EVENTS) && clock.elapsed() < until {
        let mut command = redis::cmd("XREAD");
        command.arg("BLOCK").arg(BLOCK_MS);
        command.arg("STREAMS").arg(STREAM).arg(&after);
        let answer: Option<Vec<(String, Vec<Entry>)>> =
            command.query_async(&mut connection).await?;
        let now = clock.elapsed();
        for (id, (_, value)) in answer
            .into_iter()
            .flatten()
            .flat_map(|(_, entries)| entries)
        {
            let at = stamp(&value).context("an event carries its time")?;
            read.latencies
                .record(now.saturating_sub(Duration::from_nanos(at)));
            read.delivered += 1;
            read.last = now;
            after = id;
        }
    }
    Ok(read)
}
