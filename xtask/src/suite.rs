//! The server's black-box suite on the profile `cloud`, and the list of what is left out there.
//!
//! **Invariant:** a test is left out by name, with a reason that is printed; a name that is not a test's fails.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::process::root;

/// The tests, by module.
const TESTS: &str = "crates/server/tests/it";
const LIST: &str = "crates/server/tests/embedded-only.txt";
/// Stands for all tests of a module.
const ALL: &str = "*";

/// What does not run on the profile `cloud`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    module: String,
    test: String,
    reason: String,
}

/// The committed list.
///
/// # Errors
/// When a line of it has no reason, or names no test.
pub(crate) fn left_out() -> Result<Vec<LeftOut>> {
    let text = fs::read_to_string(root().join(LIST)).context(LIST)?;
    let list = parse(&text)?;
    for line in &list {
        line.exists()?;
    }
    Ok(list)
}

fn parse(text: &str) -> Result<Vec<LeftOut>> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| LeftOut::parse(line).with_context(|| format!("{LIST}: {line:?}")))
        .collect()
}

impl LeftOut {
    fn parse(line: &str) -> Result<Self> {
        let (name, reason) = line.split_once(": ").context("a name, a colon, a reason")?;
        let (module, test) = name.split_once("::").context("a module and a test")?;
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if reason.trim().is_empty() || !plain(module) || !(test == ALL || plain(test)) {
            bail!("a module, a test or *, and a reason");
        }
        Ok(Self {
            module: module.to_owned(),
            test: test.to_owned(),
            reason: reason.trim().to_owned(),
        })
    }

    fn exists(&self) -> Result<()> {
        let file = format!("{TESTS}/{}.rs", self.module);
        let source = fs::read_to_string(root().join(&file));
        let source = source.with_context(|| format!("{LIST} names {file}"))?;
        if self.test != ALL && !source.contains(&format!("fn {}(", self.test)) {
            bail!("{LIST} names {}, which {file} does not have", self.test);
        }
        Ok(())
    }

    /// For nextest.
    fn filter(&self) -> String {
        match self.test.as_str() {
            ALL => format!("test(/^{}::/)", self.module),
            test => format!("test(={}::{test})", self.module),
        }
    }
}

/// The tests that run on the profile `cloud`, as a filterset of nextest.
pub(crate) fn filterset(left_out: &[LeftOut]) -> String {
    let mut filterset = "package(tenantry-server) & binary(it)".to_owned();
    for line in left_out {
        filterset += &format!(" - {}", line.filter());
    }
    filterset
}

/// Says what comes, and what does not and why.
pub(crate) fn announce(left_out: &[LeftOut]) {
    println!("\n== the server's suite on the profile cloud: Redis, Firestore's emulator, S3 ==");
    for line in left_out {
        println!(
            "not on cloud: {}::{}: {}",
            line.module, line.test, line.reason
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_list_names_is_there() {
        let list = left_out().unwrap();
        assert!(!list.is_empty());
    }

    #[test]
    fn a_line_has_a_name_and_a_reason() {
        let list = parse("# why\n\na::b: because: so\nc::*: all").unwrap();
        assert_eq!(
            filterset(&list),
            "package(tenantry-server) & binary(it) - test(=a::b) - test(/^c::/)"
        );
        assert_eq!(list[0].reason, "because: so");
        for line in ["a::b", "a::b:", "a::b: ", "a: why", "a::b | c: why"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_name_that_is_no_tests_is_told() {
        let gone = parse("audit::nobody_wrote_this: why").unwrap();
        let told = gone[0].exists().unwrap_err().to_string();
        assert!(told.contains("nobody_wrote_this"), "{told}");
        assert!(parse("nowhere::*: why").unwrap()[0].exists().is_err());
    }
}
