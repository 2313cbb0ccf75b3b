//! Cargo subcommands that are programs of their own, installed when missing.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::{cargo, run};

/// Installs `cargo-<name>` from crates.io unless it is there.
///
/// # Errors
/// When the installation fails.
pub(crate) fn ensure(name: &str) -> Result<()> {
    if is_installed(name) {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    eprintln!("{package} is not installed: installing it from crates.io (some minutes, once)");
    run(&mut cargo(["install", &package, "--locked"])).with_context(|| {
        format!("{package} is needed; install it with `cargo install {package} --locked`")
    })
}

fn is_installed(name: &str) -> bool {
    let mut probe: Command = cargo([name, "--version"]);
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
