//! The recognisers against a labelled corpus that is made here.

use tenantry_privacy::pii::{
    Kind, Stripper,
    corpus::{Score, long_near_misses, long_texts, score, texts},
    scan, strip,
};

/// Not the seed of the measurement, which prints the same figures.
const SEED: u64 = 20_261_121;
const TEXTS: usize = 4_000;

/// Precision and recall that no kind may fall below.
fn least(kind: Kind) -> (f64, f64) {
    match kind {
        Kind::Phone => (0.9, 0.8),
        _ => (0.97, 0.95),
    }
}

#[test]
fn precision_and_recall_hold_for_every_kind() {
    let corpus = texts(SEED, TEXTS);
    let scores = score(&corpus, scan);
    for kind in Kind::ALL {
        let score: Score = scores[&kind];
        assert!(score.labelled >= 30, "{kind:?} is hardly in the corpus");
        let (precision, recall) = least(kind);
        assert!(score.precision() >= precision, "{kind:?}: {score:?}");
        assert!(score.recall() >= recall, "{kind:?}: {score:?}");
    }
}

#[test]
fn a_third_of_the_corpus_is_innocent() {
    let corpus = texts(SEED, TEXTS);
    let innocent = corpus.iter().filter(|text| text.labels.is_empty());
    assert!(innocent.count() > TEXTS / 4);
}

/// What a recogniser covers is gone from the text, whoever reads it.
#[test]
fn what_is_found_is_gone_from_the_stripped_text() {
    let mut left = 0;
    let mut all = 0;
    for labelled in long_texts(SEED, 300) {
        let stripped = strip(&labelled.text);
        for label in &labelled.labels {
            let secret = &labelled.text[label.start..label.end];
            all += 1;
            left += usize::from(stripped.contains(secret));
        }
    }
    assert!(all > 300, "{all} labels");
    assert!(left * 50 <= all, "{left} of {all} are left");
}

#[test]
fn the_corpus_as_a_stream_is_the_corpus_at_once() {
    for labelled in texts(SEED, 1_000) {
        let mut stripper = Stripper::new();
        let mut out = String::new();
        for c in labelled.text.chars() {
            out += &stripper.push(c.encode_utf8(&mut [0; 4]));
        }
        out += &stripper.finish();
        assert_eq!(out, strip(&labelled.text));
        assert_eq!(scan(&out), [], "{:?}", labelled.text);
    }
}

#[test]
fn a_mebibyte_of_near_misses_is_no_personal_data() {
    for (name, text) in long_near_misses() {
        assert_eq!(scan(&text), [], "{name}");
    }
}
