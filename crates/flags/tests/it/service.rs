//! Who may change what, what is kept of it, and who is told.

use std::{sync::Arc, time::Duration};

use identity::{Env, Precondition, Role};
use serde_json::json;
use store::{BATCH_STEPS_MAX, Batch, DocKey, Documents, PageRequest};
use tenantry_flags::{
    Context, DEFINITION_BYTES_MAX, FlagKey, FlagsError, LAYER_BYTES_MAX, LAYER_FLAGS_MAX,
    LAYER_MEMORY_BYTES_MAX,
    LayerName::{System, Tenant},
    Reason, Unevaluated,
};

use super::{node::Node, rules::definition};

fn key(text: &str) -> FlagKey {
    text.parse().unwrap()
}

#[tokio::test]
async fn one_flag_of_an_operator_binds_every_tenant_at_once() {
    let node = Node::new().await;
    let mut scopes = Vec::new();
    for (tenant, env) in [("t_a", Env::Dev), ("t_b", Env::Staging), ("t_c", Env::Prod)] {
        let scope = node.world.scope(tenant, env, "u_owner").await;
        // Remembered by now: nothing.
        let before = node.flags.evaluate(&scope, "new", &Context::new()).await;
        assert_eq!(before, Err(FlagsError::Unevaluated(Unevaluated::NotFound)));
        scopes.push(scope);
    }
    node.put(System, "new", &json!({"mode": "locked"})).await;
    for scope in &scopes {
        let seen = node
            .flags
            .evaluate(scope, "new", &Context::new())
            .await
            .unwrap();
        assert!(seen.is_on() && seen.layer == System && seen.reason == Reason::Static);
        let definition = definition(&json!({"enabled": false}));
        let (new, any) = (key("new"), Precondition::Any);
        let put = node.flags.put(scope, Tenant, &new, &definition, &any).await;
        assert_eq!(put, Err(FlagsError::Locked));
    }
}

#[tokio::test]
async fn a_tenant_overrides_what_it_may_and_restores_by_deleting() {
    let node = Node::new().await;
    node.put(System, "f", &json!({"enabled": false})).await;
    assert!(!node.is_on("f").await);
    node.put(Tenant, "f", &json!({})).await;
    assert!(node.is_on("f").await);
    let elsewhere = node.world.scope("t_a", Env::Prod, "u_admin").await;
    let there = node
        .flags
        .evaluate(&elsewhere, "f", &Context::new())
        .await
        .unwrap();
    assert!(!there.is_on(), "an override holds in its environment alone");
    node.put(
        System,
        "f",
        &json!({"enabled": false, "mode": "deny_floor"}),
    )
    .await;
    assert!(!node.is_on("f").await);
    node.put(System, "f", &json!({"mode": "deny_floor"})).await;
    assert!(node.is_on("f").await);
    node.put(Tenant, "f", &json!({"enabled": false})).await;
    assert_eq!(node.evaluate("f").await.unwrap().layer, Tenant);
    assert!(!node.is_on("f").await);
    node.delete(Tenant, "f").await;
    let restored = node.evaluate("f").await.unwrap();
    assert!(restored.is_on() && restored.layer == System && !restored.overridden);
}

#[tokio::test]
async fn an_override_has_the_type_of_the_systems_flag() {
    let node = Node::new().await;
    let text = json!({"variants": {"a": "x"}, "default_variant": "a"});
    node.put(Tenant, "f", &text).await;
    node.put(System, "f", &json!({})).await;
    let void = node.evaluate("f").await.unwrap();
    assert!(void.is_on() && void.layer == System && void.overridden);
    let refused = node.try_put(Tenant, "f", &text).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "/variants: the system's flag is of the type boolean"
    );
    let moded = node
        .try_put(Tenant, "f", &json!({"mode": "locked"}))
        .await
        .unwrap_err();
    assert_eq!(moded.to_string(), "/mode: is the system's to say");
}

