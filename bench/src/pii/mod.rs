//! Personal data in text: precision and recall on a labelled corpus, and texts per second.
//!
//! The corpus is made by chance from a fixed seed. Beside ours runs
//! `redact-core`, a published recogniser in Rust, on the same texts.

mod accuracy;
mod peer;
mod speed;

use anyhow::Result;

use crate::table::Row;

const SUBJECT: &str = "pii";
const SEED: u64 = 11_212_026;

/// Measures both.
///
/// # Errors
/// When the peer does not work.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let mut rows = accuracy::measure()?;
    rows.extend(speed::measure()?);
    Ok(rows)
}
