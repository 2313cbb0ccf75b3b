//! The books of one tenant: what was answered, and whether its records are there.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    load::Answered,
    log::{Item, Items},
};

/// What is known of a tenant's log.
#[derive(Default)]
pub(super) struct Book {
    /// The last record of the last settlement; every intent up to it had ended.
    pub(super) settled: u64,
    /// Answered since then.
    answered: Vec<Answered>,
}

/// What the books show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Answers whose record is not there, or says something else.
    pub(super) lost: Vec<String>,
    /// What else is wrong: holes, intents that do not end, or end twice.
    pub(super) wrong: Vec<String>,
    /// Intents that nobody knows the end of.
    pub(super) unknown: usize,
}

impl Findings {
    /// Whether nothing is lost or wrong.
    pub(super) fn is_sound(&self) -> bool {
        self.lost.is_empty() && self.wrong.is_empty()
    }

    /// Adds what another round found.
    pub(super) fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.wrong.extend(other.wrong);
        self.unknown += other.unknown;
    }
}

impl Book {
    /// Enters what a writer knows.
    pub(super) fn enter(&mut self, answered: Vec<Answered>) {
        self.answered.extend(answered);
    }

    /// Compares the books with all records after the last settlement.
    pub(super) fn check(&self, items: &Items) -> Findings {
        let mut findings = Findings::default();
        self.check_places(items, &mut findings);
        check_intents(items, &mut findings);
        let by_request = by_request(items);
        for one in &self.answered {
            let ended = by_request.get(one.request.as_str());
            let held = ended.into_iter().flatten().any(|(seq, outcome)| {
                one.seq.is_none_or(|expected| expected == *seq) && *outcome == one.outcome
            });
            if !held {
                let (request, seq) = (&one.request, one.seq);
                findings.lost.push(format!(
                    "{request} ended {} at {seq:?}, the log has {ended:?}",
                    one.outcome
                ));
            }
        }
        findings
    }

    /// Everything up to the last of `items` is accounted for.
    pub(super) fn settle(&mut self, items: &Items) {
        self.answered.clear();
        if let Some((last, _)) = items.last_key_value() {
            self.settled = *last;
        }
    }

    fn check_places(&self, items: &Items, findings: &mut Findings) {
        for (expected, seq) in (self.settled + 1..).zip(items.keys()) {
            if expected != *seq {
                findings
                    .wrong
                    .push(format!("{seq} follows {}", expected - 1));
                return;
            }
        }
    }
}

/// Each intent ends once.
fn check_intents(items: &Items, findings: &mut Findings) {
    let mut open = BTreeSet::new();
    for (seq, item) in items {
        match item {
            Item { outcome: None, .. } => {
                open.insert(*seq);
            }
            Item {
                concludes: Some(intent),
                outcome: Some(outcome),
                ..
            } => {
                if !open.remove(intent) {
                    findings.wrong.push(format!("{seq} ends {intent} again"));
                }
                findings.unknown += usize::from(outcome == "unknown");
            }
            Item { .. } => {}
        }
    }
    for seq in open {
        findings
            .wrong
            .push(format!("the intent {seq} does not end"));
    }
}

/// Where and how each request ended.
fn by_request(items: &Items) -> BTreeMap<&str, Vec<(u64, &str)>> {
    let mut ends: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for (seq, item) in items {
        if let Some(outcome) = &item.outcome {
            ends.entry(&item.request).or_default().push((*seq, outcome));
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records from 1: the request, the intent that ends, and how.
    fn items(rows: &[(&str, u64, &str)]) -> Items {
        let item = |(request, concludes, outcome): &(&str, u64, &str)| Item {
            request: (*request).to_owned(),
            concludes: (*concludes > 0).then_some(*concludes),
            outcome: (!outcome.is_empty()).then(|| (*outcome).to_owned()),
        };
        (1..).zip(rows.iter().map(item)).collect()
    }

    /// A writer was answered `done` for `a` at 2.
    fn check(items: &Items, expect: (usize, usize, usize)) {
        let answered = |seq| Answered {
            request: "a".to_owned(),
            seq,
            outcome: "done".to_owned(),
        };
        for seq in [Some(2), None] {
            let mut book = Book::default();
            book.enter(vec![answered(seq)]);
            let found = book.check(items);
            let counts = (found.lost.len(), found.wrong.len(), found.unknown);
            assert_eq!(counts, expect, "{found:?}");
        }
    }

    #[test]
    fn the_books_notice_whatever_goes_wrong() {
        let sound = [
            ("a", 0, ""),
            ("a", 1, "done"),
            ("b", 0, ""),
            ("b", 3, "unknown"),
        ];
        check(&items(&sound), (0, 0, 1));
        check(&items(&sound[..2]), (0, 0, 0));
        check(&items(&sound[..1]), (1, 1, 0));
        check(&items(&sound[..3]), (0, 1, 0));
        check(&items(&[]), (1, 0, 0));
        check(&items(&[("a", 0, ""), ("a", 1, "unknown")]), (1, 0, 1));
        check(
            &items(&[("a", 0, ""), ("a", 1, "refused:conflict")]),
            (1, 0, 0),
        );
        check(
            &items(&[("a", 0, ""), ("a", 1, "done"), ("a", 1, "unknown")]),
            (0, 1, 1),
        );
        let mut hole = items(&sound);
        hole.remove(&1);
        check(&hole, (0, 2, 1));
    }

    #[test]
    fn a_record_at_another_place_is_not_the_one_that_was_named() {
        let mut book = Book::default();
        book.enter(vec![Answered {
            request: "a".to_owned(),
            seq: Some(3),
            outcome: "done".to_owned(),
        }]);
        let held = items(&[("a", 0, ""), ("a", 1, "done")]);
        assert_eq!(book.check(&held).lost.len(), 1);
    }
}
