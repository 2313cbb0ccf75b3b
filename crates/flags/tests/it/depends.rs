//! Prerequisites: they end, they are known, and no tenant moves a flag of the system.

use serde_json::{Value, json};
use tenantry_flags::{
    Context, FlagsError,
    LayerName::{self, System, Tenant},
};

use super::node::Node;

fn waits_for(keys: &[&str]) -> Value {
    let flags: Vec<Value> = keys.iter().map(|key| json!({"flag": key})).collect();
    json!({"prerequisites": flags})
}

async fn refused(node: &Node, layer: LayerName, key: &str, json: &Value) -> Option<String> {
    match node.try_put(layer, key, json).await {
        Ok(_) => None,
        Err(FlagsError::Invalid(invalid)) => Some(invalid.to_string()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_cycle_is_refused_in_either_layer() {
    for layer in [System, Tenant] {
        let node = Node::new().await;
        node.put(layer, "a", &json!({})).await;
        node.put(layer, "b", &waits_for(&["a"])).await;
        node.put(layer, "c", &waits_for(&["b", "a"])).await;
        let why = refused(&node, layer, "a", &waits_for(&["c"]))
            .await
            .unwrap();
        assert_eq!(why, "/prerequisites: a waits for itself in turn");
        assert_eq!(
            refused(&node, layer, "d", &waits_for(&["c", "b"])).await,
            None
        );
    }
}

#[tokio::test]
async fn an_unknown_flag_or_variant_is_refused() {
    let node = Node::new().await;
    node.put(System, "s", &json!({})).await;
    let why = refused(&node, Tenant, "a", &waits_for(&["s", "t"]))
        .await
        .unwrap();
    assert_eq!(why, "/prerequisites/1/flag: there is no such flag");
    let maybe = json!({"prerequisites": [{"flag": "s", "variants": ["on", "maybe"]}]});
    let why = refused(&node, Tenant, "a", &maybe).await.unwrap();
    assert_eq!(
        why,
        "/prerequisites/0/variants/1: is none of that flag's variants"
    );
    node.put(Tenant, "t", &json!({})).await;
    let why = refused(&node, System, "a", &waits_for(&["t"]))
        .await
        .unwrap();
    assert_eq!(
        why, "/prerequisites/0/flag: there is no such flag",
        "a tenant's flag is none of the system's"
    );
}

#[tokio::test]
async fn too_many_are_refused_wherever_the_chain_grows() {
    let node = Node::new().await;
    let key = |n: usize| format!("f{n}");
    for n in 0..32_usize {
        let before = key(n.saturating_sub(1));
        let json = if n == 0 {
            json!({})
        } else {
            waits_for(&[&before])
        };
        node.put(Tenant, &key(n), &json).await;
    }
    let over = "more than 32 flags would be looked at";
    let why = refused(&node, Tenant, "top", &waits_for(&["f31"]))
        .await
        .unwrap();
    assert_eq!(why, format!("/prerequisites: {over}"));
    node.put(Tenant, "ground", &json!({})).await;
    let why = refused(&node, Tenant, "f0", &waits_for(&["ground"]))
        .await
        .unwrap();
    assert_eq!(why, format!("/prerequisites: of f31, {over}"));
}

#[tokio::test]
async fn a_prerequisite_that_is_not_met_or_gone_turns_off() {
    let node = Node::new().await;
    node.put(Tenant, "a", &json!({})).await;
    node.put(Tenant, "b", &waits_for(&["a"])).await;
    assert!(node.is_on("b").await);
    node.put(Tenant, "a", &json!({"enabled": false})).await;
    assert!(!node.is_on("b").await);
    node.put(Tenant, "a", &json!({})).await;
    assert!(node.is_on("b").await);
    node.delete(Tenant, "a").await;
    assert!(!node.is_on("b").await);
}

#[tokio::test]
async fn a_tenant_does_not_move_a_flag_of_the_system() {
    let node = Node::new().await;
    node.put(System, "a", &json!({"enabled": false})).await;
    let mut locked = waits_for(&["a"]);
    locked["mode"] = json!("locked");
    node.put(System, "b", &locked).await;
    node.put(Tenant, "a", &json!({})).await;
    node.put(Tenant, "c", &waits_for(&["a"])).await;
    let on = [
        node.is_on("a").await,
        node.is_on("b").await,
        node.is_on("c").await,
    ];
    assert_eq!(on, [true, false, true]);
    let evaluated = node
        .flags
        .evaluate(&node.admin, "b", &Context::new())
        .await
        .unwrap();
    assert_eq!(evaluated.layer, System);
}
