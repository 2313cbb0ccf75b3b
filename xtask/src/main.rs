//! Development commands, as `cargo xtask …`: CI calls nothing else.
//!
//! Start at [`Task`]. Each command lives in a file of its own name; what
//! decides (`layers/rule.rs`, `tidy/rules.rs`) is pure and tested here.
//!
//! **Invariant:** a command that could not check something says so and never
//! counts it as passed.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a development tool reads the ambient clock and environment, and its output is its purpose"
)]

mod clients;
mod cluster;
mod crash;
mod firestore;
mod gate;
mod layers;
mod lint;
mod measure;
mod process;
mod suite;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Development commands of Tenantry.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Run every test: unit, integration and documentation tests.
    Test(test::Options),
    /// Formatting, clippy, documentation, layers, tidy and dependency checks.
    Lint,
    /// Prove the floors of the workspace from `cargo metadata`.
    Layers,
    /// Run the tests of one lane of the plan, or of all.
    Gate(gate::Options),
    /// Kill a loaded server at random moments and account for everything acknowledged.
    Crash(crash::Options),
    /// Kill nodes that share Redis and Firestore, and account for what clients of several tenants posted and followed.
    Cluster(cluster::Options),
    /// Measure against a baseline in the same run: guard, append, audit, fanout, flags and more.
    Bench(measure::Options),
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::Test(options) => test::run(&options),
        Task::Lint => lint::run(),
        Task::Layers => layers::run(),
        Task::Gate(options) => gate::run(&options),
        Task::Crash(options) => crash::run(&options),
        Task::Cluster(options) => cluster::run(&options),
        Task::Bench(options) => measure::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
