//! Records: durable creates behind gates and audit, lists and searches as tenants grow, presigned forms.

mod creates;
mod house;
mod presign;
mod reads;

use std::path::Path;

use anyhow::Result;

use crate::table::Row;

const SUBJECT: &str = "nexus";

/// Measures all three.
///
/// # Errors
/// When a server does not start, an engine or the disk fails, or an answer is not what it should be.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut rows = creates::measure(binary).await?;
        rows.extend(reads::measure().await?);
        rows.push(presign::measure().await?);
        Ok(rows)
    })
}
