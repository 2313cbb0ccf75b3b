//! What a flag costs: one evaluation beside `unleash-yggdrasil`, and OFREP beside a bare handler.
//!
//! Both evaluators have the same flag: a constraint over one attribute of the context, and
//! a rollout to half of all targeting keys. Both are asked about the same people in turn.

mod evaluator;
mod ofrep;

use std::path::Path;

use anyhow::Result;

use crate::table::Row;

const SUBJECT: &str = "flags";

/// Measures both.
///
/// # Errors
/// When the peer does not work, a server does not start, or an answer is not 200.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Row>> {
    let mut rows = evaluator::measure()?;
    rows.extend(ofrep::measure(binary)?);
    Ok(rows)
}
