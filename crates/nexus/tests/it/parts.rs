//! Atoms and packs: what they may hold, and what they may name.

use identity::{Env, Precondition};
use serde_json::{Value, json};
use tenantry_nexus::{Atom, Body, Card, Id, Model, NexusError, Pack, PackItem, Run};

use crate::house::{House, body_of, pointer};

/// Where a body is refused.
fn refused<M: Model>(body: &Value) -> String {
    body_of::<M>(body.clone()).check().unwrap_err().pointer
}

fn atom() -> Value {
    json!({"asset_id": "as_1", "operation": "extract.text", "content": "words", "tags": ["a"]})
}

/// The object with another member.
fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

#[test]
fn an_atom_has_either_content_or_a_vector() {
    let vector = json!({"index": "main", "id": "v1", "model": "m", "dimensions": 768});
    let with_vector = json!({"asset_id": "as_1", "operation": "embed", "vector": vector});
    for good in [atom(), with_vector.clone()] {
        assert_eq!(body_of::<Atom>(good).check(), Ok(()));
    }
    let tags: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    for (body, pointer) in [
        (with(atom(), "vector", vector), ""),
        (json!({"asset_id": "as_1", "operation": "embed"}), ""),
        (with(atom(), "operation", json!("two words")), "/operation"),
        (with(atom(), "operation", json!("")), "/operation"),
        (with(atom(), "content", json!("a\u{0}b")), "/content"),
        (
            with(atom(), "content", json!("x".repeat(128 * 1024 + 1))),
            "/content",
        ),
        (with(atom(), "tags", json!(tags)), "/tags"),
        (
            with(
                with_vector.clone(),
                "vector",
                json!({"index": "", "id": "v"}),
            ),
            "/vector/index",
        ),
        (
            with(
                with_vector,
                "vector",
                json!({"index": "i", "id": "v", "dimensions": 0}),
            ),
            "/vector/dimensions",
        ),
    ] {
        assert_eq!(refused::<Atom>(&body), pointer, "{body}");
    }
    let nameless = json!({"operation": "embed", "content": "words"});
    assert!(serde_json::from_value::<Atom>(nameless).is_err());
    assert!(serde_json::from_value::<Atom>(with(atom(), "asset_id", json!("x_1"))).is_err());
}

#[tokio::test]
async fn an_atom_is_made_from_an_asset_of_the_same_tenant_and_environment() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    house.asset(&scope, "as_1").await;
    let made = house.make::<Atom>(&scope, atom()).await.unwrap();
    assert_eq!(made.value.asset_id.as_str(), "as_1");
    for (tenant, env) in [("t_b", Env::Dev), ("t_a", Env::Prod)] {
        let other = house.scope(tenant, env).await;
        let foreign = house.make::<Atom>(&other, atom()).await;
        assert_eq!(pointer(foreign), "/asset_id");
    }
    let unknown = with(atom(), "asset_id", json!("as_2"));
    let any = Precondition::Any;
    let patched = house
        .patch(&scope, &made.id, json!({"asset_id": "as_2"}), any)
        .await;
    assert_eq!(pointer(patched), "/asset_id");
    assert_eq!(
        pointer(house.make::<Atom>(&scope, unknown).await),
        "/asset_id"
    );
}

#[test]
fn a_pack_is_a_set_in_order() {
    let items = |items: Value| json!({"title": "t", "items": items});
    let good = body_of::<Pack>(items(json!(["cd_2", "as_1", "cd_1", "at_1", "rn_1"])));
    assert_eq!(good.check(), Ok(()));
    let ids: Vec<&str> = good.items.iter().map(PackItem::as_str).collect();
    assert_eq!(ids, ["cd_2", "as_1", "cd_1", "at_1", "rn_1"]);
    let many: Vec<String> = (0..201).map(|n| format!("cd_{n}")).collect();
    assert_eq!(refused::<Pack>(&items(json!(many))), "/items");
    assert_eq!(
        refused::<Pack>(&items(json!(["cd_1", "at_1", "cd_1"]))),
        "/items/2"
    );
    assert_eq!(refused::<Pack>(&json!({"title": ""})), "/title");
    // Packs in packs, and what only one member finds, are no parts of a pack.
    for other in [
        "pk_1",
        "mm_1",
        "mb_1",
        "ev_1",
        "u_1",
        "cd_",
        "../cards/cd_1",
        "",
    ] {
        let refused = serde_json::from_value::<Pack>(items(json!([other])));
        assert!(refused.is_err(), "{other}");
    }
}

