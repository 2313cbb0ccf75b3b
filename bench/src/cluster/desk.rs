//! A thread of a tenant, with all who write and follow it.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context, Result, anyhow};

use super::{
    account::Account,
    follower::{Course, Follower},
    writer::{Deed, Writer, Written},
};
use crate::{
    chat::{book::Book, history},
    server::Member,
};

const WRITERS: usize = 2;
const FOLLOWERS: usize = 2;

/// A thread that is written and followed.
pub(super) struct Desk {
    /// What the names of its tenant's events begin with.
    own: String,
    thread: String,
    /// Who says the first and the last word.
    host: Writer,
    book: Book,
    writers: Vec<JoinHandle<Result<Written>>>,
    followers: Vec<Follower>,
    pub(super) acked: usize,
    /// How often something was sent again.
    pub(super) again: usize,
    /// How often a stream was opened.
    pub(super) opened: usize,
}

impl Desk {
    /// Begins: a first event, those who follow what comes after it, and those who write until `stop`.
    ///
    /// # Errors
    /// When the first event is refused.
    pub(super) fn open(
        tenant: usize,
        thread: &str,
        member: &Member,
        proxy: SocketAddr,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self> {
        let own = format!("t{tenant}.");
        let host = Writer {
            proxy,
            member: member.clone(),
            deed: Deed::Event(thread.to_owned()),
            name: format!("{own}{thread}"),
        };
        let mut desk = Self {
            book: Book::new(&host.name),
            own,
            thread: thread.to_owned(),
            host,
            writers: Vec::new(),
            followers: Vec::new(),
            acked: 0,
            again: 0,
            opened: 0,
        };
        let after = desk.say("begin")?;
        desk.followers = (0..FOLLOWERS).map(|_| desk.follow(&after)).collect();
        desk.writers = (0..WRITERS).map(|at| desk.write(at, stop)).collect();
        Ok(desk)
    }

    /// Posts an event of the host; its cursor.
    fn say(&mut self, what: &str) -> Result<String> {
        let mut written = Written::default();
        let name = self.named(what);
        self.host.post(&mut None, name, &mut written)?;
        let said = written.acked.last().context("an acknowledgement")?;
        let cursor = said.1.clone();
        self.enter(written);
        Ok(cursor)
    }

    fn named(&self, what: &str) -> String {
        format!("{}.{what}", self.host.name)
    }

    fn follow(&self, after: &str) -> Follower {
        Follower::start(Course {
            proxy: self.host.proxy,
            member: self.host.member.clone(),
            thread: self.thread.clone(),
            after: after.to_owned(),
            end: self.named("end"),
        })
    }

    fn write(&self, at: usize, stop: &Arc<AtomicBool>) -> JoinHandle<Result<Written>> {
        let writer = Writer {
            name: self.named(&at.to_string()),
            ..self.host.clone()
        };
        let stop = Arc::clone(stop);
        thread::spawn(move || writer.write(&stop))
    }

    fn enter(&mut self, written: Written) {
        self.acked += written.acked.len();
        self.again += written.again;
        self.book.enter(written.acked);
    }

    /// Enters what all writers know, once they have stopped, and posts the last event.
    ///
    /// # Errors
    /// When a writer was refused, or not answered in time.
    pub(super) fn close(&mut self) -> Result<()> {
        for writer in std::mem::take(&mut self.writers) {
            let written = writer.join().map_err(|_| anyhow!("a writer panicked"))?;
            self.enter(written?);
        }
        self.say("end").map(drop)
    }

    /// Compares the book with what every node holds, and that with what was seen until `deadline`.
    ///
    /// # Errors
    /// When a node refuses or answers nonsense.
    pub(super) fn settle(
        &mut self,
        nodes: &[SocketAddr],
        deadline: Instant,
        account: &mut Account,
    ) -> Result<()> {
        account.acked += self.acked;
        let mut held = Vec::new();
        for node in nodes {
            held = history::read(*node, &self.host.member, &self.thread, None)?;
            account.check_held(&self.own, &self.book, &held);
        }
        for follower in std::mem::take(&mut self.followers) {
            let seen = follower.finish(deadline);
            self.opened += seen.opened;
            account.check_seen(&self.own, &held, &seen);
        }
        Ok(())
    }
}
