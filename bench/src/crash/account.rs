//! The account of the drill: the books of all threads, what was sent again, and what subscribers saw.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    THREADS,
    load::Written,
    subscriber::{Subscriber, resume},
};
use crate::{
    chat::{
        book::{Book, Findings},
        history::{self, Cursor, Entry},
        post,
    },
    server::Member,
    wire::http::Connection,
};

/// A thread's book, and what was sent to it and not acknowledged since the last settlement.
struct Open {
    book: Book,
    pending: Vec<String>,
}

/// The books of all threads, and what is wrong.
pub(super) struct Account {
    books: BTreeMap<&'static str, Open>,
    acked: usize,
    retried: usize,
    found: Findings,
}

impl Account {
    /// The account before the first round.
    pub(super) fn open() -> Self {
        let open = |thread| Open {
            book: Book::new(thread),
            pending: Vec::new(),
        };
        Self {
            books: THREADS.map(|thread| (thread, open(thread))).into(),
            acked: 0,
            retried: 0,
            found: Findings::default(),
        }
    }

    /// Enters what a writer knows.
    pub(super) fn enter(&mut self, written: Written) {
        self.acked += written.acked.len();
        if let Some(open) = self.books.get_mut(written.thread) {
            open.book.enter(written.acked);
            open.pending.extend(written.pending);
        }
    }

    /// Compares the books with what the restarted server holds.
    ///
    /// # Errors
    /// When the server refuses or answers nonsense.
    pub(super) fn settle(
        &mut self,
        addr: SocketAddr,
        member: &Member,
        witnesses: &[Subscriber],
    ) -> Result<()> {
        let mut books = std::mem::take(&mut self.books);
        for (thread, open) in &mut books {
            let after = open.book.settled().cloned();
            let at_restart = read_after(addr, member, thread, after.as_ref())?;
            self.retry(addr, member, thread, open, &at_restart)?;
            let now = read_after(addr, member, thread, after.as_ref())?;
            open.book.check(&now, &mut self.found);
            for witness in witnesses.iter().filter(|witness| witness.thread == *thread) {
                self.check_witness(addr, member, witness, &now)?;
            }
        }
        self.books = books;
        Ok(())
    }

    /// Sends again what was not acknowledged; it is a duplicate exactly if it was there.
    fn retry(
        &mut self,
        addr: SocketAddr,
        member: &Member,
        thread: &str,
        open: &mut Open,
        held: &[Entry],
    ) -> Result<()> {
        let mut connection = Connection::open(addr)?;
        for name in std::mem::take(&mut open.pending) {
            let answer = post(&mut connection, member, thread, &name)?.json(201)?;
            let id = answer.get("id").and_then(Value::as_str).context("no id")?;
            let there = held.iter().find(|entry| entry.name == name);
            let agrees = answer.get("duplicate") == Some(&there.is_some().into())
                && there.is_none_or(|entry| entry.cursor.text == id);
            if !agrees {
                self.found.wrong += 1;
                self.found.note(format!(
                    "{thread}: {name} was {there:?} and its retry answers {answer}"
                ));
            }
            self.retried += 1;
            self.acked += 1;
            open.book.enter(vec![(name, id.to_owned())]);
        }
        Ok(())
    }

    /// A subscriber saw what is held, and sees the rest when it resumes.
    fn check_witness(
        &mut self,
        addr: SocketAddr,
        member: &Member,
        witness: &Subscriber,
        held: &[Entry],
    ) -> Result<()> {
        let Some(last) = witness.seen.last() else {
            return Ok(());
        };
        let head = held
            .last()
            .context("an event that was seen live is not there")?;
        let mut seen = witness.seen.clone();
        seen.extend(resume(
            addr,
            member,
            witness.thread,
            &last.cursor.text,
            &head.cursor.text,
        )?);
        let first = seen.first().map(|entry| entry.cursor.seq);
        let expected = held
            .iter()
            .skip_while(|entry| Some(entry.cursor.seq) != first);
        if !seen.iter().eq(expected) {
            self.found.wrong += 1;
            let (thread, last) = (witness.thread, &last.cursor.text);
            self.found.note(format!(
                "{thread}: a subscriber that resumed after {last} saw something else"
            ));
        }
        Ok(())
    }

    /// Whether anything is wrong, or nothing was tried.
    pub(super) fn failed(&self) -> bool {
        !self.found.is_sound() || self.acked == 0
    }

    /// The first things that are wrong.
    pub(super) fn findings(&self) -> &[String] {
        &self.found.notes
    }

    /// How many events were sent again after a restart.
    pub(super) fn retried(&self) -> usize {
        self.retried
    }

    /// The line that the drill ends with.
    pub(super) fn totals(&self) -> String {
        let (acked, found) = (self.acked, &self.found);
        let line = format!(
            "acked {acked} lost {} repeated {}",
            found.lost, found.repeated
        );
        match found.wrong {
            0 => line,
            wrong => format!("{line} wrong {wrong}"),
        }
    }
}

fn read_after(
    addr: SocketAddr,
    member: &Member,
    thread: &str,
    after: Option<&Cursor>,
) -> Result<Vec<Entry>> {
    let after = after.map(|cursor| cursor.text.as_str());
    history::read(addr, member, thread, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_that_tried_nothing_failed() {
        assert!(Account::open().failed());
    }

    #[test]
    fn a_drill_that_lost_or_repeated_something_failed() {
        let mut account = Account::open();
        account.acked = 2;
        assert!(!account.failed());
        assert_eq!(account.totals(), "acked 2 lost 0 repeated 0");
        account.found.wrong = 1;
        assert!(account.failed());
        assert_eq!(account.totals(), "acked 2 lost 0 repeated 0 wrong 1");
        (account.found.wrong, account.found.repeated) = (0, 1);
        assert!(account.failed());
        assert_eq!(account.totals(), "acked 2 lost 0 repeated 1");
    }
}
