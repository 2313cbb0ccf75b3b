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
mod cloud;
mod cluster;
mod crash;
mod documents;
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

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand, ValueEnum};

use table::Row;

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
        /// What; everything that the profile has without one.
        subjects: Vec<Subject>,
        /// Where the servers and engines that are measured keep everything.
        #[arg(long, value_enum, default_value_t = Profile::Embedded)]
        profile: Profile,
        /// Install the peers that are compared with, where they are missing.
        #[arg(long)]
        install_peers: bool,
    },
    /// Kill a loaded server at random moments and account for what it acknowledged.
    Crash(crash::Options),
    /// Kill nodes that share their backends and account for what clients of several tenants posted and followed.
    Cluster(cluster::Options),
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
    Documents,
    Fanout,
    Gates,
    Flags,
    Nexus,
    Pii,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    Embedded,
    Cloud,
}

/// What measurements are made with.
struct Means<'a> {
    /// The server's binary.
    server: &'a Path,
    install_peers: bool,
}

type Measurement = fn(&Means<'_>) -> Result<Vec<Row>>;

/// How a subject is measured, if the profile has it.
fn measurement(profile: Profile, subject: Subject) -> Option<Measurement> {
    Some(match (profile, subject) {
        (Profile::Embedded, Subject::Guard) => |means| guard::measure(means.server),
        (Profile::Embedded, Subject::Append) => |_| append::measure(),
        (Profile::Embedded, Subject::Audit) => |_| audit::measure(),
        (Profile::Embedded, Subject::Canvas) => |means| canvas::measure(means.server),
        (Profile::Embedded, Subject::Fanout) => {
            |means| fanout::measure(means.server, means.install_peers)
        }
        (Profile::Embedded, Subject::Flags) => |means| flags::measure(means.server),
        (Profile::Embedded, Subject::Gates) => |_| gates::measure(),
        (Profile::Embedded, Subject::Nexus) => |means| nexus::measure(means.server),
        (Profile::Embedded, Subject::Pii) => |_| pii::measure(),
        (Profile::Cloud, Subject::Guard) => |_| guard::measure_cloud(),
        (Profile::Cloud, Subject::Append) => |_| append::measure_cloud(),
        (Profile::Cloud, Subject::Canvas) => |_| canvas::measure_cloud(),
        (Profile::Cloud, Subject::Documents) => |_| documents::measure(),
        (Profile::Cloud, Subject::Fanout) => |means| fanout::measure_cloud(means.server),
        _ => return None,
    })
}

fn main() -> Result<()> {
    let options = Options::parse();
    match options.task {
        Task::Measure {
            subjects,
            profile,
            install_peers,
        } => {
            let means = Means {
                server: &options.server,
                install_peers,
            };
            let mut rows = Vec::new();
            for measure in chosen(profile, &subjects)? {
                rows.extend(measure(&means)?);
            }
            table::print(&rows);
            Ok(())
        }
        Task::Crash(drill) => crash::run(&options.server, &drill),
        Task::Cluster(drill) => cluster::run(&options.server, &drill),
        Task::HoldAudit { folder } => audit::hold(&folder),
    }
}

/// How the subjects are measured, or all that the profile has if none is named.
///
/// # Errors
/// When the profile does not have one of them.
fn chosen(profile: Profile, subjects: &[Subject]) -> Result<Vec<Measurement>> {
    let has = |subject: &Subject| measurement(profile, *subject);
    let all = Subject::value_variants();
    if subjects.is_empty() {
        return Ok(all.iter().filter_map(has).collect());
    }
    let known = all.iter().filter(|subject| has(subject).is_some());
    let known: Vec<String> = known.map(name).collect();
    let missing = |subject: &Subject| {
        let (profile, subject, known) = (name(&profile), name(subject), known.join(", "));
        anyhow!("{subject} is not measured on the profile {profile}; {known} are")
    };
    let measured = |subject| has(subject).ok_or_else(|| missing(subject));
    subjects.iter().map(measured).collect()
}

/// The name that the command line has for `value`.
fn name(value: &impl ValueEnum) -> String {
    let named = value.to_possible_value();
    named.map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_measures_what_it_has_and_names_it_otherwise() {
        let all = Subject::value_variants().len();
        assert_eq!(chosen(Profile::Embedded, &[]).unwrap().len(), all - 1);
        assert_eq!(chosen(Profile::Cloud, &[]).unwrap().len(), 5);
        assert_eq!(chosen(Profile::Cloud, &[Subject::Append]).unwrap().len(), 1);
        let refused = chosen(Profile::Cloud, &[Subject::Append, Subject::Pii]).unwrap_err();
        let said = "pii is not measured on the profile cloud; guard, append, canvas, documents, fanout are";
        assert_eq!(refused.to_string(), said);
        assert!(chosen(Profile::Embedded, &[Subject::Documents]).is_err());
    }
}
