//! Canvases: durable commits, one command on many nodes, the way back to the head, seeking in a replay,
//! a flood of gestures.

mod apply;
mod commits;
mod gestures;
mod heads;
mod house;
mod recovery;
mod seek;

use std::path::Path;

use anyhow::Result;

use crate::table::Row;

const SUBJECT: &str = "canvas";

/// Measures all five.
///
/// # Errors
/// When a server does not start, the engine or the disk fails, or an answer is not what it should be.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut rows = runtime.block_on(commits::measure())?;
    rows.extend(apply::measure()?);
    rows.extend(runtime.block_on(recovery::measure())?);
    rows.extend(seek::measure()?);
    rows.extend(runtime.block_on(gestures::measure(binary))?);
    Ok(rows)
}

/// Measures commits to one canvas on the profile `cloud`.
///
/// # Errors
/// When a backend is missing, or a commit fails.
pub(crate) fn measure_cloud() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(heads::measure())
}
