//! What the commands need beside Rust: cargo subcommands that are programs of their
//! own, and servers and verifiers of other hands that tests run. Installed when missing.

use std::{
    path::Path,
    process::{Command, Stdio},
};

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

/// The verifiers that tests of the audit log run: each a Debian package and a file of it.
const VERIFIERS: [(&str, &str); 3] = [
    ("golang-go", "/usr/bin/go"),
    (
        "golang-golang-x-mod-dev",
        "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go",
    ),
    (
        "python3-cryptography",
        "/usr/lib/python3/dist-packages/cryptography/__init__.py",
    ),
];

/// The browser that uploads a file.
const BROWSER: (&str, &str) = ("chromium", "/usr/bin/chromium");

/// The Redis that the suites of its engine start and stop.
const REDIS: (&str, &str) = ("redis-server", "/usr/bin/redis-server");

/// The library that gives a server of a test another clock. Its folder is named after the architecture.
const FAKETIME: (&str, &str) = ("libfaketime", "/usr/share/doc/libfaketime/copyright");

/// Installs from Debian what tests run, unless it is there: Go, its `x/mod`, Python's
/// `cryptography`, Chromium, Redis, libfaketime.
///
/// Where that is not possible it says so and goes on: the tests that need one fail by themselves.
pub(crate) fn ensure_programs() {
    let needed = VERIFIERS.iter().chain([&BROWSER, &REDIS, &FAKETIME]);
    let missing = needed.filter(|(_, file)| !Path::new(file).exists());
    let missing: Vec<&str> = missing.map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return;
    }
    let packages = missing.join(" ");
    eprintln!("{packages}: not installed, and tests run them: installing");
    if let Err(error) = install(&missing) {
        eprintln!(
            "{error:#}\nas root on Debian: apt-get install {packages}; elsewhere install the like, or those tests fail"
        );
    }
}

/// Installs Debian packages, as root.
///
/// # Errors
/// When the installation fails.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let mut update = Command::new("apt-get");
    run(update.arg("update"))?;
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut install)
}

fn is_installed(name: &str) -> bool {
    let mut probe: Command = cargo([name, "--version"]);
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
