//! Measurements of Tenantry, each beside a baseline of the same run, and the crash drill.
//!
//! `cargo xtask bench` and `cargo xtask crash` build and call it. A
//! measurement makes [`table::Row`]s; nothing here decides that a figure is good.
//!
//! **Invariant:** a ratio compares medians of interleaved rounds in one
//! process run, because the machine drifts by more than what is measured.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring tool reads the ambient clock and chance, mounts a bare baseline route, and prints"
)]

mod ambient;
mod append;
mod audit;
mod canvas;
mod chat;
mod crash;
mod drill;
mod fanout;
mod flags;
mod gates;
mod guard;
mod nexus;
mod pii;
mod scope;
mod server;
mod stats;
mod table;
mod wire;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// Measures Tenantry, or kills it.
#[derive(Parser)]
struct Options {
    /// The server's binary.
    #[arg(long)]
    server: PathBuf,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure, and print one table.
    Measure {
        /// What; everything without one.
        subjects: Vec<Subject>,
        /// Install the peers that are compared with, where they are missing.
        #[arg(long)]
        install_peers: bool,
    },
    /// Kill a loaded server at random moments and account for what it acknowledged.
    Crash(crash::Options),
    /// Open an audit log and print what it holds in memory; `measure audit` calls it.
    #[command(hide = true)]
    HoldAudit { folder: PathBuf },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    Guard,
    Append,
    Audit,
    Canvas,
    Fanout,
    Gates,
    Flags,
    Nexus,
    Pii,
}

fn main() -> Result<()> {
    let options = Options::parse();
    match options.task {
        Task::Measure {
            subjects,
            install_peers,
        } => {
            let subjects = if subjects.is_empty() {
                Subject::value_variants().to_vec()
            } else {
                subjects
            };
            let mut rows = Vec::new();
            for subject in subjects {
                rows.extend(match subject {
                    Subject::Guard => guard::measure(&options.server)?,
                    Subject::Append => append::measure()?,
                    Subject::Audit => audit::measure()?,
                    Subject::Canvas => canvas::measure(&options.server)?,
                    Subject::Fanout => fanout::measure(&options.server, install_peers)?,
                    Subject::Flags => flags::measure(&options.server)?,
                    Subject::Gates => gates::measure()?,
                    Subject::Nexus => nexus::measure(&options.server)?,
                    Subject::Pii => pii::measure()?,
                });
            }
            table::print(&rows);
            Ok(())
        }
        Task::Crash(drill) => crash::run(&options.server, &drill),
        Task::HoldAudit { folder } => audit::hold(&folder),
    }
}
