//! The book of a thread: what was acknowledged, and whether it is there once, in order.

use std::collections::{BTreeMap, HashSet};

use super::history::{Cursor, Entry};
use crate::drill::FINDINGS_MAX;

/// What books show.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Acknowledged events that are not there.
    pub(crate) lost: usize,
    /// Events that are there again.
    pub(crate) repeated: usize,
    /// What else is wrong: holes, order, epochs, followers.
    pub(crate) wrong: usize,
    /// The first of them, in words.
    pub(crate) notes: Vec<String>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.lost + self.repeated + self.wrong == 0
    }

    /// Takes a finding down; who calls counts it.
    pub(crate) fn note(&mut self, finding: String) {
        if self.notes.len() < FINDINGS_MAX {
            self.notes.push(finding);
        }
    }
}

/// What is known of one thread.
#[derive(Debug, Default, Clone)]
pub(crate) struct Book {
    /// How findings name the thread.
    thread: String,
    /// The last entry of the last check: everything up to it was found in order.
    settled: Option<Cursor>,
    /// Names of everything that was ever found in the thread.
    found: HashSet<String>,
    /// Acknowledged since the last check: name and cursor, per writer, in order.
    acked: Vec<Vec<(String, String)>>,
}

impl Book {
    /// The empty book of a thread.
    pub(crate) fn new(thread: &str) -> Self {
        Self {
            thread: thread.to_owned(),
            ..Self::default()
        }
    }

    /// The last entry that was found in order.
    pub(crate) fn settled(&self) -> Option<&Cursor> {
        self.settled.as_ref()
    }

    /// Enters the name and cursor of each event of a writer that was acknowledged, in order.
    pub(crate) fn enter(&mut self, acked: Vec<(String, String)>) {
        self.acked.push(acked);
    }

    /// Compares the book with what is held after what was settled.
    pub(crate) fn check(&mut self, held: &[Entry], findings: &mut Findings) {
        self.check_acked(held, findings);
        self.check_order(held, findings);
    }

    /// Every acknowledged event is there, at its cursor, in its writer's order.
    fn check_acked(&mut self, held: &[Entry], findings: &mut Findings) {
        let thread = &self.thread;
        let by_name: BTreeMap<&str, &Cursor> = held
            .iter()
            .map(|entry| (entry.name.as_str(), &entry.cursor))
            .collect();
        for acked in std::mem::take(&mut self.acked) {
            let mut last = 0;
            for (name, cursor) in acked {
                let Some(held) = by_name.get(name.as_str()) else {
                    findings.lost += 1;
                    findings.note(format!(
                        "{thread}: {name}, acknowledged at {cursor}, is lost"
                    ));
                    continue;
                };
                if held.text != cursor || held.seq <= last {
                    findings.wrong += 1;
                    findings.note(format!(
                        "{thread}: {name}, acknowledged at {cursor}, is at {}",
                        held.text
                    ));
                }
                last = held.seq;
            }
        }
    }

    /// Cursors continue without a hole in one epoch, and no name comes twice.
    fn check_order(&mut self, held: &[Entry], findings: &mut Findings) {
        let thread = &self.thread;
        for entry in held {
            let expected = self.settled.as_ref().map_or(1, |last| last.seq + 1);
            let same_epoch = self
                .settled
                .as_ref()
                .is_none_or(|last| last.epoch == entry.cursor.epoch);
            if entry.cursor.seq != expected || !same_epoch {
                findings.wrong += 1;
                findings.note(format!(
                    "{thread}: {} follows {:?}",
                    entry.cursor.text, self.settled
                ));
            }
            if !self.found.insert(entry.name.clone()) {
                findings.repeated += 1;
                findings.note(format!(
                    "{thread}: {} is there again at {}",
                    entry.name, entry.cursor.text
                ));
            }
            self.settled = Some(entry.cursor.clone());
        }
    }
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

    /// Checks a thread in which one writer was acknowledged `a` and `b`: lost, repeated, wrong.
    fn check(rows: &[(&str, &str)], expect: (usize, usize, usize)) {
        let own = |(name, cursor): (&str, &str)| (name.to_owned(), cursor.to_owned());
        let mut book = Book::new("th");
        book.enter(vec![own(("a", "e-1")), own(("b", "e-2"))]);
        let mut findings = Findings::default();
        book.check(&held(rows), &mut findings);
        let counts = (findings.lost, findings.repeated, findings.wrong);
        assert_eq!(counts, expect, "{findings:?}");
        assert_eq!(findings.is_sound(), expect == (0, 0, 0));
    }

    #[test]
    fn the_books_notice_whatever_goes_wrong() {
        check(&[("e-1", "a"), ("e-2", "b")], (0, 0, 0));
        let unacknowledged = ("e-3", "unacknowledged");
        check(&[("e-1", "a"), ("e-2", "b"), unacknowledged], (0, 0, 0));
        check(&[("e-1", "a")], (1, 0, 0));
        check(&[], (2, 0, 0));
        check(&[("e-1", "a"), ("e-2", "b"), ("e-3", "b")], (0, 1, 1));
        check(&[("e-1", "b"), ("e-2", "a")], (0, 0, 2));
        check(&[("e-1", "a"), ("e-2", "b"), ("e-4", "c")], (0, 0, 1));
        check(&[("e-1", "a"), ("e-2", "b"), ("f-3", "c")], (0, 0, 1));
    }
}
