//! A labelled corpus, to measure recognisers with: personal data that is made by
//! chance, put into texts of people and machines, among what only looks like it.
//!
//! Start at [`texts`] and [`score`]. Behind the feature `corpus`, because tests
//! and measurements alone need it.
//!
//! **Invariants:** the same seed gives the same corpus. It shares with the
//! recognisers the names of kinds and nothing else: checks are computed here
//! again and forms are written down again, so that a mistake in a recogniser is
//! not repeated in what it is measured by.

mod chance;
mod near;
mod numbers;
mod online;
mod phones;
mod score;
mod secrets;
mod slots;
mod templates;

use super::Finding;
use chance::Chance;
pub use score::{Score, score};

/// A text, and where in it what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The text.
    pub text: String,
    /// All personal data in it, in order.
    pub labels: Vec<Finding>,
}

/// Makes `count` short texts, every third of them without personal data.
///
/// # Parameters
/// - `seed`: any number; the same one makes the same texts.
/// - `count`: how many.
#[must_use]
pub fn texts(seed: u64, count: usize) -> Vec<Labelled> {
    let mut chance = Chance::new(seed);
    (0..count).map(|_| text(&mut chance)).collect()
}

fn text(chance: &mut Chance) -> Labelled {
    let templates = if chance.one_in(3) {
        templates::INNOCENT
    } else {
        templates::PERSONAL
    };
    let template = chance.pick(templates);
    fill(template, chance)
}

/// Makes `count` longer texts: some paragraphs of prose, and some of [`texts`] among them.
///
/// # Parameters
/// As for [`texts`].
#[must_use]
pub fn long_texts(seed: u64, count: usize) -> Vec<Labelled> {
    let mut chance = Chance::new(seed);
    let mut long = || {
        let mut whole = Labelled {
            text: String::new(),
            labels: Vec::new(),
        };
        for _ in 0..chance.between(2, 8) {
            if chance.one_in(3) {
                append(&mut whole, text(&mut chance));
            } else {
                whole.text.push_str(chance.pick(PROSE));
            }
            whole.text.push('\n');
        }
        whole
    };
    (0..count).map(|_| long()).collect()
}

fn append(whole: &mut Labelled, part: Labelled) {
    let shift = whole.text.len();
    whole.text.push_str(&part.text);
    whole
        .labels
        .extend(part.labels.into_iter().map(|label| Finding {
            start: label.start + shift,
            end: label.end + shift,
            ..label
        }));
}

/// Sentences without anything in them.
const PROSE: &[&str] = &[
    "The new dashboard is much faster than the old one, and the team is happy with how the \
     migration went; we will watch the error rate over the weekend and decide on Monday.",
    "I tried the steps you described but the page still shows a spinner after I press save. \
     It works in another browser, so it may be an extension.",
    "Summary: the model proposed three layouts, the user picked the second, and asked for a \
     darker background with larger headings and less text in the first section.",
    "Kurze Rückmeldung: die Ausgabe stimmt jetzt, nur die Überschrift sollte kürzer sein.",
    "Il faudrait ajouter un tableau avec les ventes par trimestre, puis une courbe.",
    "请把第二段改短一点，并且加上一个标题。",
    "Warning: cache miss ratio above threshold in shard 7, retrying with backoff.",
];

/// Texts of up to a mebibyte that consist of nearly personal data and contain none.
///
/// Each comes with a name for messages.
#[must_use]
pub fn long_near_misses() -> Vec<(&'static str, String)> {
    const DIGITS: usize = 1 << 20;
    const BYTES: usize = 1 << 17;
    let repeated = |unit: &str| unit.repeat(BYTES / unit.len());
    vec![
        ("a mebibyte of ones", "1".repeat(DIGITS)),
        ("a mebibyte of digits", "1234567890".repeat(DIGITS / 10)),
        ("digits with dots", repeated("12345678.")),
        ("a's and signs", repeated("a@")),
        ("colons and digits", repeated("1:")),
        ("beginnings of tokens", repeated("eyJhbGciOiJIUzI1NiJ9 ")),
        ("beginnings of keys", repeated("-----BEGIN ")),
        ("URLs without an end", repeated("http://a:b")),
        ("signs of plus", repeated("+(")),
        ("words of two letters", repeated("DE ")),
    ]
}

/// Puts into `template` what its names in braces stand for.
fn fill(template: &str, chance: &mut Chance) -> Labelled {
    let mut text = String::new();
    let mut labels = Vec::new();
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        let Some(((_, kind, make), size)) = slots::slot_at(rest) else {
            text.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            continue;
        };
        let start = text.len();
        text.push_str(&make(chance));
        let end = text.len();
        labels.extend(kind.map(|kind| Finding { kind, start, end }));
        rest = rest.get(size..).unwrap_or_default();
    }
    Labelled { text, labels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_texts() {
        assert_eq!(texts(7, 50), texts(7, 50));
        assert_ne!(texts(7, 50), texts(8, 50));
    }

    #[test]
    fn labels_lie_in_their_texts_in_order() {
        for labelled in texts(1, 500).iter().chain(&long_texts(1, 100)) {
            let mut before = 0;
            for label in &labelled.labels {
                assert!(before <= label.start && label.start < label.end);
                assert!(labelled.text.get(label.start..label.end).is_some());
                before = label.end;
            }
        }
    }

    #[test]
    fn every_name_in_braces_is_known() {
        for template in templates::PERSONAL.iter().chain(templates::INNOCENT) {
            let filled = fill(template, &mut Chance::new(1));
            let names = [
                "{email", "{phone", "{card", "{iban", "{bad_", "{no_", "{date}",
            ];
            assert!(
                !names.iter().any(|name| filled.text.contains(name)),
                "{template}"
            );
        }
    }
}
