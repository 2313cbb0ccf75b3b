//! The drill of the audit log: mutations, `kill -9` at a random moment, restart, account.
//!
//! Every answered mutation must be in its tenant's log, at the place that the
//! answer named, with the outcome that the answer had; every intent ends, in
//! `unknown` where nobody knows. Then each tenant's whole log is exported and
//! verified as a stranger would, with the proof that it continues the checkpoint of
//! the round before, and the last one that was seen before the kill.

mod account;
mod load;
mod log;

use std::{
    net::SocketAddr,
    path::Path,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ::audit::{Checkpoint, Trust};
use anyhow::{Result, anyhow, ensure};

use crate::{
    drill::{Chance, conclude},
    server::{Member, Server},
};
use account::{Book, Findings};
use load::Answered;
use log::Items;

/// Writers in each tenant.
const WRITERS: usize = 4;
/// How long a restarted server may take to record what waited in its spool.
const SPOOL_MAX: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

/// What was found in all rounds.
#[derive(Default)]
struct Totals {
    acked: usize,
    degraded: usize,
    found: Findings,
}

impl Totals {
    fn enter(&mut self, answered: &[Answered]) {
        self.acked += answered.len();
        self.degraded += answered.iter().filter(|one| one.seq.is_none()).count();
    }

    fn failed(&self) -> bool {
        self.acked == 0 || !self.found.is_sound()
    }

    /// The line that the drill ends with.
    fn line(&self) -> String {
        let line = format!("acked {} lost {}", self.acked, self.found.lost.len());
        match self.found.wrong.len() {
            0 => line,
            wrong => format!("{line} wrong {wrong}"),
        }
    }
}

/// Drills, and prints `acked N lost N`.
///
/// # Errors
/// When a record was lost, an intent does not end, an export does not verify, or the drill cannot run.
pub(super) fn run(binary: &Path, rounds: u32, chance: Chance) -> Result<()> {
    let folder = crate::ambient::scratch()?;
    let mut totals = Totals::default();
    let ended = drill(
        binary,
        &folder.path().join("data"),
        rounds,
        chance,
        &mut totals,
    );
    let found = totals.found.lost.iter().chain(&totals.found.wrong);
    conclude(
        "crash",
        folder,
        ended,
        totals.failed(),
        &totals.line(),
        found,
    )
}

fn drill(
    binary: &Path,
    data: &Path,
    rounds: u32,
    mut chance: Chance,
    totals: &mut Totals,
) -> Result<()> {
    let mut server = Server::start(binary, data)?;
    let trust = log::trust(data)?;
    let mut books = Vec::new();
    for member in &server.members {
        let mut book = Book::default();
        book.settle(&log::list(server.addr, member, 0)?);
        books.push(book);
    }
    let mut known = None;
    for round in 1..=rounds {
        let moment = chance.moment();
        let loaded = load_and_kill(server, round, moment)?;
        server = Server::start(binary, data)?;
        let seen = loaded
            .seen
            .map(|note| trust.checkpoint(&note))
            .transpose()?;
        let mut newest = None;
        for ((book, answered), member) in books.iter_mut().zip(loaded.answered).zip(&server.members)
        {
            totals.enter(&answered);
            book.enter(answered);
            let stranger = Stranger {
                addr: server.addr,
                member,
                trust: &trust,
            };
            let items = settle(&stranger, book, totals)?;
            newest = Some(stranger.verify(book, &items, known.as_ref(), seen.as_ref())?);
        }
        known = newest;
        println!(
            "crash: round {round}, killed after {moment:?}: {}, {} ended unknown, {} degraded, exports verified",
            totals.line(),
            totals.found.unknown,
            totals.degraded,
        );
    }
    Ok(())
}

/// What was known when the server was killed.
struct Loaded {
    /// By tenant.
    answered: Vec<Vec<Answered>>,
    /// The last checkpoint that was seen.
    seen: Option<String>,
}

fn load_and_kill(server: Server, round: u32, moment: Duration) -> Result<Loaded> {
    let addr = server.addr;
    let watching = thread::spawn(move || load::watch(addr));
    let members = server.members.iter().enumerate();
    let writers: Vec<_> = members
        .map(|(at, member)| start_writers(addr, member, at, round))
        .collect();
    thread::sleep(moment);
    server.kill()?;
    let mut answered = Vec::new();
    for writers in writers {
        let mut of_tenant = Vec::new();
        for writer in writers {
            of_tenant.extend(writer.join().map_err(|_| anyhow!("a writer panicked"))??);
        }
        answered.push(of_tenant);
    }
    let seen = watching
        .join()
        .map_err(|_| anyhow!("the watcher panicked"))?;
    Ok(Loaded { answered, seen })
}

fn start_writers(
    addr: SocketAddr,
    member: &Member,
    at: usize,
    round: u32,
) -> Vec<JoinHandle<Result<Vec<Answered>>>> {
    (0..WRITERS)
        .map(|writer| {
            let (member, name) = (member.clone(), format!("crash-{round}-{at}-{writer}"));
            thread::spawn(move || load::write(addr, &member, at, &name))
        })
        .collect()
}

/// Compares the books with the log; what is missing may still wait in the spool.
fn settle(stranger: &Stranger<'_>, book: &mut Book, totals: &mut Totals) -> Result<Items> {
    let end = Instant::now() + SPOOL_MAX;
    loop {
        let items = log::list(stranger.addr, stranger.member, book.settled)?;
        let found = book.check(&items);
        if found.is_sound() || Instant::now() > end {
            book.settle(&items);
            totals.found.add(found);
            return Ok(items);
        }
        thread::sleep(POLL);
    }
}

/// Somebody with the public key alone.
struct Stranger<'a> {
    addr: SocketAddr,
    member: &'a Member,
    trust: &'a Trust,
}

impl Stranger<'_> {
    /// Verifies the whole log, and that it continues what was `known` and `seen`; gives its checkpoint.
    fn verify(
        &self,
        book: &Book,
        listed: &Items,
        known: Option<&Checkpoint>,
        seen: Option<&Checkpoint>,
    ) -> Result<Checkpoint> {
        let export = |range, known| log::export(self.addr, self.member, range, self.trust, known);
        let last = book.settled;
        let (report, exported) = export((1, last), known)?;
        ensure!(
            report.records == last,
            "{} of {last} were exported",
            report.records
        );
        let alike = listed
            .iter()
            .all(|(seq, item)| exported.get(seq) == Some(item));
        ensure!(alike, "what was exported is not what was listed");
        if seen.is_some() {
            export((last, last), seen)?;
        }
        Ok(report.checkpoint)
    }
}
