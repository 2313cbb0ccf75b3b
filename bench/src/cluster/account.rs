//! The account of the drill: what every node holds of each thread, and what those who follow it saw.

use std::collections::BTreeMap;

use super::follower::Seen;
use crate::{
    chat::{
        book::{Book, Findings},
        history::Entry,
    },
    drill::FINDINGS_MAX,
};

/// Title and id.
pub(super) type Card = (String, String);

/// What all books and followers show.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) acked: usize,
    pub(super) found: Findings,
    /// Events of other tenants that were held or seen.
    pub(super) foreign: usize,
    /// Gaps that followers were told of.
    pub(super) gaps: usize,
}

impl Account {
    /// Compares a thread, as one node holds it, with its book. Names of its tenant's events begin with `own`.
    pub(super) fn check_held(&mut self, own: &str, book: &Book, held: &[Entry]) {
        let held = self.only(own, held);
        book.clone().check(&held, &mut self.found);
    }

    /// Compares the cards of a tenant, as one node lists them, with those that were acknowledged: title and id.
    pub(super) fn check_cards(&mut self, own: &str, acked: &[Card], held: &[Card]) {
        let mut by_title = BTreeMap::new();
        for (title, id) in held {
            if !title.starts_with(own) {
                self.foreign += 1;
                self.found.note(format!("{own} has the card {title}"));
            } else if by_title.insert(title, id).is_some() {
                self.found.repeated += 1;
                self.found.note(format!("{own} has the card {title} twice"));
            }
        }
        for (title, id) in acked {
            if by_title.get(title) != Some(&id) {
                self.found.lost += 1;
                let note = format!("{own} the card {title}, acknowledged as {id}, is lost");
                self.found.note(note);
            }
        }
    }

    /// Compares what was seen with what is `held` and came after the first entry: in order and once, from there to
    /// the end, or from one gap to the next.
    pub(super) fn check_seen(&mut self, own: &str, held: &[Entry], seen: &Seen) {
        self.gaps += seen.spans.len().saturating_sub(1);
        for what in &seen.strange {
            self.found.wrong += 1;
            self.found.note(format!("{own} a follower saw {what}"));
        }
        let mut due = held.get(1..).unwrap_or_default();
        for (at, span) in seen.spans.iter().enumerate() {
            let span = self.only(own, span);
            if at > 0 {
                // After a gap comes everything from the oldest event on.
                due = span
                    .first()
                    .map_or(due, |first| from(held, first.cursor.seq));
            }
            due = self.walk(own, &span, due);
        }
        self.missed(own, due, "the end");
    }

    /// Goes through a span; what is still due after it.
    fn walk<'a>(&mut self, own: &str, span: &[Entry], mut due: &'a [Entry]) -> &'a [Entry] {
        for entry in span {
            match due.iter().position(|one| one == entry) {
                Some(skipped) => {
                    let (missed, rest) = due.split_at(skipped);
                    self.missed(own, missed, &entry.cursor.text);
                    due = rest.get(1..).unwrap_or_default();
                }
                None => {
                    self.found.repeated += 1;
                    let (name, at) = (&entry.name, &entry.cursor.text);
                    self.found
                        .note(format!("{own} {name} at {at} was seen again"));
                }
            }
        }
        due
    }

    fn missed(&mut self, own: &str, missed: &[Entry], before: &str) {
        self.found.lost += missed.len();
        for entry in missed.iter().take(FINDINGS_MAX) {
            let name = &entry.name;
            self.found
                .note(format!("{own} {name} was not seen before {before}"));
        }
    }

    /// The entries of the tenant itself; others are counted.
    fn only(&mut self, own: &str, entries: &[Entry]) -> Vec<Entry> {
        let (of_it, foreign): (Vec<&Entry>, Vec<_>) = entries
            .iter()
            .partition(|entry| entry.name.starts_with(own));
        self.foreign += foreign.len();
        for entry in foreign {
            self.found.note(format!("{own} has {}", entry.name));
        }
        of_it.into_iter().cloned().collect()
    }

    /// Whether anything is wrong, or nothing was tried.
    pub(super) fn failed(&self) -> bool {
        !self.found.is_sound() || self.foreign > 0 || self.acked == 0
    }

    /// The line that the drill ends with.
    pub(super) fn line(&self) -> String {
        let (acked, foreign, gaps) = (self.acked, self.foreign, self.gaps);
        let (lost, repeated) = (self.found.lost, self.found.repeated);
        let line = format!(
            "acked {acked} lost {lost} repeated {repeated} cross-tenant {foreign} gaps {gaps}"
        );
        match self.found.wrong {
            0 => line,
            wrong => format!("{line} wrong {wrong}"),
        }
    }
}

