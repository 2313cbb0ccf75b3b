//! The audit log: durable records, epochs over a million tenants, memory for them.

mod append;
mod world;

use anyhow::Result;

use crate::table::Row;

/// Measures all three.
///
/// # Errors
/// When the engine or the disk fails, or the log freezes.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(append::measure())
}
