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
mod load;
mod nexus;
mod subscriber;

use std::{path::Path, thread, time::Duration};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{
    chat,
    drill::{Chance, conclude},
    server::{Member, Server},
};
use account::Account;
use load::{Transport, Writer};
use subscriber::Subscriber;

/// The chat threads that the writers share.
const THREADS: [&str; 3] = ["th_crash_0", "th_crash_1", "th_crash_2"];
/// Writers of each transport on each thread.
const TRANSPORTS: [Transport; 3] = [Transport::Http, Transport::Http, Transport::WebSocket];

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
fn streams(binary: &Path, rounds: u32, chance: Chance) -> Result<()> {
    let folder = crate::ambient::scratch()?;
    let data = folder.path().join("data");
    let mut account = Account::open();
    let ended = drill(binary, &data, rounds, chance, &mut account);
    let (failed, line, found) = (account.failed(), account.totals(), account.findings());
    conclude("crash", folder, ended, failed, &line, found.iter())
}

fn drill(
    binary: &Path,
    data: &Path,
    rounds: u32,
    mut chance: Chance,
    account: &mut Account,
) -> Result<()> {
    let mut server = Server::start(binary, data)?;
    for thread in THREADS {
        chat::open_thread(server.addr, &server.member, thread)?;
    }
    for round in 1..=rounds {
        let moment = chance.moment();
        let witnesses = load_and_kill(server, account, round, moment)?;
        server = Server::start(binary, data)?;
        account.settle(server.addr, &server.member, &witnesses)?;
        let (totals, retried) = (account.totals(), account.retried());
        println!("crash: round {round}, killed after {moment:?}: {totals}, {retried} sent again");
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
