//! The rule of the floors, as a pure function over the graph of the workspace.
//!
//! **Invariant:** a crate that this file does not name is a violation, so a
//! new one finds its place before it is merged.

/// How one member depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A normal or build dependency: it is in what we ship, or makes it.
    Linked,
    /// A dependency of tests, examples and benches alone.
    Dev,
}

/// One member's dependency on another, by short names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) kind: Kind,
}

/// What a crate is in the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A floor, 1 at the ground.
    Floor(u8),
    /// An adapter of the ports in `store`.
    Engine,
    /// What tests share.
    Testkit,
    /// A program for developers; nothing stands on it.
    Tool,
}

const STORE: u8 = 2;
const SERVER: u8 = 8;

fn place(name: &str) -> Option<Place> {
    Some(match name {
        "identity" => Place::Floor(1),
        "store" => Place::Floor(STORE),
        "control" | "privacy" | "flags" => Place::Floor(3),
        "audit" => Place::Floor(4),
        "gatechain" => Place::Floor(5),
        "realtime" | "nexus" => Place::Floor(6),
        "canvas" => Place::Floor(7),
        "server" => Place::Floor(SERVER),
        "engine-embedded" | "engine-redis" | "engine-firestore" | "engine-s3" => Place::Engine,
        "testkit" => Place::Testkit,
        "bench" | "xtask" => Place::Tool,
        _ => return None,
    })
}

/// Everything in the graph that the design forbids; empty when the floors hold.
pub(super) fn violations(members: &[&str], edges: &[Edge<'_>]) -> Vec<String> {
    let unknown = members.iter().filter(|name| place(name).is_none());
    let mut found: Vec<String> = unknown
        .map(|name| {
            format!("{name} is not in the design: give it a floor in xtask/src/layers/rule.rs")
        })
        .collect();
    for edge in edges.iter().filter(|edge| edge.kind == Kind::Linked) {
        if let (Some(from), Some(to)) = (place(edge.from), place(edge.to))
            && let Some(why) = forbidden(from, to)
        {
            found.push(format!("{} depends on {}: {why}", edge.from, edge.to));
        }
    }
    found
}

/// Why a crate at `from` must not link one at `to`.
fn forbidden(from: Place, to: Place) -> Option<&'static str> {
    use Place::{Engine, Floor, Testkit, Tool};
    match (from, to) {
        (_, Testkit) => Some("in-memory adapters are for tests, as a dev-dependency alone"),
        (_, Tool) => Some("nothing stands on a development tool"),
        (Tool, _) => None,
        (_, Floor(SERVER)) => Some("nothing stands on the server"),
        (Floor(SERVER), Engine) => None,
        (_, Engine) => Some("only the server names engines"),
        (Floor(from), Floor(to)) if to >= from => {
            Some("a crate stands only on floors below its own")
        }
        (Engine, Floor(to)) if to > STORE => Some("an engine stands on store and identity alone"),
        (Floor(_) | Engine | Testkit, Floor(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(from: &'static str, to: &'static str) -> Edge<'static> {
        Edge {
            from,
            to,
            kind: Kind::Linked,
        }
    }

    fn check(edges: &[Edge<'_>], expect: &[&str]) {
        assert_eq!(violations(&[], edges), expect);
    }

    #[test]
    fn the_design_itself_holds() {
        let edges = [
            linked("store", "identity"),
            linked("control", "store"),
            linked("audit", "privacy"),
            linked("gatechain", "audit"),
            linked("canvas", "realtime"),
            linked("server", "canvas"),
            linked("server", "engine-embedded"),
            linked("engine-redis", "store"),
            linked("engine-redis", "identity"),
            linked("testkit", "store"),
            linked("bench", "engine-embedded"),
            linked("bench", "server"),
        ];
        check(&edges, &[]);
    }

    #[test]
    fn a_crate_never_stands_on_its_own_floor_or_one_above() {
        check(
            &[linked("identity", "store")],
            &["identity depends on store: a crate stands only on floors below its own"],
        );
        check(
            &[linked("realtime", "nexus")],
            &["realtime depends on nexus: a crate stands only on floors below its own"],
        );
    }

    #[test]
    fn engines_stand_on_store_and_only_the_server_names_them() {
        check(
            &[linked("engine-s3", "control")],
            &["engine-s3 depends on control: an engine stands on store and identity alone"],
        );
        let named = "only the server names engines";
        check(
            &[
                linked("control", "engine-embedded"),
                linked("engine-s3", "engine-redis"),
                linked("testkit", "engine-embedded"),
            ],
            &[
                &format!("control depends on engine-embedded: {named}"),
                &format!("engine-s3 depends on engine-redis: {named}"),
                &format!("testkit depends on engine-embedded: {named}"),
            ],
        );
    }

    #[test]
    fn testkit_is_linked_into_nothing_and_tested_with_by_all() {
        let why = "in-memory adapters are for tests, as a dev-dependency alone";
        for from in ["server", "identity", "engine-embedded", "bench", "xtask"] {
            check(
                &[linked(from, "testkit")],
                &[&format!("{from} depends on testkit: {why}")],
            );
            check(
                &[Edge {
                    from,
                    to: "testkit",
                    kind: Kind::Dev,
                }],
                &[],
            );
        }
    }

    #[test]
    fn nothing_stands_on_the_server_or_on_a_tool() {
        check(
            &[linked("canvas", "server"), linked("server", "bench")],
            &[
                "canvas depends on server: nothing stands on the server",
                "server depends on bench: nothing stands on a development tool",
            ],
        );
        check(
            &[linked("engine-embedded", "server")],
            &["engine-embedded depends on server: nothing stands on the server"],
        );
    }

    #[test]
    fn an_unknown_crate_is_a_violation() {
        let found = violations(&["identity", "sidecar"], &[]);
        assert_eq!(
            found,
            ["sidecar is not in the design: give it a floor in xtask/src/layers/rule.rs"]
        );
    }
}
