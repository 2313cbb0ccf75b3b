//! The drill of canvases: batches of commands from several clients, `kill -9` at a random moment,
//! restart, account.
//!
//! Each canvas has clients that send strictly and clients that put their batches on top of what they
//! have not seen; all send some batches again, and what was not answered once more after the restart.
//! Then every acknowledged batch is in the log at its revision with the hash of its state, once; the log
//! is one chain from its first commit to the canvas that is shown; nothing else is in it; and all that
//! readers were told before the kill is there, and goes on from their cursor without a hole or a
//! repeat. Both tenants use the same ids.

mod book;
mod load;
mod reader;

use std::{
    net::SocketAddr,
    path::Path,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use serde_json::json;

use crate::{
    drill::{Chance, conclude},
    server::{Member, Server},
    wire::http::Connection,
};
use book::{Book, Findings};
use load::{Acked, Answer, Batch, Client, Written};
use reader::{Followed, Reader, catch_up, resume};

/// The canvases of each tenant.
const CANVASES: [&str; 2] = ["cv_crash_0", "cv_crash_1"];
/// How the clients of each canvas meet what they have not seen.
const MODES: [&str; 4] = ["strict", "rebase", "strict", "rebase"];
/// How often what was not answered is sent after the restart.
const SENT_AGAIN: usize = 3;

/// What was found in all rounds.
#[derive(Default)]
struct Totals {
    acked: usize,
    refused: usize,
    resent: usize,
    pending: usize,
    found: Findings,
}

impl Totals {
    fn failed(&self) -> bool {
        // A drill in which nobody met anybody, or sent anything again, shows nothing.
        self.acked == 0 || self.refused == 0 || self.resent == 0 || !self.found.is_sound()
    }

    /// The line that the drill ends with.
    fn line(&self) -> String {
        let Findings {
            lost,
            repeated,
            ahead,
            wrong,
        } = &self.found;
        let [lost, repeated, ahead, wrong] = [lost, repeated, ahead, wrong].map(Vec::len);
        format!(
            "acked {} lost {lost} repeated {repeated} ahead {ahead} wrong {wrong}",
            self.acked
        )
    }
}

/// A canvas of a tenant, and all that was acknowledged there.
struct Ours {
    member: Member,
    canvas: &'static str,
    book: Book,
    acked: Vec<Acked>,
}

/// What the clients and the reader of a canvas know when the server is gone.
struct Known {
    written: Vec<Written>,
    followed: Followed,
}

/// Drills, and prints `acked N lost N repeated N ahead N wrong N`.
///
/// # Errors
/// When a batch was lost or carried out twice, a log is no chain, something was seen that is not
/// there, or the drill cannot run.
pub(super) fn run(binary: &Path, rounds: u32, chance: Chance) -> Result<()> {
    let folder = crate::ambient::scratch()?;
    let data = folder.path().join("data");
    let mut totals = Totals::default();
    let ended = drill(binary, &data, rounds, chance, &mut totals);
    let (failed, line) = (totals.failed(), totals.line());
    conclude("crash", folder, ended, failed, &line, totals.found.all())
}

fn drill(
    binary: &Path,
    data: &Path,
    rounds: u32,
    mut chance: Chance,
    totals: &mut Totals,
) -> Result<()> {
    let mut server = Server::start(binary, data)?;
    let mut canvases = open(&server)?;
    for round in 1..=rounds {
        let moment = chance.moment();
        let known = load_and_kill(server, &canvases, round, moment)?;
        server = Server::start(binary, data)?;
        for (ours, known) in canvases.iter_mut().zip(known) {
            // A start makes new tokens.
            ours.member = member_of(&server, &ours.member)?;
            settle(server.addr, ours, known, totals)?;
        }
        println!(
            "crash: round {round}, killed after {moment:?}: {}, {} refused, {} sent again, {} not answered",
            totals.line(),
            totals.refused,
            totals.resent,
            totals.pending,
        );
    }
    // Nothing of the first rounds may have gone since.
    for ours in &mut canvases {
        ours.book = Book::default();
        let nothing = Known {
            written: Vec::new(),
            followed: Followed::default(),
        };
        settle(server.addr, ours, nothing, totals)?;
    }
    Ok(())
}

/// Registers the canvases in each tenant.
fn open(server: &Server) -> Result<Vec<Ours>> {
    let mut canvases = Vec::new();
    for member in &server.members {
        let mut connection = Connection::open(server.addr)?;
        for canvas in CANVASES {
            let body = json!({"canvas_id": canvas}).to_string();
            let made = connection.call("POST", "/canvas", &member.headers(), &body)?;
            made.json(201).with_context(|| canvas.to_owned())?;
            canvases.push(Ours {
                member: member.clone(),
                canvas,
                book: Book::default(),
                acked: Vec::new(),
            });
        }
    }
    Ok(canvases)
}

/// The member of the same tenant, as the restarted server knows it.
fn member_of(server: &Server, before: &Member) -> Result<Member> {
    let mut members = server.members.iter();
    let found = members.find(|member| member.tenant == before.tenant);
    found.cloned().context("the tenants outlive a restart")
}

/// Loads the server and kills it after `moment`; gives what is known of each canvas.
fn load_and_kill(
    server: Server,
    canvases: &[Ours],
    round: u32,
    moment: Duration,
) -> Result<Vec<Known>> {
    let addr = server.addr;
    let started: Vec<_> = canvases
        .iter()
        .enumerate()
        .map(|(at, ours)| {
            let reader = Reader::start(addr, &ours.member, ours.canvas)?;
            Ok((start_clients(addr, ours, at, round), reader))
        })
        .collect::<Result<_>>()?;
    thread::sleep(moment);
    server.kill()?;
    let known = started.into_iter().map(|(clients, reader)| {
        let join = |client: JoinHandle<Result<Written>>| {
            client.join().map_err(|_| anyhow!("a client panicked"))?
        };
        Ok(Known {
            written: clients.into_iter().map(join).collect::<Result<_>>()?,
            followed: reader.finish()?,
        })
    });
    known.collect()
}

fn start_clients(
    addr: SocketAddr,
    ours: &Ours,
    at: usize,
    round: u32,
) -> Vec<JoinHandle<Result<Written>>> {
    let start = |(client, mode)| {
        let (member, client) = (
            ours.member.clone(),
            Client {
                canvas: ours.canvas,
                name: format!("r{round}-{at}-{client}"),
                mode,
            },
        );
        thread::spawn(move || client.write(addr, &member))
    };
    MODES.into_iter().enumerate().map(start).collect()
}

/// Sends what was not answered, and compares all that is known with the log.
fn settle(addr: SocketAddr, ours: &mut Ours, known: Known, totals: &mut Totals) -> Result<()> {
    let mut connection = Connection::open(addr)?;
    for written in known.written {
        totals.acked += written.acked.len();
        totals.refused += written.refused;
        totals.resent += written.resent;
        ours.acked.extend(written.acked);
        if let Some(batch) = written.pending {
            totals.pending += 1;
            let done = resolve(&mut connection, ours, &batch)?;
            ours.acked.extend(done);
        }
    }
    let mut found = Findings::default();
    catch_up(
        &mut connection,
        &ours.member,
        ours.canvas,
        &mut ours.book,
        &mut found,
    )?;
    ours.book.check_acked(&ours.acked, &mut found);
    let seen = resume(
        addr,
        &ours.member,
        ours.canvas,
        known.followed,
        ours.book.rev(),
    )?;
    ours.book.check_seen(&seen, &mut found);
    ours.book.check_owned(&ours.acked, &mut found);
    totals.found.add(found);
    Ok(())
}

/// Sends a batch that was not answered several times. A strict one that was not carried out meets what
/// others did, and is refused; then nobody did it.
fn resolve(connection: &mut Connection, ours: &Ours, batch: &Batch) -> Result<Option<Acked>> {
    let mut acked: Option<Acked> = None;
    for _ in 0..SENT_AGAIN {
        match batch.send(connection, &ours.member, ours.canvas)? {
            None => return Err(anyhow!("the server is gone")),
            Some(Answer::Throttled) => thread::sleep(load::THROTTLED_PAUSE),
            Some(Answer::Refused { .. }) if acked.is_none() => {}
            Some(Answer::Done {
                rev,
                state_hash,
                duplicate,
            }) => {
                let now = Acked {
                    batch: batch.clone(),
                    rev,
                    state_hash,
                };
                let known = acked.get_or_insert_with(|| now.clone());
                anyhow::ensure!(
                    *known == now,
                    "{known:?} is also {now:?}, duplicate {duplicate}"
                );
            }
            Some(Answer::Refused { .. }) => {
                return Err(anyhow!("{batch:?} was carried out, and refused"));
            }
        }
    }
    Ok(acked)
}
