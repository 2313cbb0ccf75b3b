//! Erasure and legal hold on any node: a hold that was answered forbids every later erasure, and an
//! erasure that was answered is one on all nodes.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use identity::{Env, Recorded, Scope, UserId};
use store::{StoreError, TailError};
use tenantry_audit::{
    Seq,
    service::{Audit, EraseError},
    verify,
};
use testkit::MemoryEventLog;

use super::{LAPSE, Node, agree, join_over, pass, turns, two, wire::Way};
use crate::service::house::{House, all, event, put};

fn subject() -> UserId {
    "u_canary".parse().unwrap()
}

fn keys(house: &House) -> usize {
    let keys = house.vault.copy().keys_of("/audit-subjects");
    keys.iter()
        .filter(|key| key.id.starts_with("subject/u_canary/"))
        .count()
}

/// Whether the subject's values are shown.
async fn shows(node: &Node, scope: &Scope) -> bool {
    let entries = all(&node.audit, scope).await;
    let mut values = entries
        .iter()
        .flat_map(|entry| entry.opened.fields.values());
    values.any(|value| value.value.starts_with("u_canary"))
}

/// Runs what a node does beside the turns of others.
async fn meanwhile<T: Send + 'static>(
    doing: impl Future<Output = T> + Send + 'static,
    nodes: &[&Node],
) -> T {
    let doing = tokio::spawn(doing);
    while !doing.is_finished() {
        turns(nodes, 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    doing.await.unwrap()
}

async fn ordered(node: &Node, house: &House, nodes: &[&Node], on: bool) -> Result<(), StoreError> {
    let (audit, scope) = (node.audit.clone(), house.scope("t_a", Env::Dev).await);
    meanwhile(async move { audit.set_hold(&scope, on).await }, nodes).await
}

async fn erased(audit: Arc<Audit>, scope: Scope) -> Result<usize, EraseError> {
    audit
        .erase(&scope, &subject())
        .await
        .map(|erased| erased.keys)
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_ordered_on_a_node_that_follows_is_put_on_by_the_leader() {
    let house = House::new();
    let [a, b] = two(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    put(&b.audit, event("t_a", Env::Dev, "u_canary", 0)).await;
    turns(&[&a, &b], 1).await;
    ordered(&b, &house, &[&a], true).await.unwrap();
    for node in [&a, &b] {
        assert!(node.audit.hold(&scope, Env::Dev).await.unwrap());
        let refused = erased(node.audit.clone(), house.scope("t_a", Env::Prod).await).await;
        assert!(matches!(refused, Err(EraseError::Held(Env::Dev))));
    }
    turns(&[&a, &b], 1).await;
    for node in [&a, &b] {
        let receipt = node.audit.receipt(&scope, Seq::FIRST, None).await.unwrap();
        let verified = verify::receipt(&receipt, &house.trust(), None).unwrap();
        assert!(
            verified.anchored.head.flags.legal_hold,
            "the epoch tells of it"
        );
    }
    ordered(&b, &house, &[&a], true).await.unwrap();
    ordered(&b, &house, &[&a], false).await.unwrap();
    assert!(!a.audit.hold(&scope, Env::Dev).await.unwrap());
    assert_eq!(erased(b.audit.clone(), scope).await.unwrap(), 1);
}

/// Nobody leads for a while: the order is taken back, and is not carried out later.
#[tokio::test(start_paused = true)]
async fn an_order_that_nobody_carries_out_is_taken_back() {
    let house = House::new();
    let [a, b] = two(&house).await;
    put(&b.audit, event("t_a", Env::Dev, "u_canary", 0)).await;
    turns(&[&a, &b], 1).await;
    a.wire.set(Way::Still);
    let refused = ordered(&b, &house, &[], true).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    a.wire.set(Way::Open);
    pass(LAPSE).await;
    turns(&[&a, &b], 2).await;
    let scope = house.scope("t_a", Env::Dev).await;
    assert!(!a.audit.hold(&scope, Env::Dev).await.unwrap());
}

/// The eraser stands still at each call in turn, and a hold is put on elsewhere meanwhile.
#[tokio::test(start_paused = true)]
async fn nothing_is_erased_once_a_hold_was_answered() {
    let (mut held, mut gone) = (0, 0);
    for calls in 0.. {
        let house = House::new();
        let [a, b] = two(&house).await;
        let scope = house.scope("t_a", Env::Dev).await;
        put(&a.audit, event("t_a", Env::Dev, "u_canary", 0)).await;
        put(&b.audit, event("t_a", Env::Prod, "u_canary", 0)).await;
        turns(&[&a, &b], 1).await;
        b.wire.set_after(calls, Way::Still);
        let erasing = tokio::spawn(erased(b.audit.clone(), house.scope("t_a", Env::Prod).await));
        while !b.wire.has_changed() && !erasing.is_finished() && keys(&house) > 0 {
            tokio::task::yield_now().await;
        }
        let reached = b.wire.has_changed();
        a.audit.set_hold(&scope, true).await.unwrap();
        let there = keys(&house) > 0;
        b.wire.set(Way::Open);
        let outcome = erasing.await.unwrap();
        if there {
            held += 1;
            assert!(
                matches!(outcome, Err(EraseError::Held(Env::Dev))),
                "{calls}: {outcome:?}"
            );
            assert_eq!(keys(&house), 1, "{calls}");
        } else {
            gone += 1;
            assert_eq!(outcome.unwrap(), 1, "{calls}");
        }
        turns(&[&a, &b], 2).await;
        agree(&house, &[&a, &b], &scope, None).await;
        if !reached {
            break;
        }
    }
    assert!(held > 5 && gone > 0, "{held} {gone}");
}

/// Also one that follows and has the keys in memory.
#[tokio::test(start_paused = true)]
async fn who_was_erased_is_shown_by_no_node() {
    let house = House::new();
    let events = Arc::new(MemoryEventLog::default());
    let vault = house.vault.clone();
    let a = join_over(&house, "a", vault.clone(), events.clone()).await;
    let b = join_over(&house, "b", vault, events).await;
    let scope = house.scope("t_a", Env::Dev).await;
    put(&a.audit, event("t_a", Env::Dev, "u_canary", 0)).await;
    put(&b.audit, event("t_a", Env::Dev, "u_canary", 1)).await;
    turns(&[&a, &b], 2).await;
    assert!(shows(&a, &scope).await && shows(&b, &scope).await);
    let (logs, stream) = (b.audit.as_json(), b.audit.stream(&scope));
    let begin = logs.bounds(&stream).await.unwrap().at_head();
    let mut tail = logs.tail(&stream, begin).await.unwrap();
    // It neither hears nor asks while this happens, and has asked just before.
    b.turn().await;
    assert_eq!(
        erased(a.audit.clone(), house.scope("t_a", Env::Dev).await)
            .await
            .unwrap(),
        1
    );
    assert!(
        !shows(&b, &scope).await,
        "it trusts nothing that it remembers"
    );
    b.turn().await;
    while let Ok(more) = tail.next().await.unwrap() {
        assert!(!String::from_utf8_lossy(&more[0].body).contains("u_canary"));
    }
    turns(&[&a, &b], 2).await;
    assert!(!shows(&a, &scope).await && !shows(&b, &scope).await);
    // The subject may come back, and be remembered anew.
    put(&b.audit, event("t_a", Env::Dev, "u_canary", 2)).await;
    assert!(shows(&a, &scope).await && shows(&b, &scope).await);
    turns(&[&a, &b], 2).await;
    agree(&house, &[&a, &b], &scope, None).await;
}

/// A tail of a node that can hear nothing ends: nobody knows whom it should not show.
#[tokio::test(start_paused = true)]
async fn the_tails_of_a_node_that_hears_nothing_end() {
    let house = House::new();
    let events = Arc::new(MemoryEventLog::default());
    let node = join_over(&house, "a", house.vault.clone(), events).await;
    let scope = house.scope("t_a", Env::Dev).await;
    put(&node.audit, event("t_a", Env::Dev, "u_1", 0)).await;
    let (logs, stream) = (node.audit.as_json(), node.audit.stream(&scope));
    let begin = logs.bounds(&stream).await.unwrap().at_head();
    let mut tail = logs.tail(&stream, begin).await.unwrap();
    node.wire.set(Way::Cut);
    node.turn().await;
    assert!(
        futures_util::poll!(tail.next()).is_pending(),
        "it has just heard"
    );
    pass(Duration::from_secs(4)).await;
    node.turn().await;
    node.wire.set(Way::Open);
    let end = tail.next().await.unwrap();
    assert!(matches!(end, Err(TailError::Gap(..))), "{end:?}");
}

/// The spool of another node may hold the only key of who is erased.
#[tokio::test(start_paused = true)]
async fn a_spooled_record_of_who_was_erased_shows_nothing() {
    let house = House::new();
    let [a, b] = two(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    put(&a.audit, event("t_a", Env::Dev, "u_other", 0)).await;
    turns(&[&a, &b], 1).await;
    b.wire.set(Way::Cut);
    for user in ["u_canary", "u_else"] {
        let recorded = b.audit.record(event("t_a", Env::Dev, user, 1)).await;
        assert_eq!(recorded, Ok(Recorded::Degraded { why: "spooled" }));
    }
    assert_eq!(
        erased(a.audit.clone(), house.scope("t_a", Env::Dev).await)
            .await
            .unwrap(),
        0
    );
    b.wire.set(Way::Open);
    turns(&[&a, &b], 3).await;
    assert_eq!(keys(&house), 0);
    for node in [&a, &b] {
        assert!(!shows(node, &scope).await);
    }
    let (entries, _) = agree(&house, &[&a, &b], &scope, None).await;
    let users = entries
        .iter()
        .filter(|entry| entry.opened.erased.is_empty());
    assert_eq!(
        (entries.len(), users.count()),
        (5, 4),
        "the others are shown"
    );
    let everything = house.vault.copy().everything();
    let canary = b"u_canary";
    let named = everything
        .iter()
        .any(|one| one.windows(canary.len()).any(|part| part == canary));
    assert!(!named, "nor is it named anywhere");
}

/// How many erasures the nodes were told of.
fn told(house: &House) -> u64 {
    let streams = house.vault.copy().streams;
    let erased = streams
        .iter()
        .find(|(key, _)| key.as_str().ends_with("/erased"));
    erased.map_or(0, |(_, stream)| stream.head)
}

/// Who erases dies when the keys are gone and nobody was told: the leader tells the others when it
/// closes the intent.
#[tokio::test(start_paused = true)]
async fn an_erasure_whose_node_died_is_told_by_the_leader() {
    let mut untold = 0;
    for calls in 0..40 {
        let house = House::new();
        let [a, b] = two(&house).await;
        let scope = house.scope("t_a", Env::Dev).await;
        put(&a.audit, event("t_a", Env::Dev, "u_canary", 0)).await;
        turns(&[&a, &b], 1).await;
        b.wire.set_after(calls, Way::Cut);
        let _ = erased(b.audit.clone(), house.scope("t_a", Env::Dev).await).await;
        if keys(&house) > 0 || told(&house) > 0 {
            continue;
        }
        untold += 1;
        for _ in 0..70 {
            pass(Duration::from_secs(2)).await;
            a.turn().await;
        }
        assert_eq!(told(&house), 1, "{calls}");
        assert!(!shows(&a, &scope).await);
    }
    assert!(untold > 0);
}
