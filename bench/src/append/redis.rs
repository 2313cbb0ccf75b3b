//! Durable appends on a real `redis-server` with `appendfsync always`, beside raw `XADD`.
//!
//! Both sides use the same client, as many connections and the same server. The engine gives out
//! seqs, looks for an idempotency key, notes it and rings; the baseline adds an entry.

use std::{sync::Arc, time::Instant};

use anyhow::Result;
use engine_redis::{Redis, RedisConfig, RedisCredentials};

use super::{Appender, ROUND, SUBJECT, Side, WRITERS, drive, engine::Streams, xadd::RawStreams};
use crate::{ambient::SystemEntropy, cloud::RedisServer, stats::median_ratio, table::Row};

const ROUNDS: usize = 40;
/// Writers, and as many streams.
const LOADS: [(usize, &str); 2] = [(WRITERS, "64 writers, a stream each"), (1, "1 writer")];

/// Measures each number of writers in interleaved rounds.
///
/// # Errors
/// When there is no `redis-server`, or it fails.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let server = RedisServer::start()?;
    let mut rows = Vec::new();
    for (writers, load) in LOADS {
        eprintln!("append: {load}, {ROUNDS} rounds on Redis");
        let (raw, engine) = runtime.block_on(compare(server.url(), writers))?;
        rows.push(raw.row(SUBJECT, format!("raw XADD, {load}")));
        let row = engine.row(SUBJECT, format!("engine-redis, {load}"));
        rows.push(row.compared(median_ratio(&engine.rates, &raw.rates), None));
    }
    Ok(rows)
}

async fn compare(url: &str, writers: usize) -> Result<(Side, Side)> {
    let redis = Redis::connect(
        &RedisConfig::new(url)?,
        &RedisCredentials::default(),
        Arc::new(SystemEntropy),
    )
    .await?;
    let engine: Arc<dyn Appender> = Arc::new(Streams::over(redis.events(), writers).await?);
    let raw: Arc<dyn Appender> = Arc::new(RawStreams::connect(url).await?);
    let (mut raw_side, mut engine_side) = (Side::new(), Side::new());
    for round in 0..ROUNDS {
        for (log, side) in [(&raw, &mut raw_side), (&engine, &mut engine_side)] {
            let started = Instant::now();
            let driven = drive(Arc::clone(log), writers, round, ROUND).await?;
            side.enter(&driven, started.elapsed());
        }
    }
    Ok((raw_side, engine_side))
}