#[tokio::test]
async fn members_change_nothing_and_admins_nothing_of_the_system() {
    let node = Node::new().await;
    let member = node
        .world
        .scope_as("t_a", Env::Dev, "u_m", Role::Member)
        .await;
    let low = node
        .world
        .scope_as("t_system", Env::Dev, "u_low", Role::Member)
        .await;
    let (any, on) = (Precondition::Any, definition(&json!({})));
    for (scope, layer) in [(&member, Tenant), (&node.admin, System), (&low, System)] {
        let forbidden = FlagsError::RoleForbidden;
        let put = node.flags.put(scope, layer, &key("f"), &on, &any).await;
        assert_eq!(put.unwrap_err(), forbidden);
        let deleted = node.flags.delete(scope, layer, &key("f"), &any).await;
        assert_eq!(deleted.unwrap_err(), forbidden);
        assert_eq!(
            node.flags.find(scope, layer, &key("f")).await,
            Err(forbidden.clone())
        );
        let page = PageRequest::default();
        let history = node.flags.history(scope, layer, &key("f"), &page).await;
        assert_eq!(history, Err(forbidden));
    }
    assert_eq!(
        node.flags.stale(&member).await,
        Err(FlagsError::RoleForbidden)
    );
}

#[tokio::test]
async fn what_was_changed_from_what_to_what_is_kept() {
    let node = Node::new().await;
    node.put(Tenant, "f", &json!({"description": "one"})).await;
    node.put(Tenant, "f.other", &json!({})).await;
    node.world.clock.advance(Duration::from_secs(60));
    node.put(Tenant, "f", &json!({"description": "two"})).await;
    node.delete(Tenant, "f").await;
    let page = PageRequest::default();
    let history = node
        .flags
        .history(&node.admin, Tenant, &key("f"), &page)
        .await
        .unwrap();
    let changes: Vec<_> = history.items.into_iter().map(Option::unwrap).collect();
    let told: Vec<_> = changes
        .iter()
        .map(|change| {
            let text = |of: &Option<tenantry_flags::Definition>| {
                of.as_ref().map(|definition| definition.description.clone())
            };
            (change.revision, text(&change.before), text(&change.after))
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        told,
        [
            (1, None, some("one")),
            (3, some("one"), some("two")),
            (4, some("two"), None)
        ]
    );
    assert!(changes.iter().all(|change| change.by == *node.admin.user()));
    assert_eq!(changes[1].at.to_string(), "2026-01-01T00:01:00.000Z");
    assert_eq!(
        changes[0].request_id,
        node.admin.ids().request_id.to_string()
    );
}

#[tokio::test]
async fn a_stale_precondition_changes_nothing() {
    let node = Node::new().await;
    let first = node
        .put(Tenant, "f", &json!({}))
        .await
        .stored
        .unwrap()
        .version
        .0;
    node.put(Tenant, "f", &json!({"enabled": false})).await;
    let on = definition(&json!({}));
    for stale in [
        Precondition::OneOf(vec![first]),
        Precondition::OneOf(vec![]),
    ] {
        let put = node
            .flags
            .put(&node.admin, Tenant, &key("f"), &on, &stale)
            .await;
        assert_eq!(put.unwrap_err(), FlagsError::Stale);
        let deleted = node
            .flags
            .delete(&node.admin, Tenant, &key("f"), &stale)
            .await;
        assert_eq!(deleted.unwrap_err(), FlagsError::Stale);
    }
    let absent = node
        .flags
        .put(&node.admin, Tenant, &key("g"), &on, &Precondition::Exists)
        .await;
    assert_eq!(absent.unwrap_err(), FlagsError::Stale);
    assert!(!node.is_on("f").await);
    let missing = node
        .flags
        .delete(&node.admin, Tenant, &key("g"), &Precondition::Any)
        .await;
    assert_eq!(missing.unwrap_err(), FlagsError::NotFound);
}

#[tokio::test]
async fn a_layer_has_a_number_of_flags() {
    let node = Node::new().await;
    let partition = node.partition(Tenant);
    let names: Vec<String> = (1..LAYER_FLAGS_MAX).map(|n| format!("flag/f{n}")).collect();
    for names in names.chunks(BATCH_STEPS_MAX) {
        // Rows that cannot be read count as well, and cost nothing to make.
        let batch = names.iter().fold(Batch::new(), |batch, name| {
            batch.put(&DocKey::new(&partition, name.as_str()), "?")
        });
        node.documents.commit(batch).await.unwrap();
    }
    node.put(Tenant, "last", &json!({})).await;
    let more = node.try_put(Tenant, "more", &json!({})).await;
    assert_eq!(more.unwrap_err(), FlagsError::Full);
    node.put(Tenant, "last", &json!({"enabled": false})).await;
    node.delete(Tenant, "f7").await;
    node.put(Tenant, "more", &json!({})).await;
    let keys = node.flags.snapshot(&node.admin).await.unwrap().keys();
    assert_eq!(keys.len(), LAYER_FLAGS_MAX);
}

#[tokio::test]
async fn a_flag_and_a_layer_have_a_size() {
    let node = Node::new().await;
    let sized = |bytes| json!({"variants": {"a": "v".repeat(bytes)}, "default_variant": "a"});
    let large = node
        .try_put(Tenant, "f", &sized(DEFINITION_BYTES_MAX))
        .await;
    assert_eq!(large.unwrap_err(), FlagsError::TooLarge);
    let (bytes, mut stored) = (DEFINITION_BYTES_MAX - 200, 0);
    let refused = loop {
        match node
            .try_put(Tenant, &format!("f{stored}"), &sized(bytes))
            .await
        {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, FlagsError::Full);
    let rows = LAYER_BYTES_MAX / DEFINITION_BYTES_MAX;
    assert!((rows - 8..=rows).contains(&stored), "{stored} rows");
    node.put(Tenant, "small", &json!({})).await;
    assert!(node.is_on("small").await);
    assert_eq!(
        node.flags.remembered().0,
        1,
        "also the largest is remembered"
    );
}

#[tokio::test]
async fn a_layer_has_a_size_in_memory() {
    let node = Node::new().await;
    // Two bytes of JSON each, and sixteen times as many once they are read.
    let list = json!({"a": vec![1; 16_000]});
    let many = json!({"variants": {"a": list}, "default_variant": "a"});
    let mut stored = 0;
    let refused = loop {
        match node.try_put(Tenant, &format!("f{stored}"), &many).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, FlagsError::Full);
    let snapshot = node.flags.snapshot(&node.admin).await.unwrap();
    let bytes = snapshot.layers().tenant.memory_bytes();
    assert!(bytes <= LAYER_MEMORY_BYTES_MAX, "{bytes}");
    node.put(Tenant, "f0", &many).await;
    assert_eq!(node.flags.remembered().0, 1);
}

#[tokio::test]
async fn concurrent_changes_are_all_kept_and_numbered_apart() {
    let node = Arc::new(Node::new().await);
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let node = Arc::clone(&node);
            tokio::spawn(async move { node.put(Tenant, &format!("f{n}"), &json!({})).await })
        })
        .collect();
    let mut revisions = Vec::new();
    for task in tasks {
        revisions.push(task.await.unwrap().change.revision);
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=12).collect::<Vec<_>>());
    assert_eq!(
        node.flags.snapshot(&node.admin).await.unwrap().keys().len(),
        12
    );
}

