//! Settings: one record for each place, and what holds where.

use identity::{Env, Precondition};
use serde_json::{Value, json};
use tenantry_nexus::{Body, EffectiveSettings, NexusError, Settings, SettingsBody};

use crate::house::{House, body_of, pointer};

async fn house() -> House {
    let house = House::new();
    for tenant in ["t_a", "t_b"] {
        let directory = &house.world.directory;
        directory.add_surface(tenant, &format!("s_{tenant}"));
        directory.add_app(tenant, &format!("a_{tenant}"));
    }
    house
}

fn settings(surface: Option<&str>, app: Option<&str>, values: &Value) -> Value {
    json!({"surface_id": surface, "app_id": app, "values": values})
}

#[tokio::test]
async fn a_place_has_one_record() {
    let house = house().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let places = [
        (None, None),
        (Some("s_t_a"), None),
        (None, Some("a_t_a")),
        (Some("s_t_a"), Some("a_t_a")),
    ];
    let mut made = Vec::new();
    for (surface, app) in places {
        let body = settings(surface, app, &json!({"a": 1}));
        made.push(house.make::<Settings>(&scope, body).await.unwrap());
    }
    for (surface, app) in places {
        let second = settings(surface, app, &json!({"a": 2}));
        let refused = house.make::<Settings>(&scope, second).await;
        assert!(matches!(refused, Err(NexusError::Taken)), "{refused:?}");
    }
    // Elsewhere the place is another one, and what is deleted frees it.
    let prod = house.scope("t_a", Env::Prod).await;
    let body = || settings(None, None, &json!({}));
    house.make::<Settings>(&prod, body()).await.unwrap();
    let first = &made[0];
    house
        .delete(&scope, &first.id, Precondition::Any)
        .await
        .unwrap();
    let second = house.make::<Settings>(&scope, body()).await.unwrap();
    let taken = house.restore(&scope, &first.id).await;
    assert!(matches!(taken, Err(NexusError::Taken)), "{taken:?}");
    house
        .delete(&scope, &second.id, Precondition::Any)
        .await
        .unwrap();
    house.restore(&scope, &first.id).await.unwrap();
    let refused = house.make::<Settings>(&scope, body()).await;
    assert!(matches!(refused, Err(NexusError::Taken)), "{refused:?}");
}

#[tokio::test]
async fn racing_requests_for_one_place_make_one_record() {
    let house = house().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let racers = (0..16).map(|n| {
        let body = settings(None, None, &json!({ "n": n }));
        house.make::<Settings>(&scope, body)
    });
    let made = futures_util::future::join_all(racers).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    let refused = made.iter().filter_map(|made| made.as_ref().err());
    for refused in refused {
        assert!(matches!(refused, NexusError::Taken), "{refused}");
    }
    assert_eq!(house.all::<Settings>(&scope).await.len(), 1);
}

#[tokio::test]
async fn a_place_is_the_tenants_own_and_never_changes() {
    let house = house().await;
    let scope = house.scope("t_a", Env::Dev).await;
    for (surface, app, place) in [
        (Some("s_t_b"), None, "/surface_id"),
        (Some("s_none"), None, "/surface_id"),
        (None, Some("a_t_b"), "/app_id"),
        (Some("s_t_a"), Some("a_none"), "/app_id"),
    ] {
        let body = settings(surface, app, &json!({}));
        assert_eq!(pointer(house.make::<Settings>(&scope, body).await), place);
    }
    let body = settings(Some("s_t_a"), None, &json!({"a": 1}));
    let made = house.make::<Settings>(&scope, body).await.unwrap();
    let moved = settings(Some("s_t_a"), Some("a_t_a"), &json!({}));
    assert_eq!(pointer(house.put(&scope, &made.id, moved).await), "/app_id");
    let moved = settings(Some("s_t_b"), None, &json!({}));
    assert_eq!(
        pointer(house.put(&scope, &made.id, moved).await),
        "/surface_id"
    );
    let silent = json!({"values": {"a": 2}});
    let changed = house.put(&scope, &made.id, silent).await.unwrap();
    assert_eq!(changed.value.surface_id, made.value.surface_id);
    house.world.directory.set_down(true);
    let body = settings(Some("s_t_a"), Some("a_t_a"), &json!({}));
    let unknown = house.make::<Settings>(&scope, body).await;
    assert!(
        matches!(unknown, Err(NexusError::Directory(_))),
        "{unknown:?}"
    );
}

#[test]
fn values_have_names_and_limits() {
    let check = |values: Value| body_of::<Settings>(json!({ "values": values })).check();
    assert_eq!(
        check(json!({"theme.dark": true, "n": null, "o": {"deep": [1, {}]}})),
        Ok(())
    );
    let many: serde_json::Map<String, Value> =
        (0..201).map(|n| (format!("k{n}"), json!(n))).collect();
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    for wrong in [
        json!(many),
        json!({"": 1}),
        json!({"two words": 1}),
        json!({"k": "x".repeat(65 * 1024)}),
        json!({"k": {"a": "nul \u{0}"}}),
        json!({"k": {"a\u{0}": 1}}),
        json!({ "k": deep }),
    ] {
        let refused = check(wrong).unwrap_err();
        assert!(refused.pointer.starts_with("/values"), "{refused}");
    }
    assert!(serde_json::from_value::<SettingsBody>(json!({"surface_id": "x"})).is_err());
}

#[tokio::test]
async fn the_nearest_settings_that_have_a_value_decide_it() {
    let house = house().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let mut ids = Vec::new();
    for (surface, app, values) in [
        (
            None,
            None,
            json!({"a": "default", "b": "default", "c": "default", "d": {"x": 1}}),
        ),
        (None, Some("a_t_a"), json!({"b": "app", "c": "app"})),
        (Some("s_t_a"), None, json!({"c": "surface", "d": {"y": 2}})),
        (Some("s_t_a"), Some("a_t_a"), json!({"e": "both"})),
    ] {
        let body = settings(surface, app, &values);
        let made = house.make::<Settings>(&scope, body).await.unwrap();
        ids.push(made.id.to_string());
    }
    let (surface, app) = ("s_t_a".parse().unwrap(), "a_t_a".parse().unwrap());
    let records = house.nexus.records::<Settings>();
    let values = |effective: &EffectiveSettings| Value::from(effective.values.clone());

    let both = records
        .effective(&scope, Some(&surface), Some(&app))
        .await
        .unwrap();
    let expected = json!({"a": "default", "b": "app", "c": "surface", "d": {"y": 2}, "e": "both"});
    assert_eq!(values(&both), expected);
    let sources: Vec<&str> = both.sources.values().map(String::as_str).collect();
    let nearest = [&ids[0], &ids[1], &ids[2], &ids[2], &ids[3]];
    assert_eq!(sources, nearest);

    let of_app = records.effective(&scope, None, Some(&app)).await.unwrap();
    let expected = json!({"a": "default", "b": "app", "c": "app", "d": {"x": 1}});
    assert_eq!(values(&of_app), expected);
    let of_surface = records
        .effective(&scope, Some(&surface), None)
        .await
        .unwrap();
    let expected = json!({"a": "default", "b": "default", "c": "surface", "d": {"y": 2}});
    assert_eq!(values(&of_surface), expected);
    let default = records.effective(&scope, None, None).await.unwrap();
    assert_eq!(default.values.len(), 4);

    let other = house.scope("t_b", Env::Dev).await;
    let foreign = records.effective(&other, Some(&surface), Some(&app)).await;
    assert_eq!(foreign.unwrap(), EffectiveSettings::default());
}
