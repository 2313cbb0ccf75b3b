//! The drill of gated records: cards are made, changed and deleted under a budget, `kill -9` at a
//! random moment, restart, account.
//!
//! Every acknowledged change must be there, whole; what was sent and not acknowledged was
//! done wholly or not at all, and sent again under its idempotency key it is done once.
//! A budget never pays for more than its limit. After the last round, when the leases of the
//! killed have ended, each budget has spent what the cards that were ever made cost, and no more is reserved.

mod account;
mod budget;
mod load;

use std::{
    path::Path,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow};

use crate::{
    drill::{Chance, conclude},
    server::Server,
};
use account::{Book, Findings};
use load::Written;

/// Writers in each tenant.
const WRITERS: usize = 4;

/// What was found in all rounds.
#[derive(Default)]
struct Totals {
    acked: usize,
    denied: usize,
    retried: usize,
    found: Findings,
}

impl Totals {
    fn failed(&self) -> bool {
        self.acked == 0 || !self.found.is_sound()
    }

    /// The line that the drill ends with.
    fn line(&self) -> String {
        let (lost, half) = (self.found.lost.len(), self.found.half.len());
        format!("acked {} lost {lost} half {half}", self.acked)
    }
}

/// Drills, and prints `acked N lost N half N`.
///
/// # Errors
/// When a change was lost or half done, a budget does not add up, or the drill cannot run.
pub(super) fn run(binary: &Path, rounds: u32, chance: Chance) -> Result<()> {
    let folder = crate::ambient::scratch()?;
    let data = folder.path().join("data");
    let mut totals = Totals::default();
    let ended = drill(binary, &data, rounds, chance, &mut totals);
    let found = totals.found.lost.iter().chain(&totals.found.half);
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
    let mut books = Vec::new();
    for (at, member) in server.members.iter().enumerate() {
        budget::set(server.addr, member, at)?;
        books.push(Book::default());
    }
    for round in 1..=rounds {
        let moment = chance.moment();
        let written = load_and_kill(server, round, moment)?;
        server = Server::start(binary, data)?;
        for (at, ((book, written), member)) in books
            .iter_mut()
            .zip(written)
            .zip(&server.members)
            .enumerate()
        {
            totals.denied += written.iter().map(|one| one.denied).sum::<usize>();
            for one in written {
                totals.acked += one.acked.len();
                totals.retried += usize::from(one.pending.is_some());
                book.enter(one);
            }
            totals.found.add(book.settle(server.addr, member)?);
            totals
                .found
                .half
                .extend(budget::overspent(server.addr, member, at)?);
        }
        println!(
            "crash: round {round}, killed after {moment:?}: {}, {} denied by a budget, {} sent again",
            totals.line(),
            totals.denied,
            totals.retried,
        );
    }
    for (at, (book, member)) in books.iter().zip(&server.members).enumerate() {
        let unpaid = budget::reconcile(server.addr, member, at, book.made())?;
        totals.found.half.extend(unpaid);
    }
    Ok(())
}

/// Loads the server and kills it after `moment`; gives what the writers of each tenant know.
fn load_and_kill(server: Server, round: u32, moment: Duration) -> Result<Vec<Vec<Written>>> {
    let start = |at: usize| -> Vec<JoinHandle<Result<Written>>> {
        let member = server.members.get(at);
        let start = |writer| {
            let (addr, member) = (server.addr, member.cloned());
            let name = format!("crash{round}x{at}x{writer}");
            thread::spawn(move || {
                let member = member.ok_or_else(|| anyhow!("a member"))?;
                load::write(addr, &member, &name)
            })
        };
        (0..WRITERS).map(start).collect()
    };
    let writers: Vec<_> = (0..server.members.len()).map(start).collect();
    thread::sleep(moment);
    server.kill()?;
    let written = writers.into_iter().map(|of_tenant| {
        let join = |writer: JoinHandle<Result<Written>>| {
            writer.join().map_err(|_| anyhow!("a writer panicked"))?
        };
        of_tenant.into_iter().map(join).collect()
    });
    written.collect()
}
