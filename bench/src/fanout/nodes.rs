//! The subscribers of one thread, spread over one, two and three nodes that share Redis, beside the embedded
//! engine's one node and beside readers of a stream of Redis.
//!
//! The publishers are spread, too. All nodes, their backends and the clients share the machine, so more nodes do
//! not make it faster here; the rows show what a hop over Redis costs, and that nothing is missing.

use std::path::Path;

use anyhow::Result;

use super::{
    EVENTS, EVENTS_PER_S, ROUNDS, SUBSCRIBERS,
    client::{self, Flood},
    flood_ours, flood_row, rate,
    target::{Target, Transport},
    xread,
};
use crate::{
    cloud::{Cloud, RedisServer},
    table::Row,
};

const NODES: [usize; 3] = [1, 2, 3];

/// Measures each number of nodes in interleaved rounds, over SSE.
///
/// # Errors
/// When something does not start, or a stream breaks.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Row>> {
    let (mut readers, mut embedded) = (Vec::new(), Vec::new());
    let mut ours = NODES.map(|count| (count, Vec::new()));
    for round in 1..=ROUNDS {
        eprintln!("fanout: nodes, round {round} of {ROUNDS}");
        readers.push(xread::flood(RedisServer::start()?.url())?);
        embedded.push(flood_ours(binary, Transport::Sse)?);
        for (count, floods) in &mut ours {
            floods.push(flood_nodes(binary, *count)?);
        }
    }
    let baseline = rate(&readers);
    let compared = |who: &str, floods: &[Flood]| {
        flood_row(who, floods).compared(rate(floods) / baseline, None)
    };
    let mut rows = vec![
        flood_row("XREAD BLOCK, a connection each", &readers),
        compared("tenantry SSE, embedded", &embedded),
    ];
    for (count, floods) in &ours {
        let nodes = if *count == 1 { "node" } else { "nodes" };
        rows.push(compared(&format!("tenantry SSE, {count} {nodes}"), floods));
    }
    Ok(rows)
}

fn flood_nodes(binary: &Path, count: usize) -> Result<Flood> {
    let cloud = Cloud::found(binary)?;
    let nodes = cloud.nodes(count)?;
    let mut targets = Vec::with_capacity(count);
    for node in &nodes {
        targets.push(match targets.is_empty() {
            true => Target::tenantry(node)?,
            false => Target::node(node),
        });
    }
    client::flood(&targets, Transport::Sse, SUBSCRIBERS, EVENTS_PER_S, EVENTS)
}
