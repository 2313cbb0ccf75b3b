//! `lint`: every check that is not a test.
//!
//! All checks run, so that one run shows all that is wrong; any failure fails.

use std::{
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    layers,
    process::{cargo, run as run_command},
    tidy, tools,
};

/// How long the advisory database may take to arrive.
const FETCH_S_MAX: u64 = 120;
const POLL_MS: u64 = 100;

type Check = fn() -> Result<Outcome>;

/// Runs every check.
///
/// # Errors
/// When any of them fails.
pub(crate) fn run() -> Result<()> {
    let checks: [(&str, Check); 7] = [
        ("fmt", || passed(&mut cargo(["fmt", "--all", "--check"]))),
        ("tidy", || tidy::run().map(|()| Outcome::Passed)),
        ("layers", || layers::run().map(|()| Outcome::Passed)),
        ("clippy", || passed(&mut clippy())),
        ("doc", || passed(&mut documentation())),
        ("deny", deny),
        ("advisories", advisories),
    ];
    let outcomes: Vec<_> = checks
        .iter()
        .map(|(name, check)| (*name, check()))
        .collect();
    report(&outcomes)
}

enum Outcome {
    Passed,
    /// Nothing is known, and why.
    NotChecked(String),
}

fn report(outcomes: &[(&str, Result<Outcome>)]) -> Result<()> {
    println!();
    for (name, outcome) in outcomes {
        match outcome {
            Ok(Outcome::Passed) => println!("lint: passed  {name}"),
            Ok(Outcome::NotChecked(why)) => println!("lint: {name} NOT CHECKED: {why}"),
            Err(error) => println!("lint: FAILED  {name}: {error:#}"),
        }
    }
    let failed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_err())
        .count();
    if failed > 0 {
        bail!("{failed} of {} checks failed", outcomes.len());
    }
    Ok(())
}

fn passed(command: &mut Command) -> Result<Outcome> {
    run_command(command).map(|()| Outcome::Passed)
}

fn clippy() -> Command {
    cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ])
}

fn documentation() -> Command {
    let mut command = cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn deny() -> Result<Outcome> {
    tools::ensure("deny")?;
    passed(&mut cargo(["deny", "check", "bans", "licenses", "sources"]))
}

/// Known vulnerabilities. Their database comes from a git host, which may be out of reach.
fn advisories() -> Result<Outcome> {
    tools::ensure("deny")?;
    let mut fetch = cargo(["deny", "fetch", "db"])
        .spawn()
        .context("cargo deny fetch db")?;
    if !wait_at_most(&mut fetch, Duration::from_secs(FETCH_S_MAX))?.is_some_and(|s| s.success()) {
        return Ok(Outcome::NotChecked("database unreachable".to_owned()));
    }
    passed(&mut cargo([
        "deny",
        "check",
        "--disable-fetch",
        "advisories",
    ]))
}

/// Waits for `child`; one that takes longer is killed, and gives `None`.
fn wait_at_most(child: &mut Child, most: Duration) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < most {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(POLL_MS));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
