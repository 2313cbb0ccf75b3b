//! The drill of several nodes: they share their backends, and one after the other is killed.
//!
//! Clients of several tenants post and follow through a dumb balancer. What is not acknowledged is sent again under
//! its idempotency key, and a stream that breaks is resumed with its cursor, wherever the next connection leads.
//! In the end every acknowledged event must be in its thread once and in order, whichever node is asked; every follower must
//! have seen each once and in order; and nobody anything of another tenant. Cards, which pass the gates, must be there as well, and
//! the audit log of each tenant must verify, whichever node exports it.

mod account;
mod desk;
mod follower;
mod house;
mod node;
mod proxy;
mod writer;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tokio::runtime::Runtime;

use crate::{
    chat,
    cloud::Cloud,
    drill::{Chance, conclude},
    server::Member,
};
use account::Account;
use desk::Desk;
use house::House;
use node::Node;
use proxy::Proxy;

const TENANTS: usize = 3;
/// Each tenant has threads of these names: that they are alike is on purpose.
const THREADS: [&str; 2] = ["th_cluster_0", "th_cluster_1"];
const NODES_MAX: usize = 16;
/// How long followers may take to see the last event, once all nodes serve again.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

/// How long to drill, and how hard.
#[derive(Args)]
pub(crate) struct Options {
    /// How many nodes there are.
    #[arg(long)]
    nodes: usize,
    /// Milliseconds between two kills.
    #[arg(long)]
    kill_every_ms: u64,
    /// Seconds in which the nodes are killed.
    #[arg(long)]
    seconds: u64,
    /// Makes it repeatable which nodes are killed.
    #[arg(long)]
    seed: Option<u64>,
}

/// Drills, and prints `acked N lost N repeated N cross-tenant N gaps N`.
///
/// # Errors
/// When anything acknowledged was lost or repeated, or something else is wrong, or the drill cannot run.
pub(crate) fn run(binary: &Path, options: &Options) -> Result<()> {
    ensure!(
        (1..=NODES_MAX).contains(&options.nodes) && options.kill_every_ms > 0,
        "at least one node, at most {NODES_MAX}, and a pause between two kills"
    );
    let chance = Chance::new(options.seed);
    println!("cluster: seed {}", chance.seed);
    let cloud = Cloud::found(binary)?;
    let mut account = Account::default();
    let ended = drill(&cloud, options, chance, &mut account);
    let (failed, line) = (account.failed(), account.line());
    let found = account.found.notes.iter();
    conclude("cluster", cloud.into_folder(), ended, failed, &line, found)
}

fn drill(
    cloud: &Cloud,
    options: &Options,
    mut chance: Chance,
    account: &mut Account,
) -> Result<()> {
    let start = |at| Node::start(cloud, at);
    let mut nodes = (0..options.nodes).map(start).collect::<Result<Vec<_>>>()?;
    nodes.iter_mut().try_for_each(Node::ready)?;
    let runtime = Runtime::new()?;
    let addrs: Vec<SocketAddr> = nodes.iter().map(|node| node.addr).collect();
    let proxy = Proxy::start(runtime.handle(), addrs.clone())?.addr;
    let stop = Arc::new(AtomicBool::new(false));
    let (mut desks, mut houses) = (Vec::new(), Vec::new());
    for tenant in 0..TENANTS {
        let house = House::open(tenant, proxy, &stop)?;
        for thread in THREADS {
            chat::open_thread(proxy, &house.member, thread)?;
            desks.push(Desk::open(tenant, thread, &house.member, proxy, &stop)?);
        }
        houses.push(house);
    }
    kill(&mut nodes, options, &mut chance)?;
    stop.store(true, Ordering::Relaxed);
    desks.iter_mut().try_for_each(Desk::close)?;
    nodes.iter_mut().try_for_each(Node::ready)?;
    let deadline = Instant::now() + CATCH_UP_MAX;
    for desk in &mut desks {
        desk.settle(&addrs, deadline, account)?;
    }
    let mut again: usize = desks.iter().map(|desk| desk.again).sum();
    let owners: Vec<Member> = houses.iter().map(|house| house.member.clone()).collect();
    for house in houses {
        again += house.settle(&addrs, account)?;
    }
    let opened: usize = desks.iter().map(|desk| desk.opened).sum();
    println!("cluster: {again} sent again, {opened} streams opened");
    verify(cloud, &addrs, &owners)
}

/// The audit log of each tenant, as some node exports it, is whole and proven.
fn verify(cloud: &Cloud, nodes: &[SocketAddr], owners: &[Member]) -> Result<()> {
    let trust = cloud.path("trust.json");
    let secret = cloud.path("data/secrets/audit-signing.key");
    house::trust(cloud.binary, &secret, &trust)?;
    for (owner, node) in owners.iter().zip(nodes.iter().cycle()) {
        house::verify_audit(cloud.binary, *node, owner, (&cloud.path(""), &trust))?;
    }
    println!("cluster: {} audit logs are verified", owners.len());
    Ok(())
}

/// Kills a node now and then, for as long as was asked for.
fn kill(nodes: &mut [Node], options: &Options, chance: &mut Chance) -> Result<()> {
    let every = Duration::from_millis(options.kill_every_ms);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut next = Instant::now() + every;
    while next < end {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        nodes.iter_mut().try_for_each(Node::is_alive)?;
        let at = chance.between(0, nodes.len() as u64) as usize;
        nodes.get_mut(at).context("a node")?.kill_and_start()?;
        println!("cluster: node {at} is killed");
        next += every;
    }
    thread::sleep(end.saturating_duration_since(Instant::now()));
    Ok(())
}
