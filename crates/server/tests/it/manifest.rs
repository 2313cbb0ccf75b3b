//! The list of routes is what the documents say it is.

use std::collections::BTreeSet;

use identity::http::Access;

/// The server's routes, without a way to call them.
pub(crate) fn manifest() -> identity::http::Manifest {
    let recording = identity::Recording::Nothing {
        reason: "the manifest alone is asked for",
    };
    tenantry_server::routes::mounted(recording)
        .expect("no route is mounted twice")
        .manifest()
}

#[test]
fn the_committed_list_of_public_routes_is_the_manifests() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/public-routes.txt");
    let committed = std::fs::read_to_string(file).expect("docs/public-routes.txt is committed");
    let committed: Vec<&str> = committed
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let mounted: Vec<String> = manifest()
        .entries()
        .iter()
        .filter(|entry| !matches!(entry.access, Access::Tenant { .. }))
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        mounted, committed,
        "a route became public, or stopped being so: review it, then commit the list"
    );
}

#[test]
fn the_description_of_the_api_has_every_route_and_no_other() {
    let description: serde_json::Value =
        serde_json::from_str(&tenantry_server::routes::api_description()).unwrap();
    let described: BTreeSet<String> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods
                .as_object()
                .unwrap()
                .keys()
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let mounted: BTreeSet<String> = manifest()
        .entries()
        .iter()
        // OpenAPI has no name for the rest of a path.
        .map(|entry| format!("{} {}", entry.method, entry.path.replace(":.+}", "}")))
        .collect();
    assert_eq!(described, mounted);
}

/// What a line of the list says: the route, and why no gate is asked.
fn listed_as_internal() -> Vec<(String, String)> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/internal-writes.txt"
    );
    let text = std::fs::read_to_string(file).expect("docs/internal-writes.txt is committed");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (route, reason) = line.split_once(": ").expect("a route, and why");
            (route.to_owned(), reason.to_owned())
        })
        .collect()
}

#[test]
fn every_mutating_route_is_gated_or_listed_as_internal_with_a_reason() {
    let manifest = manifest();
    let mutating = manifest
        .entries()
        .iter()
        .filter(|entry| entry.record.mutates());
    let (gated, open): (Vec<_>, Vec<_>) = mutating.partition(|entry| entry.check == Some("gates"));
    assert!(gated.len() >= 4, "the cards are gated: {gated:?}");
    let open: Vec<String> = open
        .iter()
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    let listed = listed_as_internal();
    let routes: Vec<&str> = listed.iter().map(|(route, _)| route.as_str()).collect();
    assert_eq!(
        open, routes,
        "a mutating route is gated, or it is internal: review it, then commit the list"
    );
    for (route, reason) in listed {
        assert!(reason.len() > 10, "{route} needs a reason");
        // Drafts of a canvas are internal; what it publishes is not (contract, section 5).
        let external = ["/nexus/", "/media", "/publish"];
        assert!(
            !external.iter().any(|prefix| route.contains(prefix)),
            "{route} writes to the outside, so it is gated"
        );
    }
}
