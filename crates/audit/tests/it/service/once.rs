//! A caller's idempotency key makes one record, for the life of the log.

use std::time::Duration;

use identity::Env;
use store::IDEMPOTENCY_MS_MIN;
use tenantry_audit::{DatasetEvent, Hash, Label};

use super::house::{House, event, put};

fn keyed(n: usize, key: &str) -> DatasetEvent {
    DatasetEvent {
        idempotency: Some(Hash::of(&[key.as_bytes()])),
        ..event("t_a", Env::Prod, "u_1", n)
    }
}

#[tokio::test]
async fn a_key_makes_one_record_at_once_later_and_in_another_life() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Prod).await;
    let first = put(&audit, keyed(1, "k1")).await;
    // At once, before the index knows it; then after it does; then long after.
    assert_eq!(put(&audit, keyed(2, "k1")).await, first);
    for n in 0..600 {
        put(&audit, event("t_a", Env::Prod, "u_1", n)).await;
    }
    audit.turn().await;
    assert_eq!(put(&audit, keyed(3, "k1")).await, first);
    let long = Duration::from_millis(IDEMPOTENCY_MS_MIN * 10);
    house.world.clock.advance(long);
    house.vault.forget_keys();
    drop(audit);
    let audit = house.open().await;
    assert_eq!(put(&audit, keyed(4, "k1")).await, first);
    assert_eq!(house.sound(&audit, &scope).await.len(), 601);
}

#[tokio::test]
async fn another_key_action_or_log_is_another_record() {
    let house = House::new();
    let audit = house.open().await;
    let first = put(&audit, keyed(1, "k1")).await;
    assert_ne!(put(&audit, keyed(1, "k2")).await, first);
    let mut other = keyed(1, "k1");
    other.action = "another.action".parse::<Label>().unwrap();
    assert_ne!(put(&audit, other).await, first);
    let mut elsewhere = keyed(1, "k1");
    elsewhere.tenant = "t_b".parse().unwrap();
    put(&audit, elsewhere).await;
    audit.turn().await;
    for (tenant, records) in [("t_a", 3), ("t_b", 1)] {
        let scope = house.scope(tenant, Env::Prod).await;
        assert_eq!(house.sound(&audit, &scope).await.len(), records);
    }
}

#[tokio::test]
async fn racing_records_of_one_key_are_one() {
    let house = House::new();
    let audit = house.open().await;
    let racers = (0..16).map(|n| put(&audit, keyed(n, "k1")));
    let seqs = futures_util::future::join_all(racers).await;
    assert!(seqs.iter().all(|seq| *seq == seqs[0]), "{seqs:?}");
    audit.turn().await;
    let scope = house.scope("t_a", Env::Prod).await;
    assert_eq!(house.sound(&audit, &scope).await.len(), 1);
}

#[tokio::test]
async fn a_record_that_waited_in_the_spool_is_made_once() {
    let house = House::new();
    let audit = house.open().await;
    put(&audit, event("t_a", Env::Prod, "u_1", 0)).await;
    house.vault.set_down(true);
    for n in 1..4 {
        let waits = audit.record(keyed(n, "k1")).await.unwrap();
        assert!(matches!(waits, identity::Recorded::Degraded { .. }));
    }
    house.vault.set_down(false);
    audit.turn().await;
    let scope = house.scope("t_a", Env::Prod).await;
    assert_eq!(house.sound(&audit, &scope).await.len(), 2);
}