#[tokio::test]
async fn a_pack_holds_what_is_in_the_same_tenant_and_environment() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let other = house.scope("t_b", Env::Dev).await;
    let elsewhere = house.scope("t_a", Env::Staging).await;
    house.asset(&scope, "as_1").await;
    house.asset(&other, "as_2").await;
    let card = house.made(&scope, "Own").await.id;
    let atom = house.make::<Atom>(&scope, atom()).await.unwrap().id;
    let run = house
        .make::<Run>(&scope, json!({"name": "r"}))
        .await
        .unwrap()
        .id;
    let foreign: Id<Card> = house.made(&other, "Foreign").await.id;
    let staged = house.made(&elsewhere, "Staged").await.id;

    let own = json!(["as_1", card, atom, run]);
    let body = |items: &Value| json!({"title": "t", "items": items});
    let pack = house.make::<Pack>(&scope, body(&own)).await.unwrap();
    for unknown in [foreign.as_str(), staged.as_str(), "as_2", "rn_9", "at_9"] {
        let items = json!([card, unknown]);
        let refused = house.make::<Pack>(&scope, body(&items)).await;
        assert_eq!(pointer(refused), "/items/1", "{unknown}");
        let refused = house.put(&scope, &pack.id, body(&items)).await;
        assert_eq!(pointer(refused), "/items/1", "{unknown}");
    }
    assert_eq!(house.find(&scope, &pack.id).await, Some(pack));
}

#[tokio::test]
async fn what_a_pack_holds_may_be_deleted_and_its_id_stays() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let (one, two) = (
        house.made(&scope, "One").await.id,
        house.made(&scope, "Two").await.id,
    );
    let body = json!({"title": "t", "items": [one, two]});
    let pack = house.make::<Pack>(&scope, body).await.unwrap();
    house.delete(&scope, &one, Precondition::Any).await.unwrap();
    // The pack can be changed, as long as it names nothing new that is not there.
    let retitled = json!({"title": "t2", "items": [two, one]});
    let changed = house.put(&scope, &pack.id, retitled).await.unwrap();
    assert_eq!(changed.value.items.len(), 2);
    let fresh = json!({"title": "t", "items": [one]});
    assert_eq!(pointer(house.make::<Pack>(&scope, fresh).await), "/items/0");
    let without = json!({"title": "t3", "items": []});
    house.put(&scope, &pack.id, without.clone()).await.unwrap();
    let again = json!({"title": "t4", "items": [one]});
    assert_eq!(
        pointer(house.put(&scope, &pack.id, again).await),
        "/items/0"
    );
}

#[tokio::test]
async fn records_are_listed_in_the_order_in_which_they_were_made() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    for n in 0..20 {
        house.made(&scope, &format!("card {n}")).await;
        let second = std::time::Duration::from_millis(1 + n % 3);
        house.world.clock.advance(second);
    }
    let all = house.all::<Card>(&scope).await;
    let titles: Vec<String> = all.into_iter().map(|card| card.value.title).collect();
    let made: Vec<String> = (0..20).map(|n| format!("card {n}")).collect();
    assert_eq!(titles, made);
    let unknown = "cd_1".parse::<Id<Card>>().unwrap();
    let refused = house.put(&scope, &unknown, json!({"title": "t"})).await;
    assert!(matches!(refused, Err(NexusError::NotFound)));
}
