//! Texts per second, in interleaved rounds.

use std::{hint::black_box, time::Instant};

use anyhow::Result;
use privacy::pii::{
    Stripper,
    corpus::{Labelled, long_texts, texts},
    scan, strip,
};

use super::{SEED, SUBJECT, peer::Peer};
use crate::{
    stats::{median, median_ratio},
    table::{Row, per_second},
};

const ROUNDS: usize = 25;
const TARGET: f64 = 1.0;
/// What a model says at a time, in bytes.
const PIECE_BYTES: usize = 16;

/// Something that reads a text, as often as it is told.
type Reader<'a> = Box<dyn Fn(&str) -> Result<()> + 'a>;

struct Side<'a> {
    name: &'static str,
    target: Option<f64>,
    read: Reader<'a>,
    rates: Vec<f64>,
}

impl<'a> Side<'a> {
    fn new(name: &'static str, read: impl Fn(&str) -> Result<()> + 'a) -> Self {
        Self {
            name,
            target: None,
            read: Box::new(read),
            rates: Vec::new(),
        }
    }

    /// Reads the whole corpus once.
    fn round(&mut self, corpus: &[Labelled]) -> Result<()> {
        let started = Instant::now();
        for labelled in corpus {
            (self.read)(&labelled.text)?;
        }
        let rate = corpus.len() as f64 / started.elapsed().as_secs_f64();
        self.rates.push(rate);
        Ok(())
    }
}

/// Measures ours and the peer on short and on longer texts.
///
/// # Errors
/// When the peer does not work.
pub(super) fn measure() -> Result<Vec<Row>> {
    let mut rows = compare("short texts", &texts(SEED, 4_000))?;
    rows.extend(compare("longer texts", &long_texts(SEED, 1_000))?);
    Ok(rows)
}

fn compare(load: &str, corpus: &[Labelled]) -> Result<Vec<Row>> {
    eprintln!("pii: {load}, {ROUNDS} rounds");
    let bytes: usize = corpus.iter().map(|labelled| labelled.text.len()).sum();
    let mean = bytes / corpus.len().max(1);
    let peer = Peer::new();
    let mut sides = [
        Side::new("redact-core", |text| {
            black_box(peer.find(text)?);
            Ok(())
        }),
        Side {
            target: Some(TARGET),
            ..Side::new("tenantry scan", |text| {
                black_box(scan(text));
                Ok(())
            })
        },
        Side::new("tenantry strip", |text| {
            black_box(strip(text));
            Ok(())
        }),
        Side::new("tenantry Stripper, 16 bytes at a time", |text| {
            black_box(streamed(text));
            Ok(())
        }),
    ];
    for _ in 0..ROUNDS {
        for side in &mut sides {
            side.round(corpus)?;
        }
    }
    let baseline = sides.first().map_or(Vec::new(), |side| side.rates.clone());
    let row = |(at, side): (usize, &Side<'_>)| {
        let rate = median(side.rates.iter().copied());
        let detail = format!("{:.1} MB/s", rate * mean as f64 / 1e6);
        let what = format!("{}, {load} of {mean} bytes", side.name);
        let row = Row::new(SUBJECT, what, per_second(rate), detail);
        match at {
            0 => row,
            _ => row.compared(median_ratio(&side.rates, &baseline), side.target),
        }
    };
    Ok(sides.iter().enumerate().map(row).collect())
}

fn streamed(text: &str) -> String {
    let mut stripper = Stripper::new();
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.ceil_char_boundary(PIECE_BYTES);
        let (piece, behind) = rest.split_at(end);
        out += &stripper.push(piece);
        rest = behind;
    }
    out + &stripper.finish()
}
