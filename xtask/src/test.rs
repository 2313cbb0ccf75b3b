//! `test`: every test of the workspace.
//!
//! The embedded engine lives in the test processes. Servers that tests need they start themselves,
//! except Firestore's emulator, which they share. The server's own suite runs twice: with everything in
//! one process, and on the profile `cloud`.
//! Documentation tests come first and the suite on `cloud` second, because the runner's summary of
//! everything, which CI reads, must be the last thing printed.

use std::process::Command;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    clients, firestore,
    process::{self, cargo},
    suite, tools,
};

/// Where the server's tests are told the profile.
const PROFILE: &str = "TENANTRY_TEST_PROFILE";

/// What to test.
#[derive(Args)]
pub(crate) struct Options {
    /// `cloud` runs the server's suite over Redis, Firestore's emulator and an S3 store, and nothing else.
    #[arg(long, value_enum, default_value_t = Profile::Embedded)]
    profile: Profile,
    /// Names (or any arguments) for nextest: only these tests run, and no documentation tests.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    filters: Vec<String>,
}

/// What the servers under test stand on.
#[derive(Clone, Copy, ValueEnum)]
enum Profile {
    Embedded,
    Cloud,
}

/// Runs all tests, or those that the filters select.
///
/// # Errors
/// When a test fails, or none was selected.
pub(crate) fn run(options: &Options) -> Result<()> {
    let filters: Vec<&str> = options.filters.iter().map(String::as_str).collect();
    match options.profile {
        Profile::Cloud => on_cloud(&filters),
        Profile::Embedded if filters.is_empty() => all(),
        Profile::Embedded => nextest(&filters),
    }
}

/// Runs every test that there is; each runner runs whatever the others find.
///
/// # Errors
/// When a test fails.
pub(crate) fn all() -> Result<()> {
    let documentation = process::run(&mut cargo(["test", "--workspace", "--doc"]));
    let outcomes = [documentation, on_cloud(&[]), nextest(&[])];
    let failures = outcomes.into_iter().filter_map(Result::err);
    let failures: Vec<String> = failures.map(|error| format!("{error:#}")).collect();
    if failures.is_empty() {
        return Ok(());
    }
    bail!("{}", failures.join("; "))
}

/// Runs nextest over the workspace; no test at all is a failure.
///
/// # Errors
/// When a test fails, or none was selected.
pub(crate) fn nextest(args: &[&str]) -> Result<()> {
    let mut command = runner()?;
    command.arg("--workspace").args(args);
    beside_firestore(&mut command)
}

/// Runs the server's suite on the profile `cloud`, but for what is left out.
///
/// # Errors
/// When a test fails, none was selected, or the list of what is left out is wrong.
fn on_cloud(args: &[&str]) -> Result<()> {
    let left_out = suite::left_out()?;
    suite::announce(&left_out);
    let mut command = runner()?;
    command.args(["-p", "tenantry-server", "-E", &suite::filterset(&left_out)]);
    beside_firestore(command.args(args).env(PROFILE, "cloud"))
}

fn runner() -> Result<Command> {
    tools::ensure("nextest")?;
    tools::ensure_programs();
    clients::ensure();
    Ok(cargo([
        "nextest",
        "run",
        "--no-fail-fast",
        "--no-tests=fail",
    ]))
}

/// Runs a command that shares one emulator.
fn beside_firestore(command: &mut Command) -> Result<()> {
    // Tests that need one and find none start it themselves, or say what is missing.
    let firestore = firestore::emulator();
    match &firestore {
        Ok(emulator) => {
            command.env(firestore::HOST, &emulator.host);
        }
        Err(error) => eprintln!("{error:#}"),
    }
    process::run(command)
}
