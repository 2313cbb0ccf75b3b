//! `cluster`: builds the server and runs the drill of several nodes of the bench package against it.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::{
    firestore,
    measure::{self, BuildOptions},
    process::run as run_command,
    tools,
};

/// How long to drill, and how hard.
#[derive(Args)]
pub(crate) struct Options {
    /// How many nodes share the backends.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How often a node is killed, such as `5s` or `800ms`.
    #[arg(long, default_value = "5s", value_parser = span)]
    kill_every: Duration,
    /// Seconds in which nodes are killed.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Makes it repeatable which nodes are killed; printed when it was chosen by chance.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    build: BuildOptions,
}

/// Builds, starts the emulator, kills nodes and accounts.
///
/// # Errors
/// When something acknowledged was lost or repeated, or seen by another tenant, or the drill cannot run.
pub(crate) fn run(options: &Options) -> Result<()> {
    tools::ensure_programs();
    let firestore = firestore::emulator()?;
    let mut drill = measure::tool(options.build.build())?;
    drill
        .env(firestore::HOST, &firestore.host)
        .args(["cluster", "--nodes", &options.nodes.to_string()])
        .args([
            "--kill-every-ms",
            &options.kill_every.as_millis().to_string(),
        ])
        .args(["--seconds", &options.seconds.to_string()]);
    if let Some(seed) = options.seed {
        drill.arg("--seed").arg(seed.to_string());
    }
    run_command(&mut drill)
}

/// A span of time: a whole number and its unit.
fn span(text: &str) -> Result<Duration, String> {
    let read = |number: &str, unit: fn(u64) -> Duration| number.parse().ok().map(unit);
    let span = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => read(number, Duration::from_millis),
        (None, Some(number)) => read(number, Duration::from_secs),
        (None, None) => None,
    };
    span.filter(|span| !span.is_zero())
        .ok_or_else(|| format!("{text:?} is no time, such as 5s or 800ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(span("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(span("800ms"), Ok(Duration::from_millis(800)));
        for wrong in ["5", "0s", "-1s", "5m", "s", ""] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
