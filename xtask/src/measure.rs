//! `bench`: builds the release server and measures it with the bench package.

use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{
    firestore,
    process::{cargo, root, run as run_command},
    tools,
    workspace::metadata,
};

/// Enough open files for 5,000 connections at both ends, as far as the hard limit allows.
const RAISE_FILES: &str = r#"ulimit -n "$(ulimit -Hn)"; exec "$@""#;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Any of them, in the order given; all that the profile has without one.
    subjects: Vec<Subject>,
    /// Where the servers and engines that are measured keep everything.
    #[arg(long, value_enum, default_value_t = Profile::Embedded)]
    profile: Profile,
    /// Install the peers that are compared with, where they are missing (apt-get, as root).
    #[arg(long)]
    install_peers: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// One process over one folder.
    Embedded,
    /// Redis, Firestore's emulator and an S3 store, which are started for it: guard, append, canvas,
    /// documents, fanout.
    Cloud,
}

#[derive(Clone, Copy, ValueEnum)]
enum Subject {
    /// A guarded route against a bare handler; on `cloud`, memberships looked up and remembered as well.
    Guard,
    /// Durable appends against a raw append+fdatasync loop; on `cloud`, against raw XADD.
    Append,
    /// Audit records against the same loop; epochs and memory of a million logs.
    Audit,
    /// Commits of canvases beside bare commits; one command on 10,000 nodes; recovery; seeking in a replay;
    /// on `cloud`, commits to one canvas from one, two and three nodes.
    Canvas,
    /// Commits on Firestore beside the bare client; on `cloud` alone.
    Documents,
    /// A flag beside unleash-yggdrasil; OFREP beside a bare handler.
    Flags,
    /// All pure gates of one decision beside cedar-policy, with 1,000 and 1,000,000 tenants.
    Gates,
    /// Fan-out to 1,000 subscribers and the cost of 5,000 idle ones, beside nchan; on `cloud`, to
    /// subscribers on one, two and three nodes, beside readers of Redis Streams.
    Fanout,
    /// Records made beside bare commits, lists and searches of up to a million records, presigned forms.
    Nexus,
    /// Precision and recall of the recognisers of personal data, and their speed beside redact-core.
    Pii,
}

/// Builds, measures and prints one table.
///
/// # Errors
/// When something does not build or a measurement cannot be made.
pub(crate) fn run(options: &Options) -> Result<()> {
    let cloud = options.profile == Profile::Cloud;
    if cloud {
        tools::ensure_programs();
    }
    // It serves until the measurement is over.
    let emulator = cloud.then(firestore::emulator).transpose()?;
    let mut command = tool(Build::Release)?;
    command.args(["measure", "--profile", &name(&options.profile)]);
    command.args(options.subjects.iter().map(name));
    if options.install_peers {
        command.arg("--install-peers");
    }
    if let Some(emulator) = &emulator {
        command.env(firestore::HOST, &emulator.host);
    }
    run_command(&mut command)
}

/// The name that both command lines have for `value`.
fn name(value: &impl ValueEnum) -> String {
    let named = value.to_possible_value();
    named.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// How the server and the tool are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    Release,
    /// As for tests: after them there is nothing left to build.
    Debug,
}

/// Which build a drill uses.
#[derive(Args)]
pub(crate) struct BuildOptions {
    /// Uses the debug build, which the tests have made already; what is acknowledged must be there in either.
    #[arg(long)]
    debug: bool,
}

impl BuildOptions {
    pub(crate) fn build(&self) -> Build {
        if self.debug {
            Build::Debug
        } else {
            Build::Release
        }
    }
}

/// `tenantry-bench`, told where the server is.
///
/// # Errors
/// When the build fails.
pub(crate) fn tool(build: Build) -> Result<Command> {
    let (args, folder): (&[&str], _) = match build {
        Build::Release => (
            &["--release", "-p", "tenantry-server", "-p", "tenantry-bench"],
            "release",
        ),
        // With tests, so that no dependency is built once more with fewer features.
        Build::Debug => (&["--workspace", "--bins", "--tests"], "debug"),
    };
    run_command(cargo(["build"]).args(args))?;
    let built = metadata()?.target_directory.join(folder);
    let mut command = Command::new("sh");
    command.args(["-c", RAISE_FILES, "sh"]).current_dir(root());
    command.arg(built.join("tenantry-bench"));
    command.arg("--server").arg(built.join("tenantry"));
    Ok(command)
}
