//! The workspace as cargo sees it.

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::process::root;

/// What every package name of the workspace starts with.
pub(crate) const PREFIX: &str = "tenantry-";

/// The members and their declared dependencies, without resolving the rest.
///
/// # Errors
/// When `cargo metadata` fails.
pub(crate) fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .current_dir(root())
        .no_deps()
        .exec()
        .context("cargo metadata")
}

/// The short names of the members: `identity` for `tenantry-identity`.
///
/// # Errors
/// When `cargo metadata` fails.
pub(crate) fn members() -> Result<Vec<String>> {
    let packages = metadata()?.packages;
    let names = packages.iter().map(|package| short(&package.name));
    Ok(names.map(str::to_owned).collect())
}

/// The name by which the design calls a package.
pub(crate) fn short(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}
