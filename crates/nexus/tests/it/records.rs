//! The core: revisions, idempotency, isolation, restoring, and the gates.

use std::time::Duration;

use identity::{Env, Precondition};
use store::PageRequest;
use tenantry_nexus::{Card, NexusError};

use crate::house::{House, card};

fn revision(number: u64) -> Precondition {
    Precondition::OneOf(vec![number])
}

#[tokio::test]
async fn each_change_is_a_revision_and_a_stale_one_changes_nothing() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let made = house.made(&scope, "One").await;
    assert_eq!((made.revision, made.value.title.as_str()), (1, "One"));
    house.world.clock.advance(Duration::from_secs(5));
    let id = &made.id;
    let changed = house.replace(&scope, id, card("Two"), revision(1)).await;
    let changed = changed.unwrap();
    assert_eq!((changed.revision, changed.created_at), (2, made.created_at));
    assert!(changed.updated_at > made.updated_at);
    for stale in [revision(1), revision(3), Precondition::OneOf(vec![])] {
        let refused = house
            .replace(&scope, id, card("Three"), stale.clone())
            .await;
        assert!(matches!(refused, Err(NexusError::Stale)), "{refused:?}");
        let refused = house.delete(&scope, id, stale).await;
        assert!(matches!(refused, Err(NexusError::Stale)), "{refused:?}");
    }
    assert_eq!(house.cards.find(&scope, id).await.unwrap(), Some(changed));
}

#[tokio::test]
async fn a_deleted_record_is_unknown_and_can_be_restored_for_thirty_days() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let id = house.made(&scope, "One").await.id;
    house.delete(&scope, &id, Precondition::Any).await.unwrap();
    assert_eq!(house.cards.find(&scope, &id).await.unwrap(), None);
    let page = house.cards.list(&scope, &PageRequest::default()).await;
    assert_eq!(page.unwrap().items, vec![]);
    let again = house.delete(&scope, &id, Precondition::Any).await;
    assert!(matches!(again, Err(NexusError::NotFound)));

    let elsewhere = house.scope("t_b", Env::Dev).await;
    let foreign = house.restore(&elsewhere, &id).await;
    assert!(matches!(foreign, Err(NexusError::NotFound)));
    let restored = house.restore(&scope, &id).await.unwrap();
    assert_eq!(
        (restored.revision, restored.value.title.as_str()),
        (2, "One")
    );
    assert_eq!(house.cards.find(&scope, &id).await.unwrap(), Some(restored));
    let twice = house.restore(&scope, &id).await;
    assert!(matches!(twice, Err(NexusError::NotFound)));

    house.delete(&scope, &id, Precondition::Any).await.unwrap();
    house.world.clock.advance(Duration::from_secs(31 * 86_400));
    let late = house.restore(&scope, &id).await;
    assert!(matches!(late, Err(NexusError::NotFound)));
}

#[tokio::test]
async fn one_idempotency_key_makes_one_record() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let first = house
        .create::<Card>(&scope, card("One"), Some("k1"))
        .await
        .unwrap();
    let again = house
        .create::<Card>(&scope, card("One"), Some("k1"))
        .await
        .unwrap();
    assert_eq!((first.duplicate, again.duplicate), (false, true));
    assert_eq!(first.record, again.record);
    let other = house.create::<Card>(&scope, card("Two"), Some("k1")).await;
    assert!(matches!(other, Err(NexusError::IdempotencyConflict)));
    // In another environment the key is another one, and without a key each request makes one.
    let prod = house.scope("t_a", Env::Prod).await;
    let other = house.create(&prod, card("One"), Some("k1")).await.unwrap();
    assert_ne!(other.record.id, first.record.id);
    assert_ne!(house.made(&scope, "One").await.id, first.record.id);
    house.world.clock.advance(Duration::from_secs(86_401));
    let later = house
        .create::<Card>(&scope, card("One"), Some("k1"))
        .await
        .unwrap();
    assert!(!later.duplicate, "the key has ended");
}

