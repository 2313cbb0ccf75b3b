//! The books of the drill: what was acknowledged, and whether it is there once, in order.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    FINDINGS_MAX, THREADS,
    history::{self, Cursor, Entry},
    load::{Written, post},
    subscriber::{Subscriber, resume},
};
use crate::{server::Member, wire::http::Connection};

/// What is known of one thread.
#[derive(Default)]
struct Book {
    /// The last entry of the last settlement: everything up to it was found in order.
    settled: Option<Cursor>,
    /// Names of everything that was ever found in the thread.
    found: HashSet<String>,
    /// Acknowledged since the last settlement, per writer, in order.
    acked: Vec<Vec<(String, String)>>,
    /// Sent since then, and not acknowledged.
    pending: Vec<String>,
}

/// The books of all threads, and what is wrong.
#[derive(Default)]
pub(super) struct Account {
    books: BTreeMap<&'static str, Book>,
    acked: usize,
    lost: usize,
    repeated: usize,
    /// What else is wrong: holes, order, epochs, subscribers.
    wrong: usize,
    retried: usize,
    findings: Vec<String>,
}

impl Account {
    /// Enters what a writer knows.
    pub(super) fn enter(&mut self, written: Written) {
        self.acked += written.acked.len();
        let book = self.books.entry(written.thread).or_default();
        book.acked.push(written.acked);
        book.pending.extend(written.pending);
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
        for thread in THREADS {
            let mut book = self.books.remove(thread).unwrap_or_default();
            let after = book.settled.clone();
            let at_restart = read_after(addr, member, thread, after.as_ref())?;
            self.retry(addr, member, thread, &mut book, &at_restart)?;
            let now = read_after(addr, member, thread, after.as_ref())?;
            self.check_acked(thread, &book, &now);
            self.check_order(thread, &mut book, &now);
            for witness in witnesses.iter().filter(|witness| witness.thread == thread) {
                self.check_witness(addr, member, witness, &now)?;
            }
            self.books.insert(thread, book);
        }
        Ok(())
    }

    /// Every acknowledged event is there, at its cursor, in its writer's order.
    fn check_acked(&mut self, thread: &str, book: &Book, held: &[Entry]) {
        let by_name: BTreeMap<&str, &Cursor> = held
            .iter()
            .map(|entry| (entry.name.as_str(), &entry.cursor))
            .collect();
        for acked in &book.acked {
            let mut last = 0;
            for (name, cursor) in acked {
                let Some(held) = by_name.get(name.as_str()) else {
                    self.lost += 1;
                    self.note(format!(
                        "{thread}: {name}, acknowledged at {cursor}, is lost"
                    ));
                    continue;
                };
                if held.text != *cursor || held.seq <= last {
                    self.wrong += 1;
                    self.note(format!(
                        "{thread}: {name}, acknowledged at {cursor}, is at {}",
                        held.text
                    ));
                }
                last = held.seq;
            }
        }
    }

    /// Sends again what was not acknowledged; it is a duplicate exactly if it was there.
    fn retry(
        &mut self,
        addr: SocketAddr,
        member: &Member,
        thread: &str,
        book: &mut Book,
        held: &[Entry],
    ) -> Result<()> {
        let mut connection = Connection::open(addr)?;
        for name in std::mem::take(&mut book.pending) {
            let answer = post(&mut connection, member, thread, &name)?.json(201)?;
            let id = answer.get("id").and_then(Value::as_str).context("no id")?;
            let there = held.iter().find(|entry| entry.name == name);
            let agrees = answer.get("duplicate") == Some(&there.is_some().into())
                && there.is_none_or(|entry| entry.cursor.text == id);
            if !agrees {
                self.wrong += 1;
                self.note(format!(
                    "{thread}: {name} was {there:?} and its retry answers {answer}"
                ));
            }
            self.retried += 1;
            self.acked += 1;
            book.acked.push(vec![(name, id.to_owned())]);
        }
        Ok(())
    }

