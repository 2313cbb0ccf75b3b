//! Commits of the engine on Firestore, beside the bare client that sends the same documents.
//!
//! Each commit replaces a document in the state that was read before. The bare client sends the one
//! write with its precondition; the engine sends its receipt as well, and can tell what became of a
//! lost answer. Both talk to Google's emulator.

mod bare;
mod engine;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    append::{Appender, Side, drive},
    cloud::Project,
    stats::median_ratio,
    table::Row,
};
pub(crate) use bare::Bare;

const SUBJECT: &str = "documents";
/// Bytes of a document.
const VALUE_BYTES: usize = 300;
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 30;
/// Writers of a document each.
const LOADS: [(usize, &str); 3] = [
    (1, "1 writer"),
    (16, "16 writers, a document each"),
    (64, "64 writers, a document each"),
];

/// Measures every load in interleaved rounds.
///
/// # Errors
/// When there is no emulator, or a commit fails.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let project = Project::fresh()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut rows = Vec::new();
    for (writers, load) in LOADS {
        eprintln!("documents: {load}, {ROUNDS} rounds on Firestore");
        let (bare, ours) = runtime.block_on(compare(&project, writers))?;
        rows.push(bare.row(SUBJECT, format!("bare client, {load}")));
        let row = ours.row(SUBJECT, format!("engine-firestore, {load}"));
        rows.push(row.compared(median_ratio(&ours.rates, &bare.rates), None));
    }
    Ok(rows)
}

async fn compare(project: &Project, writers: usize) -> Result<(Side, Side)> {
    let bare: Arc<dyn Appender> = Arc::new(bare::Heads::open(project, writers).await?);
    let ours: Arc<dyn Appender> = Arc::new(engine::Heads::open(project, writers).await?);
    let (mut bare_side, mut our_side) = (Side::new(), Side::new());
    for round in 0..ROUNDS {
        for (heads, side) in [(&bare, &mut bare_side), (&ours, &mut our_side)] {
            let started = Instant::now();
            let driven = drive(Arc::clone(heads), writers, round, ROUND).await?;
            side.enter(&driven, started.elapsed());
        }
    }
    Ok((bare_side, our_side))
}