#[tokio::test]
async fn racing_requests_with_one_key_make_one_record() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let racers = (0..16).map(|_| house.create::<Card>(&scope, card("One"), Some("k1")));
    let made = futures_util::future::join_all(racers).await;
    let fresh = made.iter().filter(|made| !made.as_ref().unwrap().duplicate);
    assert_eq!(fresh.count(), 1);
    let page = house.cards.list(&scope, &PageRequest::default()).await;
    assert_eq!(page.unwrap().items.len(), 1);
}

#[tokio::test]
async fn of_racing_changes_one_is_made_and_the_others_are_stale() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let made = house.made(&scope, "One").await;
    let id = &made.id;
    let racers = (0..8).map(|_| house.replace(&scope, id, card("Two"), revision(1)));
    let answers = futures_util::future::join_all(racers).await;
    let stale = |answer: &Result<_, _>| matches!(answer, Err(NexusError::Stale));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| stale(answer)).count(), 7);

    // Whoever did not say which revision is told to try again.
    let racers = (0..8).map(|_| house.replace(&scope, id, card("Three"), Precondition::Exists));
    let answers = futures_util::future::join_all(racers).await;
    let late = |answer: &Result<_, _>| matches!(answer, Err(NexusError::Contended));
    assert!(answers.iter().all(|answer| answer.is_ok() || late(answer)));
    assert!(answers.iter().any(late) && answers.iter().any(Result::is_ok));

    let racers = (0..8).map(|_| house.delete(&scope, id, Precondition::Any));
    let answers = futures_util::future::join_all(racers).await;
    let gone = |answer: &Result<_, _>| matches!(answer, Err(NexusError::NotFound));
    assert_eq!(answers.iter().filter(|answer| gone(answer)).count(), 7);
}

#[tokio::test]
async fn nothing_is_found_from_another_tenant_or_environment() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let id = house.made(&scope, "One").await.id;
    for (tenant, env) in [
        ("t_b", Env::Dev),
        ("t_a", Env::Prod),
        ("t_system", Env::Dev),
    ] {
        let other = house.scope(tenant, env).await;
        assert_eq!(house.cards.find(&other, &id).await.unwrap(), None);
        let page = house.cards.list(&other, &PageRequest::default()).await;
        assert_eq!(page.unwrap().items, vec![]);
        let any = Precondition::Any;
        let replaced = house.replace(&other, &id, card("Mine"), any.clone()).await;
        assert!(matches!(replaced, Err(NexusError::NotFound)));
        let deleted = house.delete(&other, &id, any).await;
        assert!(matches!(deleted, Err(NexusError::NotFound)));
    }
    let found = house.cards.find(&scope, &id).await.unwrap().unwrap();
    assert_eq!((found.revision, found.value.title.as_str()), (1, "One"));
}

#[tokio::test]
async fn lists_come_in_pages_without_gap_or_repeat() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    for n in 0..25 {
        house.made(&scope, &format!("card {n}")).await;
    }
    let (mut seen, mut next) = (Vec::new(), PageRequest::parse(None, Some(10)).ok());
    while let Some(request) = next {
        let page = house.cards.list(&scope, &request).await.unwrap();
        assert!(page.items.len() <= 10);
        seen.extend(page.items.iter().map(|card| card.id.to_string()));
        next = request.following(&page);
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn a_permit_from_before_a_kill_switch_writes_nothing() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let create = tenantry_nexus::Create {
        value: card("Late"),
        key: None,
        payload: None,
    };
    let permit = house.permit(&scope, create).await;
    house.stop(&scope).await;
    let refused = house.cards.create(&scope, permit).await;
    let Err(NexusError::Denied(denied)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(denied.refusal.code.as_str(), "kill_switch_engaged");
    let page = house.cards.list(&scope, &PageRequest::default()).await;
    assert_eq!(page.unwrap().items, vec![]);
}
