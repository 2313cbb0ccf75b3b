//! Which flags should be gone.

use std::time::Duration;

use serde_json::{Value, json};
use tenantry_flags::{
    LayerName::{System, Tenant},
    SETTLED_AFTER, Staleness,
};

use super::node::Node;

/// The keys of stale flags, and why they are.
async fn stale(node: &Node) -> Vec<(String, Staleness)> {
    let stale = node.flags.stale(&node.admin).await.unwrap();
    stale
        .iter()
        .map(|one| (one.key.to_string(), one.why))
        .collect()
}

#[tokio::test]
async fn flags_that_are_done_are_reported_until_they_are_gone() {
    let node = Node::new().await;
    let constrained = json!([{"when": [{"attribute": "a", "op": "exists"}]}]);
    let flags: [(&str, Value); 9] = [
        ("always", json!({})),
        (
            "forever",
            json!({"permanent": true, "expires_at": "2026-01-02T00:00:00Z"}),
        ),
        ("mixed", json!({"rules": constrained})),
        ("off", json!({"enabled": false, "rules": constrained})),
        ("over", json!({"until": "2026-01-03T00:00:00Z"})),
        (
            "promised",
            json!({"expires_at": "2026-01-02T00:00:00Z", "rules": constrained}),
        ),
        (
            "rolled-out",
            json!({"rules": [{"rollout": 100, "variant": "on"}]}),
        ),
        (
            "rolling",
            json!({"rules": [{"rollout": 99.99, "variant": "on"}]}),
        ),
        ("scheduled", json!({"from": "2030-01-01T00:00:00Z"})),
    ];
    for (key, json) in &flags {
        node.put(Tenant, key, json).await;
    }
    assert_eq!(stale(&node).await, []);
    node.world.clock.advance(Duration::from_secs(2 * 24 * 3600));
    let told = |pairs: &[(&str, Staleness)]| -> Vec<(String, Staleness)> {
        pairs
            .iter()
            .map(|(key, why)| ((*key).to_owned(), *why))
            .collect()
    };
    let early = [("over", Staleness::Ended), ("promised", Staleness::Expired)];
    assert_eq!(stale(&node).await, told(&early));
    node.world.clock.advance(SETTLED_AFTER);
    let late = [
        ("always", Staleness::Settled),
        ("off", Staleness::Settled),
        ("over", Staleness::Ended),
        ("promised", Staleness::Expired),
        ("rolled-out", Staleness::Settled),
    ];
    assert_eq!(stale(&node).await, told(&late));
    node.put(Tenant, "always", &json!({})).await;
    node.delete(Tenant, "over").await;
    assert_eq!(stale(&node).await, told(&[late[1], late[3], late[4]]));
}

#[tokio::test]
async fn operators_see_those_of_the_system() {
    let node = Node::new().await;
    node.put(System, "s", &json!({"expires_at": "2026-01-01T00:00:00Z"}))
        .await;
    assert_eq!(stale(&node).await, []);
    let seen = node.flags.stale(&node.operator).await.unwrap();
    assert_eq!((seen[0].key.as_str(), seen[0].layer), ("s", System));
}
