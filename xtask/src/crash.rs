//! `crash`: builds the server and runs the crash drill of the bench package against it.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{
    measure::{self, BuildOptions},
    process::run as run_command,
};

/// How long to drill.
#[derive(Args)]
pub(crate) struct Options {
    /// How many times the server is killed.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Makes the moments of the kills repeatable; printed when it was chosen by chance.
    #[arg(long)]
    seed: Option<u64>,
    /// What is accounted for.
    #[arg(long, value_enum, default_value_t = What::Stream)]
    what: What,
    #[command(flatten)]
    build: BuildOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Events of threads, and those who follow them.
    Stream,
    /// Mutations, and their records in the audit log.
    Audit,
    /// Gated records, and the budget that they are paid from.
    Nexus,
    /// Batches of commands of several clients, and the logs of their canvases.
    Canvas,
}

/// Builds, kills, restarts and accounts.
///
/// # Errors
/// When an acknowledged event was lost or repeated, or the drill cannot run.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut drill = measure::tool(options.build.build())?;
    drill
        .arg("crash")
        .arg("--rounds")
        .arg(options.rounds.to_string())
        .arg("--what")
        .arg(match options.what {
            What::Stream => "stream",
            What::Audit => "audit",
            What::Nexus => "nexus",
            What::Canvas => "canvas",
        });
    if let Some(seed) = options.seed {
        drill.arg("--seed").arg(seed.to_string());
    }
    run_command(&mut drill)
}
