//! Fan-out: many subscribers of one thread, and the cost of idle ones, beside nchan.
//!
//! The publisher stamps each event with the time; a subscriber takes the
//! difference when it has parsed the event out of its stream. Both are in
//! this process, so one clock serves. Server and client share the machine. With the profile `cloud`: the
//! subscribers of a thread on one, two and three nodes, beside readers of Redis Streams.

mod client;
mod nchan;
mod nodes;
mod target;
mod xread;

use std::{path::Path, thread, time::Duration};

use anyhow::Result;

use crate::{
    ambient::scratch,
    server::Server,
    stats::median,
    table::{Row, per_second},
};
use client::{Flood, Idle};
use nchan::Nchan;
pub(crate) use nodes::measure as measure_cloud;
use target::{Target, Transport};

const SUBSCRIBERS: usize = 1000;
const EVENTS_PER_S: u32 = 100;
const EVENTS: u32 = 1000;
const IDLE: usize = 5000;
const ROUNDS: usize = 3;
/// How long memory may settle before it is read.
const SETTLE: Duration = Duration::from_secs(2);

const TRANSPORTS: [Transport; 2] = [Transport::Sse, Transport::WebSocket];

/// Measures both transports, and those of nchan if it is there.
///
/// # Errors
/// When a server does not start or a stream breaks.
pub(crate) fn measure(binary: &Path, install_peers: bool) -> Result<Vec<Row>> {
    let peer = nchan::find(install_peers)?;
    let mut rows = Vec::new();
    for transport in TRANSPORTS {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for round in 1..=ROUNDS {
            eprintln!("fanout: {}, round {round} of {ROUNDS}", transport.name());
            ours.push(flood_ours(binary, transport)?);
            if let Some(module) = &peer {
                theirs.push(Nchan::start(module)?.flood(transport)?);
            }
        }
        rows.extend(flood_rows(transport, &ours, &theirs));
    }
    for transport in TRANSPORTS {
        eprintln!("fanout: {IDLE} idle, {}", transport.name());
        let ours = idle_ours(binary, transport)?;
        let theirs = peer
            .as_ref()
            .map(|module| Nchan::start(module)?.idle(transport));
        rows.extend(idle_rows(transport, ours, theirs.transpose()?));
    }
    if peer.is_none() {
        let missing = "not installed: apt-get install nginx libnginx-mod-nchan".to_owned();
        rows.push(Row::new("fanout", "nchan", String::new(), missing));
    }
    Ok(rows)
}

fn flood_ours(binary: &Path, transport: Transport) -> Result<Flood> {
    let folder = scratch()?;
    let server = Server::start(binary, &folder.path().join("data"))?;
    Target::tenantry(&server)?.flood(transport)
}

fn idle_ours(binary: &Path, transport: Transport) -> Result<f64> {
    let folder = scratch()?;
    let server = Server::start(binary, &folder.path().join("data"))?;
    Target::tenantry(&server)?.idle(transport)
}

impl Target {
    fn flood(&self, transport: Transport) -> Result<Flood> {
        let targets = std::slice::from_ref(self);
        client::flood(targets, transport, SUBSCRIBERS, EVENTS_PER_S, EVENTS)
    }

    /// Memory per idle connection, in KiB.
    fn idle(&self, transport: Transport) -> Result<f64> {
        let before = self.memory_kib()?;
        let idle = Idle::open(self, transport, IDLE)?;
        thread::sleep(SETTLE);
        let after = self.memory_kib()?;
        idle.close()?;
        Ok((after as f64 - before as f64) / IDLE as f64)
    }
}

impl Nchan {
    fn flood(&self, transport: Transport) -> Result<Flood> {
        self.target().flood(transport)
    }

    fn idle(&self, transport: Transport) -> Result<f64> {
        self.target().idle(transport)
    }
}

fn flood_rows(transport: Transport, ours: &[Flood], theirs: &[Flood]) -> Vec<Row> {
    let row =
        |who: &str, floods: &[Flood]| flood_row(&format!("{who} {}", transport.name()), floods);
    let mine = row("tenantry", ours);
    if theirs.is_empty() {
        return vec![mine];
    }
    let mine = mine.compared(rate(ours) / rate(theirs), None);
    vec![row("nchan", theirs), mine]
}

fn rate(floods: &[Flood]) -> f64 {
    median(floods.iter().map(Flood::deliveries_per_s))
}

fn flood_row(who: &str, floods: &[Flood]) -> Row {
    let quantile = |q| median(floods.iter().map(|flood| flood.latencies.quantile_ms(q)));
    let lost: u64 = floods.iter().map(Flood::missing).sum();
    let published = median(floods.iter().map(|flood| flood.published_per_s));
    let detail = format!(
        "p50 {:.1} ms, p99 {:.1} ms; {published:.0} events/s published; {lost} missing",
        quantile(0.5),
        quantile(0.99)
    );
    let what = format!("{who}, {SUBSCRIBERS} subscribers × {EVENTS_PER_S}/s");
    Row::new("fanout", what, per_second(rate(floods)), detail)
}

fn idle_rows(transport: Transport, ours: f64, theirs: Option<f64>) -> Vec<Row> {
    let row = |who: &str, kib: f64| {
        let what = format!("{who} {}, {IDLE} idle connections", transport.name());
        Row::new("fanout", what, format!("{kib:.1} KiB each"), String::new())
    };
    let mine = row("tenantry", ours);
    match theirs {
        None => vec![mine],
        Some(theirs) => vec![row("nchan", theirs), mine.compared(ours / theirs, None)],
    }
}
