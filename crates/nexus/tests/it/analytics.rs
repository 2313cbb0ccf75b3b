//! Analytics events: appended in batches, with consent, and never changed.

use std::time::Duration;

use identity::{Clock, Env, Precondition, Scope};
use serde_json::{Value, json};
use tenantry_nexus::{
    AnalyticsEvent, AppendEvents, Appended, Body, EVENTS_MAX, EventBody, IdempotencyKey, Model,
    NexusError,
};

use crate::house::{House, body_of, pointer};

fn event(name: &str) -> Value {
    json!({
        "name": name, "schema_version": 1, "session_id": "visit-1",
        "consent": {"purposes": ["analytics"], "policy": "2026-01"},
        "properties": {"path": "/pricing"},
    })
}

fn events(number: usize) -> Vec<EventBody> {
    let names = (0..number).map(|n| format!("page.viewed.{n:03}"));
    names
        .map(|name| body_of::<AnalyticsEvent>(event(&name)))
        .collect()
}

async fn append(
    house: &House,
    scope: &Scope,
    events: Vec<EventBody>,
    key: Option<&str>,
) -> Result<Appended, NexusError> {
    let key = key.map(|key| IdempotencyKey::parse(key).unwrap());
    let asked = AppendEvents {
        events,
        key,
        payload: None,
    };
    let permit = house.permit(scope, asked).await;
    house.nexus.records().append(scope, permit).await
}

#[tokio::test]
async fn a_whole_batch_is_appended_in_its_order() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let first = append(&house, &scope, events(EVENTS_MAX), None)
        .await
        .unwrap();
    house.world.clock.advance(Duration::from_millis(1));
    let second = append(&house, &scope, events(1), Some("k")).await.unwrap();
    let all = house.all::<AnalyticsEvent>(&scope).await;
    let ids: Vec<_> = all.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids, [first.ids, second.ids].concat());
    assert_eq!(all[7].value.name, "page.viewed.007");
    assert_eq!(all[7].created_by, *scope.user());
    let now = house.world.clock.now();
    assert_eq!(all.last().unwrap().value.occurred_at, now);
}

#[tokio::test]
async fn a_batch_with_one_wrong_event_stores_nothing() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let ahead = house.world.clock.now().plus(Duration::from_secs(25 * 3600));
    for (member, value, place) in [
        ("name", json!("two words"), "/events/1/name"),
        ("schema_version", json!(0), "/events/1/schema_version"),
        ("session_id", json!(""), "/events/1/session_id"),
        (
            "properties",
            json!({"a": "x".repeat(17 * 1024)}),
            "/events/1/properties",
        ),
        (
            "properties",
            json!({"a": "\u{0}"}),
            "/events/1/properties/a",
        ),
        ("occurred_at", json!(ahead), "/events/1/occurred_at"),
        (
            "consent",
            json!({"purposes": []}),
            "/events/1/consent/purposes",
        ),
        (
            "consent",
            json!({"purposes": ["ads"]}),
            "/events/1/consent/purposes",
        ),
        (
            "consent",
            json!({"purposes": ["analytics", "a b"]}),
            "/events/1/consent/purposes/1",
        ),
        (
            "consent",
            json!({"purposes": ["analytics"], "policy": "\n"}),
            "/events/1/consent/policy",
        ),
    ] {
        let mut wrong = event("wrong");
        wrong[member] = value;
        let batch = vec![event("right"), wrong];
        let batch = batch.into_iter().map(body_of::<AnalyticsEvent>).collect();
        assert_eq!(pointer(append(&house, &scope, batch, None).await), place);
    }
    for number in [0, EVENTS_MAX + 1] {
        let refused = append(&house, &scope, events(number), None).await;
        assert_eq!(pointer(refused), "/events", "{number}");
    }
    let mut first = event("e");
    first.as_object_mut().unwrap().remove("schema_version");
    assert_eq!(body_of::<AnalyticsEvent>(first).schema_version, 1);
    for required in ["name", "consent"] {
        let mut missing = event("e");
        missing.as_object_mut().unwrap().remove(required);
        assert!(
            serde_json::from_value::<EventBody>(missing).is_err(),
            "{required}"
        );
    }
    assert_eq!(house.all::<AnalyticsEvent>(&scope).await, vec![]);
}

#[tokio::test]
async fn one_key_appends_one_batch() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let racers = (0..8).map(|_| append(&house, &scope, events(3), Some("k")));
    let appended = futures_util::future::join_all(racers).await;
    let ids: Vec<_> = appended.iter().map(|a| &a.as_ref().unwrap().ids).collect();
    assert!(ids.iter().all(|others| *others == ids[0]));
    let fresh = appended.iter().filter(|a| !a.as_ref().unwrap().duplicate);
    assert_eq!(fresh.count(), 1);
    assert_eq!(house.all::<AnalyticsEvent>(&scope).await.len(), 3);
    let other = append(&house, &scope, events(2), Some("k")).await;
    assert!(matches!(other, Err(NexusError::IdempotencyConflict)));
}

#[tokio::test]
async fn an_event_does_not_change_and_is_its_tenants_alone() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let id = append(&house, &scope, events(1), None)
        .await
        .unwrap()
        .ids
        .remove(0);
    assert_eq!(pointer(house.put(&scope, &id, event("other")).await), "");
    let any = Precondition::Any;
    let patched = house
        .patch(&scope, &id, json!({"name": "other"}), any.clone())
        .await;
    assert_eq!(pointer(patched), "");
    let other = house.scope("t_b", Env::Dev).await;
    assert_eq!(house.find(&other, &id).await, None);
    house.delete(&scope, &id, any).await.unwrap();
    assert_eq!(house.all::<AnalyticsEvent>(&scope).await, vec![]);
    let event = house.restore(&scope, &id).await.unwrap();
    assert_eq!(event.value.body().check(), Ok(()));
}

#[tokio::test]
async fn no_event_is_appended_after_a_kill_switch() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let asked = AppendEvents {
        events: events(2),
        key: None,
        payload: None,
    };
    let permit = house.permit(&scope, asked).await;
    house.stop(&scope).await;
    let refused = house.nexus.records().append(&scope, permit).await;
    assert!(matches!(refused, Err(NexusError::Denied(_))), "{refused:?}");
    assert_eq!(house.all::<AnalyticsEvent>(&scope).await, vec![]);
}
