//! A million logs: how long an epoch takes in which a few changed, and what they cost.
//!
//! The logs are real: each has a slot, a head and a record, made by the service
//! itself. What they cost in memory is asked of a process of its own, which
//! opens them and does nothing else.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, ensure};
use audit::{Checkpoint, Hash, Heads, Signers, service::Audit};
use identity::TenantId;

use super::{
    memory,
    tending::Tending,
    world::{Installation, Scribe, record, signers},
};
use crate::{
    stats::{Latencies, median},
    table::{Row, per_second},
};

const LOGS: u64 = 1 << 20;
const CHANGED: u64 = 1000;
const ROUNDS: u64 = 30;
/// Writers that make the logs; many, because each waits for the disk.
const MAKERS: u64 = 2048;
/// A step that spreads what changes over all logs: odd, so that it meets each.
const STRIDE: u64 = 0x9e37_79b1;

/// Makes the logs, then measures epochs, the tree alone, and memory.
pub(super) async fn measure() -> Result<Vec<Row>> {
    let folder = crate::ambient::scratch()?;
    let folder = folder.path().join("audit");
    let opened = Installation::open(&folder).await?;
    let mut rows = vec![make(&opened).await?, epochs(&opened).await?];
    rows.push(tree(&signers(&folder)?)?);
    opened.close().await;
    rows.extend(memory::of_another_process(&folder, LOGS)?);
    Ok(rows)
}

fn tenant(n: u64) -> Result<TenantId> {
    Ok(format!("t_{n:07}").parse()?)
}

/// One record for each tenant, with epochs as always.
async fn make(opened: &Installation) -> Result<Row> {
    let started = Instant::now();
    let tending = Tending::begin(Arc::clone(&opened.audit));
    let makers: Vec<_> = (0..MAKERS)
        .map(|maker| tokio::spawn(make_share(Arc::clone(&opened.audit), maker)))
        .collect();
    for maker in makers {
        maker.await??;
    }
    tending.finish().await?;
    opened.check()?;
    let rate = LOGS as f64 / started.elapsed().as_secs_f64();
    let what = format!("new logs, {MAKERS} writers: slot, head, first record, tree, epoch");
    let detail = format!("{LOGS} in {:.0} s", started.elapsed().as_secs_f64());
    Ok(Row::new("audit", what, per_second(rate), detail))
}

async fn make_share(audit: Arc<Audit>, maker: u64) -> Result<()> {
    let scribe = Scribe::new()?;
    for n in (maker..LOGS).step_by(usize::try_from(MAKERS)?) {
        record(&audit, scribe.by_system(tenant(n)?, n)).await?;
    }
    Ok(())
}

/// Rounds in which a thousand logs get a record, and one epoch that tells of them.
async fn epochs(opened: &Installation) -> Result<Row> {
    let scribe = Arc::new(Scribe::new()?);
    let mut latencies = Latencies::new();
    for round in 0..ROUNDS {
        let changes: Vec<_> = (0..CHANGED)
            .map(|at| {
                let n = (round * CHANGED + at).wrapping_mul(STRIDE) % LOGS;
                let (audit, scribe) = (Arc::clone(&opened.audit), Arc::clone(&scribe));
                tokio::spawn(async move { record(&audit, scribe.by_system(tenant(n)?, at)).await })
            })
            .collect();
        for change in changes {
            change.await??;
        }
        let before = opened.epochs()?;
        let started = Instant::now();
        opened.audit.turn().await;
        latencies.record(started.elapsed());
        ensure!(
            opened.epochs()? == before + 1,
            "one epoch tells of the changes"
        );
        opened.check()?;
    }
    let figure = format!("{:.0} ms", latencies.quantile_ms(0.5));
    let detail = format!("p99 {:.0} ms", latencies.quantile_ms(0.99));
    let what = format!("epoch, {CHANGED} of {LOGS} logs changed: read, trees, heads, sign, store");
    Ok(Row::new("audit", what, figure, detail))
}

/// The tree of heads and the signature alone, without the store.
fn tree(signers: &Signers) -> Result<Row> {
    let leaf = |n: u64| Hash::of_leaf(&n.to_be_bytes());
    let mut heads = Heads::new((0..LOGS).map(leaf).collect());
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let slot = |at: u64| (round * CHANGED + at).wrapping_mul(STRIDE) % LOGS;
        let changes: Vec<(u64, Hash)> = (0..CHANGED).map(|at| (slot(at), leaf(at))).collect();
        let started = Instant::now();
        let next = heads.prepare(&changes)?;
        let checkpoint = Checkpoint {
            origin: signers.origin().clone(),
            size: round + 1,
            root: next.root(),
        };
        signers.sign_checkpoint(&checkpoint)?;
        heads.apply(next)?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let what = format!("of that: tree of {LOGS} heads, {CHANGED} changed, and the signature");
    let figure = format!("{:.1} ms", median(times));
    Ok(Row::new("audit", what, figure, String::new()))
}
