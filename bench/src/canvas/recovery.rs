//! The way to the head for a client that is behind: how long it takes to make it, and its bytes.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use canvas::{CanvasError, CommandBatch, Mode, Way};
use identity::{Problem, RequestIds};
use realtime::CanvasKey;
use serde_json::json;

use super::{
    SUBJECT,
    house::{House, batch},
};
use crate::{
    ambient::SystemEntropy,
    stats::{Latencies, median},
    table::Row,
};

/// How far behind.
const BEHIND: [u64; 3] = [1, 100, 10_000];
/// Nodes of the canvas: its state is less than 10,000 commits, and more than 100.
const NODES: usize = 1_000;
const NODES_AT_ONCE: usize = 250;
const LOOKS: usize = 50;

/// Measures.
pub(super) async fn measure() -> Result<Vec<Row>> {
    let folder = crate::ambient::scratch()?;
    let (house, engine) = House::open(folder.path()).await?;
    let key = house.register("cv_recovery").await?;
    let head = fill(&house, &key).await?;
    let mut rows = Vec::new();
    for behind in BEHIND {
        rows.push(look(&house, &key, head, behind).await?);
    }
    engine.close().await;
    Ok(rows)
}

/// Makes the nodes, and then as many commits as someone can be behind; gives the head.
async fn fill(house: &House, key: &CanvasKey) -> Result<u64> {
    let commits = BEHIND.iter().max().context("a distance")?;
    eprintln!("canvas: {commits} commits");
    let mut head = 0;
    for first in (0..NODES).step_by(NODES_AT_ONCE) {
        let nodes = first..first + NODES_AT_ONCE;
        let made: Vec<_> = nodes
            .map(|at| ("node.create", json!({"node": format!("n{at}"), "type": "note", "props": {"text": format!("the note number {at}")}})))
            .collect();
        let made = batch("filler", &format!("made{first}"), head, Mode::Strict, &made)?;
        head = house.send(key, &made).await?;
    }
    for n in 0..*commits {
        let node = format!("n{}", n % NODES as u64);
        let update = [("node.update", json!({"node": node, "set": {"n": n}}))];
        let update = batch("filler", &n.to_string(), head, Mode::Strict, &update)?;
        head = house.send(key, &update).await?;
    }
    Ok(head)
}

async fn look(house: &House, key: &CanvasKey, head: u64, behind: u64) -> Result<Row> {
    let mut latencies = Latencies::new();
    let (mut bytes, mut kind) = (Vec::with_capacity(LOOKS), "");
    for at in 0..LOOKS {
        // A batch that is not carried out may be sent again, and this one never is.
        let late = [("node.delete", json!({"node": "n0"}))];
        let late = batch(
            "late",
            &format!("{behind}-{at}"),
            head - behind,
            Mode::Strict,
            &late,
        )?;
        let started = Instant::now();
        let (body, way) = refused(house, key, &late).await?;
        latencies.record(started.elapsed());
        bytes.push(body as f64);
        kind = way;
    }
    let bytes = median(bytes) / 1024.0;
    let (p50, p99) = (latencies.quantile_ms(0.5), latencies.quantile_ms(0.99));
    let what = format!("recovery from {behind} commits behind, of {NODES} nodes");
    let detail = format!("{kind}; p50 {p50:.2} ms, p99 {p99:.2} ms");
    Ok(Row::new(SUBJECT, what, format!("{bytes:.1} KiB"), detail))
}

/// The bytes of the refusal's body, and what the way to the head is made of.
async fn refused(
    house: &House,
    key: &CanvasKey,
    late: &CommandBatch,
) -> Result<(usize, &'static str)> {
    let error = match house.service.submit(&house.scope, key, late).await {
        Err(error @ CanvasError::Elsewhere(_)) => error,
        other => bail!("a batch that came late was answered {other:?}"),
    };
    let CanvasError::Elsewhere(elsewhere) = &error else {
        bail!("it is elsewhere");
    };
    let way = match &elsewhere.recovery.way {
        Way::Commits(_) => "commits",
        Way::Snapshot(_) => "the state",
    };
    let ids = RequestIds::from_headers(None, None, &SystemEntropy);
    let body = serde_json::to_vec(&Problem::from(error).to_json(&ids))?;
    Ok((body.len(), way))
}
