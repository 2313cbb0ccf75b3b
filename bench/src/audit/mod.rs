//! The audit log: durable records, epochs over a million logs, memory for them.

mod append;
mod memory;
mod million;
mod tending;
mod world;

use anyhow::Result;

use crate::table::Row;

pub(crate) use memory::hold;

/// Measures all three.
///
/// # Errors
/// When the engine or the disk fails, or the log freezes.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut rows = append::measure().await?;
        rows.extend(million::measure().await?);
        Ok(rows)
    })
}
