//! `layers`: proves the floors of the house from `cargo metadata`.

mod rule;

use anyhow::{Result, bail};
use cargo_metadata::{DependencyKind, Metadata};

use crate::workspace::{metadata, short};
use rule::{Edge, Kind, violations};

/// Checks the whole workspace.
///
/// # Errors
/// When a crate is unknown to the design or stands on what it must not.
pub(crate) fn run() -> Result<()> {
    let metadata = metadata()?;
    let members: Vec<&str> = metadata.packages.iter().map(|p| short(&p.name)).collect();
    let edges = edges(&metadata);
    let found = violations(&members, &edges);
    for violation in &found {
        println!("layers: {violation}");
    }
    if !found.is_empty() {
        bail!(
            "the floors of the workspace do not hold: {} violations",
            found.len()
        );
    }
    println!(
        "layers: {} crates, {} edges, all on their floors",
        members.len(),
        edges.len()
    );
    Ok(())
}

/// Every declared dependency of one member on another, optional ones included.
fn edges(metadata: &Metadata) -> Vec<Edge<'_>> {
    let mut edges = Vec::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            edges.push(Edge {
                from: short(&package.name),
                to: short(&dependency.name),
                kind: match dependency.kind {
                    DependencyKind::Development => Kind::Dev,
                    _ => Kind::Linked,
                },
            });
        }
    }
    edges
}
