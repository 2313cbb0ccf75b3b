//! `gate`: the tests of one lane of the plan, or of everything.
//!
//! **Invariant:** a member of a lane without a crate is named and never
//! counted as passed; a member whose crate has no test fails.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    process::root,
    test,
    workspace::{PREFIX, members},
};

/// Which tests to run.
#[derive(Args)]
pub(crate) struct Options {
    lane: Lane,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lane {
    /// Streaming and infrastructure: realtime, gatechain, raw storage, canvas.
    LaneA,
    /// Auth, logging, flags and privacy: identity, control, audit, flags, privacy, Nexus auth.
    LaneB,
    /// Both lanes and everything else: what `cargo xtask test` runs.
    Full,
}

/// One part of a lane.
struct Member {
    package: &'static str,
    /// Narrows the package's tests, as a nextest filterset.
    only: &'static str,
    /// What has to be in the package before the member exists, as a path in it.
    source: &'static str,
}

const fn member(package: &'static str) -> Member {
    Member {
        package,
        only: "all()",
        source: "",
    }
}

/// The tests of one module; each is a member of its own, so that a renamed one is noticed.
const fn module(package: &'static str, only: &'static str) -> Member {
    Member {
        package,
        only,
        source: "",
    }
}

/// A part of a package that may not be there yet.
const fn part(package: &'static str, only: &'static str, source: &'static str) -> Member {
    Member {
        package,
        only,
        source,
    }
}

const LANE_A: &[Member] = &[
    member("realtime"),
    module("server", "test(/^cursors::/)"),
    module("server", "test(/^lifecycle::/)"),
    member("gatechain"),
    module("server", "test(/^gated::/)"),
    member("canvas"),
    part("nexus", "test(/raw_storage/)", "src/raw_storage"),
];

const LANE_B: &[Member] = &[
    member("identity"),
    member("control"),
    module("server", "test(/^refusals::/)"),
    module("server", "test(/^removal::/)"),
    module("server", "test(/^outside::/)"),
    module("server", "test(/^manifest::/)"),
    module("server", "test(/^prefs::/)"),
    module("server", "test(/^audit::/)"),
    module("server", "test(/^audit_offline::/)"),
    module("server", "test(/^audit_tail::/)"),
    member("audit"),
    member("flags"),
    module("server", "test(/^ofrep::/)"),
    member("privacy"),
    module("nexus", "not test(/raw_storage/)"),
];

impl Member {
    fn describe(&self) -> String {
        match self.only {
            "all()" => self.package.to_owned(),
            only => format!("{} [{only}]", self.package),
        }
    }

    fn filterset(&self) -> String {
        format!("package({PREFIX}{}) & ({})", self.package, self.only)
    }
}

/// Runs the tests of the lane and prints what each member came to.
///
/// # Errors
/// When a test fails, a member has none, or no member of the lane exists.
pub(crate) fn run(options: &Options) -> Result<()> {
    let present = members()?;
    let crates = root().join("crates");
    let exists = |member: &&Member| {
        present.iter().any(|name| name == member.package)
            && crates.join(member.package).join(member.source).exists()
    };
    let lane: Vec<&Member> = match options.lane {
        Lane::LaneA => LANE_A.iter().collect(),
        Lane::LaneB => LANE_B.iter().collect(),
        Lane::Full => LANE_A.iter().chain(LANE_B).collect(),
    };
    let (here, missing): (Vec<_>, Vec<_>) = lane.into_iter().partition(exists);
    let outcomes = match options.lane {
        Lane::Full => vec![("everything in the workspace".to_owned(), test::all())],
        Lane::LaneA | Lane::LaneB => here
            .iter()
            .map(|member| {
                (
                    member.describe(),
                    test::nextest(&["-E", &member.filterset()]),
                )
            })
            .collect(),
    };
    report(&outcomes, &missing)
}

fn report(outcomes: &[(String, Result<()>)], missing: &[&Member]) -> Result<()> {
    println!();
    for (what, outcome) in outcomes {
        match outcome {
            Ok(()) => println!("gate: passed   {what}"),
            Err(error) => println!("gate: FAILED   {what}: {error:#}"),
        }
    }
    for member in missing {
        println!(
            "gate: absent   {}: not in the workspace yet",
            member.describe()
        );
    }
    let failed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_err())
        .count();
    if failed > 0 || outcomes.is_empty() {
        bail!("the gate is shut: {failed} of {} failed", outcomes.len());
    }
    println!(
        "gate: open: {} passed, {} absent and not counted",
        outcomes.len(),
        missing.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_or_an_empty_lane_shuts_the_gate() {
        assert!(report(&[("a".to_owned(), Ok(()))], &[&member("canvas")]).is_ok());
        let failed = ("b".to_owned(), Err(anyhow::anyhow!("a test failed")));
        assert!(report(&[("a".to_owned(), Ok(())), failed], &[]).is_err());
        assert!(report(&[], &[&member("canvas")]).is_err());
    }

    #[test]
    fn a_member_selects_its_package_and_no_other() {
        assert_eq!(
            member("realtime").filterset(),
            "package(tenantry-realtime) & (all())"
        );
    }
}
