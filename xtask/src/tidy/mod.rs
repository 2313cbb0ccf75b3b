//! `tidy`: what neither rustfmt nor clippy can say about the tree.

mod rules;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::process::root;
use rules::{Source, check_file, check_lengths, parse_long_files};

/// Files that are longer than the limit, each with the length it must not exceed.
const LONG_FILES: &str = "xtask/tidy/long_files.txt";

/// Checks every Rust file under `crates/`.
///
/// # Errors
/// When a file cannot be read or breaks a rule.
pub(crate) fn run() -> Result<()> {
    let mut sources = Vec::new();
    collect(&root().join("crates"), &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let listed = fs::read_to_string(root().join(LONG_FILES)).context(LONG_FILES)?;
    let mut found: Vec<String> = sources.iter().flat_map(check_file).collect();
    found.extend(check_lengths(&sources, &parse_long_files(&listed)?));
    for finding in &found {
        println!("tidy: {finding}");
    }
    if !found.is_empty() {
        bail!("the tree is not tidy: {} findings", found.len());
    }
    println!("tidy: {} files in order", sources.len());
    Ok(())
}

fn collect(folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let path = path.strip_prefix(root())?.to_string_lossy().into_owned();
            sources.push(Source { path, text });
        }
    }
    Ok(())
}
