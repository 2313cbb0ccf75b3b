//! Durable event appends, beside a raw append+fdatasync loop on the same disk.
//!
//! The engine appends in order per stream, each event with an idempotency
//! key; the baseline writes the same bytes to one file and syncs once for
//! all that wait. Both acknowledge after the sync.

mod engine;
mod raw;

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

const EVENT_BYTES: usize = 300;
const WRITERS: usize = 64;
const STREAMS_MANY: usize = 1000;
/// Short, because a disk shared with others changes its speed within seconds.
const ROUND: Duration = Duration::from_millis(250);
const ROUNDS: usize = 60;
const TARGET: f64 = 0.5;

/// Something that makes an event durable before it returns.
#[async_trait]
trait Appender: Send + Sync {
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
struct Side {
    rates: Vec<f64>,
    latencies: Latencies,
}

impl Side {
    fn new() -> Self {
        Self {
            rates: Vec::new(),
            latencies: Latencies::new(),
        }
    }

    fn rate(&self) -> f64 {
        median(self.rates.iter().copied())
    }

    fn row(&self, what: String) -> Row {
        let (p50, p99) = (
            self.latencies.quantile_ms(0.5),
            self.latencies.quantile_ms(0.99),
        );
        let detail = format!("p50 {p50:.1} ms, p99 {p99:.1} ms");
        Row::new("append", what, per_second(self.rate()), detail)
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
        rows.push(raw.row(format!("raw append+fdatasync, {}", load.name)));
        let target = (load.writers > 1).then_some(TARGET);
        let row = engine.row(format!("engine-embedded, {}", load.name));
        rows.push(row.compared(median_ratio(&engine.rates, &raw.rates), target));
    }
    Ok(rows)
}

async fn compare(load: &Load) -> Result<(Side, Side)> {
    let folder = crate::ambient::scratch()?;
    let raw = Arc::new(raw::RawLog::create(&folder.path().join("raw"))?);
    let engine =
        Arc::new(engine::Streams::open(&folder.path().join("engine"), load.streams).await?);
    eprintln!("append: {}, {ROUNDS} rounds", load.name);
    let (mut raw_side, mut engine_side) = (Side::new(), Side::new());
    for round in 0..ROUNDS {
        drive(raw.clone(), load.writers, round, &mut raw_side).await?;
        drive(engine.clone(), load.writers, round, &mut engine_side).await?;
    }
    Ok((raw_side, engine_side))
}

/// Lets `writers` append one after the other for the length of a round.
async fn drive(
    log: Arc<dyn Appender>,
    writers: usize,
    round: usize,
    side: &mut Side,
) -> Result<()> {
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| tokio::spawn(write(log.clone(), writer, round, started)))
        .collect();
    let mut acknowledged = 0;
    for task in tasks {
        let (count, latencies) = task.await??;
        acknowledged += count;
        side.latencies.merge(&latencies);
    }
    eprintln!(
        "  {:.0}/s",
        acknowledged as f64 / started.elapsed().as_secs_f64()
    );
    side.rates
        .push(acknowledged as f64 / started.elapsed().as_secs_f64());
    Ok(())
}

async fn write(
    log: Arc<dyn Appender>,
    writer: usize,
    round: usize,
    started: Instant,
) -> Result<(u64, Latencies)> {
    let mut latencies = Latencies::new();
    // Numbers go on over the rounds, because an idempotency key is used once.
    let first = (round as u64) << 32;
    let mut count = 0;
    while started.elapsed() < ROUND {
        let sent = Instant::now();
        log.append(writer, first + count).await?;
        latencies.record(sent.elapsed());
        count += 1;
    }
    Ok((count, latencies))
}