    /// Cursors continue without a hole in one epoch, and no name comes twice.
    fn check_order(&mut self, thread: &str, book: &mut Book, held: &[Entry]) {
        for entry in held {
            let expected = book.settled.as_ref().map_or(1, |last| last.seq + 1);
            let same_epoch = book
                .settled
                .as_ref()
                .is_none_or(|last| last.epoch == entry.cursor.epoch);
            if entry.cursor.seq != expected || !same_epoch {
                self.wrong += 1;
                self.note(format!(
                    "{thread}: {} follows {:?}",
                    entry.cursor.text, book.settled
                ));
            }
            if !book.found.insert(entry.name.clone()) {
                self.repeated += 1;
                self.note(format!(
                    "{thread}: {} is there again at {}",
                    entry.name, entry.cursor.text
                ));
            }
            book.settled = Some(entry.cursor.clone());
        }
        book.acked.clear();
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
            self.wrong += 1;
            let (thread, last) = (witness.thread, &last.cursor.text);
            self.note(format!(
                "{thread}: a subscriber that resumed after {last} saw something else"
            ));
        }
        Ok(())
    }

    fn note(&mut self, finding: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// Whether anything is wrong, or nothing was tried.
    pub(super) fn failed(&self) -> bool {
        self.lost + self.repeated + self.wrong > 0 || self.acked == 0
    }

    /// The first things that are wrong.
    pub(super) fn findings(&self) -> &[String] {
        &self.findings
    }

    /// How many events were sent again after a restart.
    pub(super) fn retried(&self) -> usize {
        self.retried
    }

    /// The line that the drill ends with.
    pub(super) fn totals(&self) -> String {
        let (acked, lost, repeated) = (self.acked, self.lost, self.repeated);
        let line = format!("acked {acked} lost {lost} repeated {repeated}");
        match self.wrong {
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
    history::read(
        addr,
        member,
        thread,
        after.map(|cursor| cursor.text.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(rows: &[(&str, &str)]) -> Vec<Entry> {
        let entry = |(cursor, name): &(&str, &str)| Entry {
            cursor: Cursor::parse(cursor).unwrap(),
            name: (*name).to_owned(),
        };
        rows.iter().map(entry).collect()
    }

    /// Settles a thread in which one writer was acknowledged `a` and `b`.
    fn check(rows: &[(&str, &str)], expect: &str) {
        let own = |(name, cursor): (&str, &str)| (name.to_owned(), cursor.to_owned());
        let mut book = Book {
            acked: vec![vec![own(("a", "e-1")), own(("b", "e-2"))]],
            ..Book::default()
        };
        let mut account = Account {
            acked: 2,
            ..Account::default()
        };
        account.check_acked("th", &book, &held(rows));
        account.check_order("th", &mut book, &held(rows));
        assert_eq!(account.totals(), expect);
        assert_eq!(account.failed(), expect != "acked 2 lost 0 repeated 0");
    }

    #[test]
    fn the_books_notice_whatever_goes_wrong() {
        check(&[("e-1", "a"), ("e-2", "b")], "acked 2 lost 0 repeated 0");
        check(
            &[("e-1", "a"), ("e-2", "b"), ("e-3", "unacknowledged")],
            "acked 2 lost 0 repeated 0",
        );
        check(&[("e-1", "a")], "acked 2 lost 1 repeated 0");
        check(&[], "acked 2 lost 2 repeated 0");
        check(
            &[("e-1", "a"), ("e-2", "b"), ("e-3", "b")],
            "acked 2 lost 0 repeated 1 wrong 1",
        );
        check(
            &[("e-1", "b"), ("e-2", "a")],
            "acked 2 lost 0 repeated 0 wrong 2",
        );
        check(
            &[("e-1", "a"), ("e-2", "b"), ("e-4", "c")],
            "acked 2 lost 0 repeated 0 wrong 1",
        );
        check(
            &[("e-1", "a"), ("e-2", "b"), ("f-3", "c")],
            "acked 2 lost 0 repeated 0 wrong 1",
        );
    }

    #[test]
    fn a_drill_that_tried_nothing_failed() {
        assert!(Account::default().failed());
    }
}
