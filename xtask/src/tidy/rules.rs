//! The rules of tidiness, as pure functions over paths and texts.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Longest source file, in lines, unless it is in the shrink-only list.
pub(super) const FILE_LINES_MAX: usize = 400;

/// One Rust file.
pub(super) struct Source {
    /// From the root of the workspace, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// Whether the file is shipped: under some crate's `src/`.
    fn is_shipped(&self) -> bool {
        self.path.split('/').nth(2) == Some("src")
    }

    fn is_in_crate(&self, name: &str) -> bool {
        self.path.split('/').nth(1) == Some(name)
    }

    /// The server's files that put everything together.
    fn is_composition_root(&self) -> bool {
        self.path.starts_with("crates/server/src/compose")
    }

    /// The code that ships: neither comments nor the unit tests at the end.
    fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = |(_, line): &(usize, &str)| !line.trim_start().starts_with("#[cfg(test)]");
        let numbered = self
            .text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line));
        numbered
            .take_while(tests)
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// A name that only some files may write down.
struct Reserved {
    name: &'static str,
    allowed: fn(&Source) -> bool,
    why: &'static str,
}

const ENGINES: &str = "engines are named only where the server is composed";

const RESERVED: [Reserved; 5] = [
    Reserved {
        name: "SystemAuthority::assume",
        allowed: |source| source.is_composition_root() || source.is_in_crate("testkit"),
        why: "the authority of the process is assumed only where the server is composed",
    },
    Reserved {
        name: "engine_embedded",
        allowed: Source::is_composition_root,
        why: ENGINES,
    },
    Reserved {
        name: "engine_firestore",
        allowed: Source::is_composition_root,
        why: ENGINES,
    },
    Reserved {
        name: "engine_redis",
        allowed: Source::is_composition_root,
        why: ENGINES,
    },
    Reserved {
        name: "engine_s3",
        allowed: Source::is_composition_root,
        why: ENGINES,
    },
];

/// What is wrong with one file, apart from its length.
pub(super) fn check_file(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if source.path.ends_with("/src/lib.rs") && !source.text.starts_with("//! ") {
        found.push(format!(
            "{}: a crate begins with its module doc",
            source.path
        ));
    }
    if source.is_shipped() {
        for rule in RESERVED.iter().filter(|rule| !(rule.allowed)(source)) {
            let uses = source
                .shipped_lines()
                .filter(|(_, line)| line.contains(rule.name));
            found.extend(uses.map(|(at, _)| format!("{}:{at}: {}", source.path, rule.why)));
        }
    }
    for (at, line) in source.text.lines().enumerate() {
        if line.trim_start().starts_with("#[ignore") {
            found.push(format!(
                "{}:{}: a test runs or does not exist",
                source.path,
                at + 1
            ));
        }
    }
    found
}

/// Reads `path lines` rows; `#` starts a comment.
///
/// # Errors
/// When a row is not of that form.
pub(super) fn parse_long_files(text: &str) -> Result<BTreeMap<&str, usize>> {
    let rows = text.lines().map(str::trim);
    rows.filter(|row| !row.is_empty() && !row.starts_with('#'))
        .map(|row| {
            let parts = row
                .split_once(' ')
                .with_context(|| format!("not `path lines`: {row}"))?;
            Ok((parts.0, parts.1.parse()?))
        })
        .collect()
}

/// Holds every shipped file to the limit, and the list to files that still need it.
pub(super) fn check_lengths(sources: &[Source], listed: &BTreeMap<&str, usize>) -> Vec<String> {
    let mut found = Vec::new();
    let mut needed = Vec::new();
    for source in sources.iter().filter(|source| source.is_shipped()) {
        let path = source.path.as_str();
        let lines = source.text.lines().count();
        match listed.get(path) {
            None if lines > FILE_LINES_MAX => {
                found.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}"));
            }
            Some(most) if lines > *most => {
                found.push(format!("{path}: {lines} lines, listed with at most {most}"));
            }
            Some(most) if lines > FILE_LINES_MAX && lines < *most => {
                found.push(format!("{path}: shrank to {lines} lines; lower its row"));
            }
            _ => {}
        }
        if lines > FILE_LINES_MAX {
            needed.push(path);
        }
    }
    let stale = listed.keys().filter(|path| !needed.contains(path));
    found.extend(stale.map(|path| format!("{path}: needs no row among the long files any more")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn check(path: &str, text: &str, expect: &[&str]) {
        assert_eq!(check_file(&file(path, text)), expect);
    }

    #[test]
    fn a_crate_begins_with_its_module_doc() {
        check("crates/store/src/lib.rs", "//! Ports.\n", &[]);
        check(
            "crates/store/src/lib.rs",
            "mod a;\n",
            &["crates/store/src/lib.rs: a crate begins with its module doc"],
        );
        check("crates/store/src/a.rs", "mod b;\n", &[]);
    }

    #[test]
    fn authority_is_assumed_in_the_composition_root_and_in_tests() {
        let text = "// SystemAuthority::assume\nlet a = SystemAuthority::assume();\n";
        for allowed in [
            "crates/server/src/compose.rs",
            "crates/server/src/compose_dev.rs",
            "crates/testkit/src/world.rs",
            "crates/control/tests/it/main.rs",
        ] {
            check(allowed, text, &[]);
        }
        check(
            "crates/control/src/a.rs",
            &format!("#[cfg(test)]\nmod tests {{\n{text}}}\n"),
            &[],
        );
        check(
            "crates/control/src/a.rs",
            text,
            &[
                "crates/control/src/a.rs:2: the authority of the process is assumed only where the server is composed",
            ],
        );
    }

    #[test]
    fn engines_are_named_in_the_composition_root() {
        let text = "use engine_embedded::Engine;\n";
        check("crates/server/src/compose.rs", text, &[]);
        check("crates/server/tests/it/main.rs", text, &[]);
        check(
            "crates/server/src/backup.rs",
            text,
            &["crates/server/src/backup.rs:1: engines are named only where the server is composed"],
        );
    }

    #[test]
    fn no_test_is_ignored() {
        check(
            "crates/store/tests/it/a.rs",
            "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n",
            &["crates/store/tests/it/a.rs:2: a test runs or does not exist"],
        );
    }

    fn lengths(lines: usize, list: &str) -> Vec<String> {
        let sources = [file("crates/store/src/a.rs", &"x\n".repeat(lines))];
        check_lengths(&sources, &parse_long_files(list).unwrap())
    }

    #[test]
    fn the_list_of_long_files_only_shrinks() {
        let path = "crates/store/src/a.rs";
        assert!(lengths(400, "").is_empty());
        assert_eq!(
            lengths(401, ""),
            [format!("{path}: 401 lines, at most 400")]
        );
        let list = format!("# why\n{path} 500\n");
        assert!(lengths(500, &list).is_empty());
        assert_eq!(
            lengths(501, &list),
            [format!("{path}: 501 lines, listed with at most 500")]
        );
        assert_eq!(
            lengths(450, &list),
            [format!("{path}: shrank to 450 lines; lower its row")]
        );
        let stale = format!("{path}: needs no row among the long files any more");
        assert_eq!(lengths(400, &list), std::slice::from_ref(&stale));
        assert_eq!(
            check_lengths(&[], &parse_long_files(&list).unwrap()),
            [stale]
        );
    }

    #[test]
    fn a_malformed_row_is_refused() {
        assert!(parse_long_files("crates/store/src/a.rs").is_err());
        assert!(parse_long_files("crates/store/src/a.rs many").is_err());
    }
}
