//! Changing a part of a record: what comes of it is checked as a whole.

use identity::{Env, Precondition};
use serde_json::json;
use tenantry_nexus::{Card, NexusError, Run};

use crate::house::{House, pointer};

fn revision(number: u64) -> Precondition {
    Precondition::OneOf(vec![number])
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let body = json!({"title": "One", "body": "words", "tags": ["a", "b"], "kind": "task"});
    let card = house.make::<Card>(&scope, body).await.unwrap();
    let patch = json!({"title": "Two", "tags": ["c"], "body": null});
    let changed = house.patch(&scope, &card.id, patch, revision(1)).await;
    let changed = changed.unwrap();
    let expected = json!({"title": "Two", "kind": "task", "body": "", "tags": ["c"], "links": []});
    assert_eq!(serde_json::to_value(&changed.value).unwrap(), expected);
    assert_eq!(changed.revision, 2);
    // The names of the context are no part of a record.
    let patch = json!({"tenant_id": "t_a", "env": "dev"});
    let same = house.patch(&scope, &card.id, patch, revision(2)).await;
    assert_eq!(same.unwrap().value, changed.value);
}

#[tokio::test]
async fn what_comes_of_a_patch_is_checked_as_a_whole() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let card = house.made(&scope, "One").await;
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "a": deep });
    }
    for (patch, place) in [
        (json!({"title": null}), "/title"),
        (json!({"title": ""}), "/title"),
        (json!({"title": 7}), "/title"),
        (json!({"colour": "red"}), "/colour"),
        (json!({"id": "cd_1"}), "/id"),
        (json!({"revision": 9}), "/revision"),
        (json!({"tags": ["a", "a"]}), "/tags/1"),
        (
            json!({"links": [{"rel": "r", "card_id": "cd_9"}]}),
            "/links/0/card_id",
        ),
        (
            json!({"links": [{"rel": "r", "href": "https://a.example", "x": 1}]}),
            "/links/0/x",
        ),
        (json!({"title": deep}), "/title"),
        (json!("text"), ""),
        (json!([{"title": "t"}]), ""),
        (json!(null), ""),
    ] {
        let refused = house
            .patch(&scope, &card.id, patch.clone(), revision(1))
            .await;
        assert_eq!(pointer(refused), place, "{patch}");
    }
    assert_eq!(house.find(&scope, &card.id).await, Some(card));
}

#[tokio::test]
async fn a_patch_of_another_revision_changes_nothing() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let card = house.made(&scope, "One").await;
    let patch = || json!({"title": "Two"});
    house
        .patch(&scope, &card.id, patch(), revision(1))
        .await
        .unwrap();
    for stale in [revision(1), revision(3), Precondition::OneOf(vec![])] {
        let refused = house.patch(&scope, &card.id, patch(), stale).await;
        assert!(matches!(refused, Err(NexusError::Stale)), "{refused:?}");
    }
    let other = house.scope("t_b", Env::Dev).await;
    let foreign = house
        .patch(&other, &card.id, patch(), Precondition::Any)
        .await;
    assert!(matches!(foreign, Err(NexusError::NotFound)), "{foreign:?}");
}

#[tokio::test]
async fn racing_patches_of_different_members_all_hold_or_are_told() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let run = house
        .make::<Run>(&scope, json!({"name": "r"}))
        .await
        .unwrap();
    let patches = (0..16).map(|n| {
        let patch = json!({"output": {format!("k{n}"): n}});
        house.patch(&scope, &run.id, patch, Precondition::Exists)
    });
    let outcomes = futures_util::future::join_all(patches).await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let run = house.find(&scope, &run.id).await.unwrap();
    assert_eq!(run.value.output.len(), done, "no word is lost");
    assert!(done >= 1);
}