fn from(held: &[Entry], seq: u64) -> &[Entry] {
    let before = held.partition_point(|entry| entry.cursor.seq < seq);
    held.get(before..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::history::Cursor;

    /// Entries of the tenant `t0.`, one for each name, from the cursor `e-1` on; an upper-case name is another's.
    fn entries(names: &str) -> Vec<Entry> {
        let entry = |name: char| Entry {
            cursor: Cursor::parse(&format!("e-{}", name.to_ascii_lowercase() as u32 - 96)).unwrap(),
            name: match name.is_ascii_uppercase() {
                true => format!("t1.{name}"),
                false => format!("t0.{name}"),
            },
        };
        names.chars().map(entry).collect()
    }

    /// What of `abcde` a follower saw who began after `a`; `expect` is what the account says then.
    fn check(spans: &[&str], expect: &str) {
        let seen = Seen {
            spans: spans.iter().map(|names| entries(names)).collect(),
            ..Seen::default()
        };
        let mut account = Account {
            acked: 5,
            ..Account::default()
        };
        account.check_seen("t0.", &entries("abcde"), &seen);
        assert_eq!(account.line(), format!("acked 5 {expect}"));
        let sound = expect.starts_with("lost 0 repeated 0 cross-tenant 0");
        assert_eq!(account.failed(), !sound);
    }

    #[test]
    fn whatever_a_follower_did_not_see_once_and_in_order_is_noticed() {
        check(&["bcde"], "lost 0 repeated 0 cross-tenant 0 gaps 0");
        check(&["bcd"], "lost 1 repeated 0 cross-tenant 0 gaps 0");
        check(&["cde"], "lost 1 repeated 0 cross-tenant 0 gaps 0");
        check(&["bce"], "lost 1 repeated 0 cross-tenant 0 gaps 0");
        check(&[], "lost 4 repeated 0 cross-tenant 0 gaps 0");
        check(&["bccde"], "lost 0 repeated 1 cross-tenant 0 gaps 0");
        check(&["bcdebc"], "lost 0 repeated 2 cross-tenant 0 gaps 0");
        check(&["cbde"], "lost 1 repeated 1 cross-tenant 0 gaps 0");
        check(&["bcXde"], "lost 0 repeated 0 cross-tenant 1 gaps 0");
        check(&["bc", "abcde"], "lost 0 repeated 0 cross-tenant 0 gaps 1");
        check(&["bc", "abde"], "lost 1 repeated 0 cross-tenant 0 gaps 1");
    }

    #[test]
    fn cards_are_there_once_and_only_their_own_tenants() {
        let cards = |text: &[(&str, &str)]| -> Vec<Card> {
            let own = |(title, id): &(&str, &str)| ((*title).to_owned(), (*id).to_owned());
            text.iter().map(own).collect()
        };
        let check = |held: &[(&str, &str)], expect: &str| {
            let acked = cards(&[("t0.a", "1"), ("t0.b", "2")]);
            let mut account = Account::default();
            account.check_cards("t0.", &acked, &cards(held));
            assert_eq!(account.line(), format!("acked 0 {expect} gaps 0"));
        };
        let (a, b) = (("t0.a", "1"), ("t0.b", "2"));
        check(&[a, b, ("t0.c", "3")], "lost 0 repeated 0 cross-tenant 0");
        check(&[b], "lost 1 repeated 0 cross-tenant 0");
        check(&[a, b, ("t0.a", "1")], "lost 0 repeated 1 cross-tenant 0");
        check(&[a, ("t0.b", "3")], "lost 1 repeated 0 cross-tenant 0");
        check(&[a, b, ("t1.a", "3")], "lost 0 repeated 0 cross-tenant 1");
    }

    #[test]
    fn what_a_node_holds_is_compared_with_what_was_acknowledged() {
        let mut book = Book::new("t0.th");
        book.enter(vec![
            ("t0.a".into(), "e-1".into()),
            ("t0.b".into(), "e-2".into()),
        ]);
        let check = |held: &str, expect: &str| {
            let mut account = Account::default();
            account.check_held("t0.", &book, &entries(held));
            assert_eq!(account.line(), format!("acked 0 {expect}"));
        };
        check("ab", "lost 0 repeated 0 cross-tenant 0 gaps 0");
        check("a", "lost 1 repeated 0 cross-tenant 0 gaps 0");
        check("abC", "lost 0 repeated 0 cross-tenant 1 gaps 0");
        assert!(Account::default().failed(), "nothing was tried");
    }
}
