//! The crash drill: several writers, `kill -9` at a random moment, restart, account.
//!
//! A writer notes what was acknowledged, and where. After each restart every
//! acknowledged event must be in its thread once, at its cursor, in order;
//! what was sent and not acknowledged is sent again under its idempotency
//! key and must then be there once. A subscriber that saw part of it live
//! resumes from its last cursor and must see the rest, without a hole.

mod account;
mod audit;
mod canvas;
mod history;
mod load;
mod nexus;
mod subscriber;

use std::{
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use tempfile::TempDir;

use crate::{
    server::{Member, Server},
    wire::http::Connection,
};
use account::Account;
use load::{Transport, Writer};
use subscriber::Subscriber;

/// The chat threads that the writers share.
const THREADS: [&str; 3] = ["th_crash_0", "th_crash_1", "th_crash_2"];
/// Writers of each transport on each thread.
const TRANSPORTS: [Transport; 3] = [Transport::Http, Transport::Http, Transport::WebSocket];
/// Findings that are printed; the totals count all.
const FINDINGS_MAX: usize = 20;
const KILL_MS_MIN: u64 = 150;
const KILL_MS_MAX: u64 = 1500;

/// How long to drill.
#[derive(Args)]
pub(crate) struct Options {
    /// How many times the server is killed.
    #[arg(long)]
    rounds: u32,
    /// Makes the moments of the kills repeatable.
    #[arg(long)]
    seed: Option<u64>,
    /// What is accounted for.
    #[arg(long, value_enum, default_value_t = What::Stream)]
    what: What,
}

/// What a drill loads the server with.
#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Events of threads, and those who follow them.
    Stream,
    /// Mutations, and their records in the audit log.
    Audit,
    /// Gated records, and the budget that they are paid from.
    Nexus,
    /// Batches of commands of several clients, and the logs of their canvases.
    Canvas,
}

/// Drills, and prints `acked N lost N`.
///
/// # Errors
/// When anything acknowledged was lost, or something else is wrong, or the drill cannot run.
pub(crate) fn run(binary: &Path, options: &Options) -> Result<()> {
    let chance = Chance::new(options.seed);
    println!("crash: seed {}", chance.seed);
    match options.what {
        What::Stream => streams(binary, options.rounds, chance),
        What::Audit => audit::run(binary, options.rounds, chance),
        What::Nexus => nexus::run(binary, options.rounds, chance),
        What::Canvas => canvas::run(binary, options.rounds, chance),
    }
}

/// Drills with streams, and prints `acked N lost N repeated N`.
fn streams(binary: &Path, rounds: u32, mut chance: Chance) -> Result<()> {
    let folder = crate::ambient::scratch()?;
    let data = folder.path().join("data");
    let mut account = Account::default();
    let mut server = Server::start(binary, &data)?;
    open_threads(&server)?;
    for round in 1..=rounds {
        let moment = chance.moment();
        let witnesses = load_and_kill(server, &mut account, round, moment)?;
        server = Server::start(binary, &data)?;
        account.settle(server.addr, &server.member, &witnesses)?;
        let (totals, retried) = (account.totals(), account.retried());
        println!("crash: round {round}, killed after {moment:?}: {totals}, {retried} sent again");
    }
    if account.failed() {
        for finding in account.findings() {
            println!("crash: {finding}");
        }
        let kept = folder.keep();
        println!("crash: {}", account.totals());
        bail!(
            "the drill failed; data and log are kept in {}",
            kept.display()
        );
    }
    println!("{}", account.totals());
    Ok(())
}

/// Ends a drill: prints its line, or what was found and where data and log are kept.
fn conclude<'a>(
    folder: TempDir,
    ended: Result<()>,
    failed: bool,
    line: &str,
    found: impl Iterator<Item = &'a String>,
) -> Result<()> {
    if ended.is_ok() && !failed {
        println!("{line}");
        return Ok(());
    }
    for finding in found.take(FINDINGS_MAX) {
        println!("crash: {finding}");
    }
    println!("crash: {line}");
    let kept = folder.keep();
    println!("crash: data and log are kept in {}", kept.display());
    ended?;
    bail!("the drill failed");
}

/// Registers the threads.
fn open_threads(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.addr)?;
    for thread in THREADS {
        let body = format!(r#"{{"thread_id":"{thread}"}}"#);
        let headers = server.member.headers();
        connection
            .call("POST", "/chat/threads", &headers, &body)?
            .json(201)
            .with_context(|| format!("opening {thread}"))?;
    }
    Ok(())
}

/// Loads the server, kills it after `moment`, and enters what the writers know.
fn load_and_kill(
    server: Server,
    account: &mut Account,
    round: u32,
    moment: Duration,
) -> Result<Vec<Subscriber>> {
    let (addr, member) = (server.addr, server.member.clone());
    let witnesses = THREADS.map(|thread| Subscriber::follow(addr, &member, thread));
    let writers = start_writers(addr, &member, round);
    thread::sleep(moment);
    server.kill()?;
    for writer in writers {
        let written = writer
            .join()
            .map_err(|_| anyhow::anyhow!("a writer panicked"))?;
        account.enter(written?);
    }
    witnesses
        .into_iter()
        .map(|witness| witness?.finish())
        .collect()
}

fn start_writers(
    addr: std::net::SocketAddr,
    member: &Member,
    round: u32,
) -> Vec<thread::JoinHandle<Result<load::Written>>> {
    let mut writers = Vec::new();
    for thread in THREADS {
        for (at, transport) in TRANSPORTS.into_iter().enumerate() {
            let writer = Writer {
                thread,
                name: format!("{round}-{thread}-{at}"),
            };
            let member = member.clone();
            writers.push(thread::spawn(move || {
                transport.write(addr, &member, &writer)
            }));
        }
    }
    writers
}

/// A small generator (`splitmix64`), so that a drill can be repeated.
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn new(seed: Option<u64>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = seed.unwrap_or_else(|| since.unwrap_or_default().subsec_nanos().into());
        Self { seed, state: seed }
    }

    /// When to kill.
    fn moment(&mut self) -> Duration {
        Duration::from_millis(self.between(KILL_MS_MIN, KILL_MS_MAX))
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        least + (mixed ^ (mixed >> 31)) % (most - least)
    }
}
