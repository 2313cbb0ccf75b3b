//! Durable event appends, beside a raw append+fdatasync loop on the same disk.
//!
//! The engine appends in order per stream, each event with an idempotency
//! key; the baseline writes the same bytes to one file and syncs once for
//! all that wait. Both acknowledge after the sync. With the profile `cloud`: Redis beside raw `XADD`.

mod engine;
pub(crate) mod raw;
mod redis;
mod xadd;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use async_trait::async_trait;

use crate::{
    stats::{Latencies, median, median_ratio},
    table::{Row, per_second},
};
pub(crate) use redis::measure as measure_cloud;

const SUBJECT: &str = "append";
const EVENT_BYTES: usize = 300;
pub(crate) const WRITERS: usize = 64;
const STREAMS_MANY: usize = 1000;
/// Short, because a disk shared with others changes its speed within seconds.
const ROUND: Duration = Duration::from_millis(250);
const ROUNDS: usize = 60;
const TARGET: f64 = 0.5;

/// Something that makes an event durable before it returns.
#[async_trait]
pub(crate) trait Appender: Send + Sync {
    /// Appends event `n` of `writer`.
    async fn append(&self, writer: usize, n: u64) -> Result<()>;
}

/// A kind of load: its name, its writers, and the streams that they share.
struct Load {
    name: &'static str,
    writers: usize,
    streams: usize,
}

const LOADS: [Load; 3] = [
    Load {
        name: "64 writers, a stream each",
        writers: WRITERS,
        streams: WRITERS,
    },
    Load {
        name: "64 writers over 1,000 streams",
        writers: WRITERS,
        streams: STREAMS_MANY,
    },
    Load {
        name: "1 writer",
        writers: 1,
        streams: 1,
    },
];

/// Acknowledgements per second of every round, and all latencies.
pub(crate) struct Side {
    pub(crate) rates: Vec<f64>,
    latencies: Latencies,
}

impl Side {
    pub(crate) fn new() -> Self {
        Self {
            rates: Vec::new(),
            latencies: Latencies::new(),
        }
    }

    fn rate(&self) -> f64 {
        median(self.rates.iter().copied())
    }

    /// Enters a round.
    pub(crate) fn enter(&mut self, driven: &Driven, elapsed: Duration) {
        self.rates
            .push(driven.acknowledged as f64 / elapsed.as_secs_f64());
        self.latencies.merge(&driven.latencies);
    }

    /// The row of `subject` for this side.
    pub(crate) fn row(&self, subject: &'static str, what: String) -> Row {
        let (p50, p99) = (
            self.latencies.quantile_ms(0.5),
            self.latencies.quantile_ms(0.99),
        );
        let detail = format!("p50 {p50:.1} ms, p99 {p99:.1} ms");
        Row::new(subject, what, per_second(self.rate()), detail)
    }
}

/// Measures every load in interleaved rounds.
///
/// # Errors
/// When the engine or the disk fails.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut rows = Vec::new();
    for load in &LOADS {
        let (raw, engine) = runtime.block_on(compare(load))?;
        rows.push(raw.row(SUBJECT, format!("raw append+fdatasync, {}", load.name)));
        let target = (load.writers > 1).then_some(TARGET);
        let row = engine.row(SUBJECT, format!("engine-embedded, {}", load.name));
        rows.push(row.compared(median_ratio(&engine.rates, &raw.rates), target));
    }
    Ok(rows)
}

async fn compare(load: &Load) -> Result<(Side, Side)> {
    let folder = crate::ambient::scratch()?;
    let raw = Arc::new(raw::RawLog::create(
        &folder.path().join("raw"),
        EVENT_BYTES,
    )?);
    let engine =
        Arc::new(engine::Streams::open(&folder.path().join("engine"), load.streams).await?);
    eprintln!("append: {}, {ROUNDS} rounds", load.name);
    let (mut raw_side, mut engine_side) = (Side::new(), Side::new());
    for round in 0..ROUNDS {
        for (log, side) in [
            (raw.clone() as Arc<dyn Appender>, &mut raw_side),
            (engine.clone(), &mut engine_side),
        ] {
            let started = Instant::now();
            let driven = drive(log, load.writers, round, ROUND).await?;
            side.enter(&driven, started.elapsed());
        }
    }
    Ok((raw_side, engine_side))
}

/// What was acknowledged in a round, and how fast each.
pub(crate) struct Driven {
    pub(crate) acknowledged: u64,
    latencies: Latencies,
}

/// Lets `writers` append one after the other for `length`.
///
/// # Errors
/// When an append fails.
pub(crate) async fn drive(
    log: Arc<dyn Appender>,
    writers: usize,
    round: usize,
    length: Duration,
) -> Result<Driven> {
    let end = Instant::now() + length;
    let tasks: Vec<_> = (0..writers)
        .map(|writer| tokio::spawn(write(log.clone(), writer, round, end)))
        .collect();
    let mut driven = Driven {
        acknowledged: 0,
        latencies: Latencies::new(),
    };
    for task in tasks {
        let (count, latencies) = task.await??;
        driven.acknowledged += count;
        driven.latencies.merge(&latencies);
    }
    Ok(driven)
}

async fn write(
    log: Arc<dyn Appender>,
    writer: usize,
    round: usize,
    end: Instant,
) -> Result<(u64, Latencies)> {
    let mut latencies = Latencies::new();
    // Numbers go on over the rounds, because an idempotency key is used once.
    let first = (round as u64) << 32;
    let mut count = 0;
    while Instant::now() < end {
        let sent = Instant::now();
        log.append(writer, first + count).await?;
        latencies.record(sent.elapsed());
        count += 1;
    }
    Ok((count, latencies))
}
