//! `test`: every test of the workspace.
//!
//! The embedded engine lives in the test processes. Servers that tests need they start themselves,
//! except Firestore's emulator, which they share.
//! Documentation tests come first, because the runner's summary, which CI
//! reads, must be the last thing printed.

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    clients, firestore,
    process::{self, cargo},
    tools,
};

/// What to test.
#[derive(Args)]
pub(crate) struct Options {
    /// Names (or any arguments) for nextest: only these tests run, and no documentation tests.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    filters: Vec<String>,
}

/// Runs all tests, or those that the filters select.
///
/// # Errors
/// When a test fails, or none was selected.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.filters.is_empty() {
        return all();
    }
    let filters: Vec<&str> = options.filters.iter().map(String::as_str).collect();
    nextest(&filters)
}

/// Runs every test that there is; the second runner runs whatever the first one finds.
///
/// # Errors
/// When a test fails.
pub(crate) fn all() -> Result<()> {
    let documentation = process::run(&mut cargo(["test", "--workspace", "--doc"]));
    match (documentation, nextest(&[])) {
        (Ok(()), others) => others,
        (documentation, Ok(())) => documentation,
        (Err(documentation), Err(others)) => bail!("{documentation}; {others}"),
    }
}

/// Runs nextest over the workspace; no test at all is a failure.
///
/// # Errors
/// When a test fails, or none was selected.
pub(crate) fn nextest(args: &[&str]) -> Result<()> {
    tools::ensure("nextest")?;
    tools::ensure_programs();
    clients::ensure();
    let fixed = [
        "nextest",
        "run",
        "--workspace",
        "--no-fail-fast",
        "--no-tests=fail",
    ];
    let mut command = cargo(fixed);
    // Tests that need one and find none start it themselves, or say what is missing.
    let firestore = firestore::emulator();
    match &firestore {
        Ok(emulator) => {
            command.env(firestore::HOST, &emulator.host);
        }
        Err(error) => eprintln!("{error:#}"),
    }
    process::run(command.args(args))
}
