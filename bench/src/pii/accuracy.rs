//! Precision and recall of every kind.

use anyhow::Result;
use privacy::pii::{
    Finding, Kind,
    corpus::{Score, score, texts},
    scan,
};

use super::{
    SEED, SUBJECT,
    peer::{self, Peer},
};
use crate::table::Row;

const TEXTS: usize = 10_000;

/// Scores ours and the peer on the same texts.
///
/// # Errors
/// When the peer does not work.
pub(super) fn measure() -> Result<Vec<Row>> {
    eprintln!("pii: precision and recall on {TEXTS} texts");
    let corpus = texts(SEED, TEXTS);
    let ours = score(&corpus, scan);
    let peer = Peer::new();
    let mut failed = None;
    let theirs = score(&corpus, |text| {
        let found = peer.find(text);
        found.unwrap_or_else(|error| {
            failed = Some(error);
            Vec::<Finding>::new()
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let score_in = |scores: &std::collections::BTreeMap<Kind, Score>, kind| {
        scores.get(&kind).copied().unwrap_or_default()
    };
    let row = |kind: Kind| row(kind, score_in(&ours, kind), score_in(&theirs, kind));
    Ok(Kind::ALL.into_iter().map(row).collect())
}

fn row(kind: Kind, ours: Score, theirs: Score) -> Row {
    let target = match target(kind) {
        Some((precision, recall)) => format!(", target {precision} / {recall}"),
        None => String::new(),
    };
    Row {
        ratio: format!("{} {}", peer::NAME, shares(theirs)),
        ..Row::new(
            SUBJECT,
            format!("{}: precision / recall", kind.as_str()),
            shares(ours),
            format!("{} labels, {} findings{target}", ours.labelled, ours.found),
        )
    }
}

fn shares(score: Score) -> String {
    format!("{:.3} / {:.3}", score.precision(), score.recall())
}

/// What the issue asks of a kind.
fn target(kind: Kind) -> Option<(f64, f64)> {
    match kind {
        Kind::Card | Kind::Email | Kind::Ssn | Kind::Iban | Kind::Ip => Some((0.97, 0.95)),
        Kind::Phone => Some((0.9, 0.8)),
        _ => None,
    }
}