#[tokio::test]
async fn without_a_store_nothing_is_evaluated() {
    let node = Node::new().await;
    node.put(Tenant, "f", &json!({})).await;
    node.documents.set_down(true);
    assert!(matches!(
        node.evaluate("f").await,
        Err(FlagsError::Unavailable(_))
    ));
    assert!(matches!(
        node.try_put(Tenant, "f", &json!({})).await,
        Err(FlagsError::Unavailable(_))
    ));
    node.documents.set_down(false);
    assert!(node.is_on("f").await);
}

#[tokio::test(start_paused = true)]
async fn who_follows_sees_every_change_that_matters() {
    let node = Node::new().await;
    let there = node.another();
    let (mut here, mut elsewhere) = (node.flags.follow(&node.admin), there.follow(&node.admin));
    let (mut last, mut seen) = (here.configuration().await.unwrap(), Vec::new());
    let until = "2026-01-01T00:10:00Z";
    for change in ["system", "tenant", "another tenant", "time", "nothing"] {
        match change {
            "system" => drop(node.put(System, "f", &json!({})).await),
            "tenant" => drop(node.put(Tenant, "f", &json!({"until": until})).await),
            "time" => node.world.clock.advance(Duration::from_secs(600)),
            "another tenant" => {
                let (scope, any) = (
                    node.world.scope("t_b", Env::Dev, "u_b").await,
                    Precondition::Any,
                );
                let (key, on) = (key("f"), definition(&json!({})));
                node.flags
                    .put(&scope, Tenant, &key, &on, &any)
                    .await
                    .unwrap();
            }
            _ => {}
        }
        here.wait().await;
        let now = here.configuration().await.unwrap();
        seen.push((change, now != last));
        last = now;
        node.world.clock.advance(Duration::from_secs(1));
        elsewhere.wait().await;
        assert_eq!(elsewhere.configuration().await.unwrap(), now, "{change}");
    }
    let told = [
        ("system", true),
        ("tenant", true),
        ("another tenant", false),
        ("time", true),
        ("nothing", false),
    ];
    assert_eq!(seen, told);
}
