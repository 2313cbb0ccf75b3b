//! Rows that were altered in the store: nothing panics, nothing is turned on.

use proptest::prelude::*;
use serde_json::json;
use store::{DocKey, Documents};
use tenantry_flags::{
    FlagsError,
    LayerName::{self, System, Tenant},
    Unevaluated,
};

use super::node::Node;

async fn value_of(node: &Node, layer: LayerName, id: &str) -> Vec<u8> {
    let key = DocKey::new(&node.partition(layer), id);
    node.documents
        .get(&key)
        .await
        .unwrap()
        .unwrap()
        .value
        .to_vec()
}

fn damaged(layer: LayerName) -> FlagsError {
    FlagsError::Unevaluated(Unevaluated::Damaged(layer))
}

#[tokio::test]
async fn a_damaged_row_hands_nothing_to_the_other_layer() {
    let mut node = Node::new().await;
    node.put(System, "f", &json!({"enabled": false})).await;
    node.put(Tenant, "f", &json!({})).await;
    node.damage(System, "flag/f", "?").await;
    assert_eq!(node.evaluate("f").await, Err(damaged(System)));
    node.put(
        System,
        "f",
        &json!({"enabled": false, "mode": "deny_floor"}),
    )
    .await;
    node.damage(Tenant, "flag/f", "?").await;
    assert!(
        !node.is_on("f").await,
        "off below the floor, whatever is above it"
    );
    node.put(System, "f", &json!({"mode": "deny_floor"})).await;
    assert_eq!(node.evaluate("f").await, Err(damaged(Tenant)));
    node.put(System, "f", &json!({})).await;
    assert_eq!(node.evaluate("f").await, Err(damaged(Tenant)));
    node.put(System, "f", &json!({"mode": "locked"})).await;
    assert!(node.is_on("f").await);
}

#[tokio::test]
async fn a_row_that_was_moved_is_damaged() {
    let mut node = Node::new().await;
    node.put(Tenant, "on", &json!({})).await;
    node.put(Tenant, "off", &json!({"enabled": false})).await;
    let on = value_of(&node, Tenant, "flag/on").await;
    node.damage(Tenant, "flag/off", on.clone()).await;
    assert_eq!(node.evaluate("off").await, Err(damaged(Tenant)));
    node.damage(System, "flag/on", on).await;
    assert_eq!(node.evaluate("on").await, Err(damaged(System)));
}

#[tokio::test]
async fn damage_is_repaired_by_writing_or_deleting() {
    let mut node = Node::new().await;
    for repair in [true, false] {
        node.put(Tenant, "f", &json!({})).await;
        node.damage(Tenant, "flag/f", "{}").await;
        let key = "f".parse().unwrap();
        let found = node.flags.find(&node.admin, Tenant, &key).await;
        assert_eq!(found, Err(damaged(Tenant)));
        let changed = if repair {
            node.put(Tenant, "f", &json!({})).await
        } else {
            node.delete(Tenant, "f").await
        };
        assert!(changed.change.before_damaged && !changed.created());
        assert_eq!(node.evaluate("f").await.is_ok(), repair);
    }
}

#[tokio::test]
async fn a_damaged_head_stops_nothing_and_is_never_numbered_again() {
    let mut node = Node::new().await;
    let first = node.put(Tenant, "f", &json!({})).await.change.revision;
    node.damage(Tenant, "head", "garbage").await;
    assert!(node.is_on("f").await);
    let second = node
        .put(Tenant, "f", &json!({"enabled": false}))
        .await
        .change
        .revision;
    let third = node.put(Tenant, "f", &json!({})).await.change.revision;
    assert!(
        first < second && third == second + 1,
        "{first} {second} {third}"
    );
    node.damage(Tenant, "no flag", "?").await;
    assert!(node.is_on("f").await);
}

/// How a row is altered.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Replace(Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), 1_u8..).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        1 => any::<prop::sample::Index>().prop_map(Harm::Cut),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Harm::Insert(at, byte)),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Harm::Replace),
    ]
}

impl Harm {
    fn to(&self, row: &[u8]) -> Vec<u8> {
        let mut row = row.to_vec();
        if row.is_empty() {
            return row;
        }
        let length = row.len();
        match self {
            Self::Flip(at, bits) => row[at.index(length)] ^= bits,
            Self::Cut(at) => row.truncate(at.index(length)),
            Self::Insert(at, byte) => row.insert(at.index(length + 1), *byte),
            Self::Replace(other) => row.clone_from(other),
        }
        row
    }
}

proptest! {
    #[test]
    fn no_alteration_of_a_row_turns_anything_on(harms in prop::collection::vec((any::<bool>(), harm()), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut node = Node::new().await;
            let off = json!({"default_variant": "off", "rules": [
                {"rollout": 0, "when": [{"attribute": "plan", "op": "in", "values": ["pro"]}]}]});
            node.put(System, "f", &off).await;
            node.put(Tenant, "f", &off).await;
            for (system, harm) in harms {
                let layer = if system { System } else { Tenant };
                let row = value_of(&node, layer, "flag/f").await;
                let altered = harm.to(&row);
                node.damage(layer, "flag/f", altered).await;
            }
            if let Ok(evaluation) = node.evaluate("f").await {
                assert!(!evaluation.is_on());
            }
        });
    }
}
