//! Erasure: afterwards nothing personal of the subject can be found anywhere, and every
//! proof still holds. Legal hold forbids it.

use std::sync::Arc;

use identity::{Env, Recorded, Scope};
use store::StoreError;
use tenantry_audit::{
    Seq,
    service::{Audit, EraseError},
    verify,
};

use super::{
    house::{House, all, event, put},
    vault::Fault,
};

const SUBJECT: &str = "u_canary7f3a";
const EMAIL: &str = "u_canary7f3a@example.test";

async fn recorded(house: &House) -> (Arc<Audit>, Scope) {
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    for n in 0..3 {
        put(&audit, event("t_a", Env::Dev, SUBJECT, n)).await;
        put(&audit, event("t_a", Env::Prod, SUBJECT, n)).await;
        put(&audit, event("t_a", Env::Dev, "u_other", n)).await;
        put(&audit, event("t_b", Env::Dev, SUBJECT, n)).await;
    }
    audit.turn().await;
    (audit, scope)
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    let needle = needle.as_bytes();
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// Everywhere where the tenant's data is: store, disk, export.
async fn found(house: &House, audit: &Arc<Audit>, scope: &Scope) -> bool {
    let held = house.vault.copy();
    // Another tenant's keys are another controller's matter.
    let foreign = |key: &store::DocKey| key.partition.as_str().contains("/t_b/");
    let mut ours = held.clone();
    ours.documents.retain(|key, _| !foreign(key));
    let mut places = ours.everything();
    for entry in std::fs::read_dir(house.folder.path()).unwrap() {
        places.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    places.push(house.export(audit, scope).await);
    places.iter().any(|place| holds(place, SUBJECT))
}

#[tokio::test]
async fn an_erased_subject_is_nowhere_and_every_proof_holds() {
    let house = House::new();
    let (audit, scope) = recorded(&house).await;
    assert!(
        found(&house, &audit, &scope).await,
        "the search finds what is there"
    );
    let mut receipts = Vec::new();
    for seq in 1..=6 {
        let seq = Seq::try_from(seq).unwrap();
        receipts.push(audit.receipt(&scope, seq, None).await.unwrap());
    }
    let erased = audit
        .erase(&scope, &SUBJECT.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(erased.keys, 1);
    assert!(matches!(erased.recorded, Recorded::Durable { .. }));
    audit.turn().await;
    for audit in [audit, house.open().await] {
        assert!(!found(&house, &audit, &scope).await);
        let entries = house.sound(&audit, &scope).await;
        for entry in &entries {
            let values = entry.opened.fields.values();
            let shown: Vec<&str> = values.map(|one| &*one.value).collect();
            assert!(!shown.contains(&SUBJECT) && !shown.contains(&EMAIL));
        }
        let others = entries.iter().filter(|one| one.opened.erased.is_empty());
        assert_eq!(
            others.count(),
            entries.len() - 3,
            "the others are as they were"
        );
        let told = entries
            .iter()
            .filter(|one| one.leaf.action.as_str() == "subject.erased");
        assert!(told.count() >= 1);
        // What was handed out before still verifies.
        for receipt in &receipts {
            verify::receipt(receipt, &house.trust(), None).unwrap();
        }
        let prod = house.scope("t_a", Env::Prod).await;
        let in_prod = house.sound(&audit, &prod).await;
        assert!(in_prod.iter().all(|one| !one.opened.erased.is_empty()));
        let elsewhere = house.scope("t_b", Env::Dev).await;
        let elsewhere = house.sound(&audit, &elsewhere).await;
        assert!(elsewhere.iter().all(|one| one.opened.erased.is_empty()));
    }
}

#[tokio::test]
async fn erasing_again_is_harmless_and_a_subject_may_come_back() {
    let house = House::new();
    let (audit, scope) = recorded(&house).await;
    let subject = SUBJECT.parse().unwrap();
    assert_eq!(audit.erase(&scope, &subject).await.unwrap().keys, 1);
    assert_eq!(audit.erase(&scope, &subject).await.unwrap().keys, 0);
    let unknown = "u_never".parse().unwrap();
    assert_eq!(audit.erase(&scope, &unknown).await.unwrap().keys, 0);
    let seq = put(&audit, event("t_a", Env::Dev, SUBJECT, 9)).await;
    audit.turn().await;
    let entries = house.sound(&audit, &scope).await;
    let back = &entries[usize::try_from(seq).unwrap() - 1];
    assert!(back.opened.erased.is_empty(), "under a new key");
    assert_eq!(audit.erase(&scope, &subject).await.unwrap().keys, 1);
}

#[tokio::test]
async fn a_hold_in_any_environment_forbids_it() {
    let house = House::new();
    let (audit, scope) = recorded(&house).await;
    let subject = SUBJECT.parse().unwrap();
    let prod = house.scope("t_a", Env::Prod).await;
    audit.set_hold(&prod, true).await.unwrap();
    audit.set_hold(&prod, true).await.unwrap();
    for audit in [Arc::clone(&audit), house.open().await] {
        let refused = audit.erase(&scope, &subject).await;
        assert!(matches!(refused, Err(EraseError::Held(Env::Prod))));
    }
    let audit = house.open().await;
    audit.turn().await;
    let receipt = audit.receipt(&prod, Seq::FIRST, None).await.unwrap();
    let verified = verify::receipt(&receipt, &house.trust(), None).unwrap();
    assert!(
        verified.anchored.head.flags.legal_hold,
        "the epoch tells of it"
    );
    audit.set_hold(&prod, false).await.unwrap();
    assert_eq!(audit.erase(&scope, &subject).await.unwrap().keys, 1);
    // Another tenant's hold is none of theirs.
    let other = house.scope("t_b", Env::Dev).await;
    audit.set_hold(&other, true).await.unwrap();
    assert!(audit.erase(&scope, &subject).await.is_ok());
}

/// Fails at each call in turn, is asked again, and is done.
#[tokio::test]
async fn an_erasure_that_fails_anywhere_is_finished_by_asking_again() {
    for fault in [Fault::Before, Fault::After] {
        for nth in 0.. {
            let house = House::new();
            let (audit, scope) = recorded(&house).await;
            let subject = SUBJECT.parse().unwrap();
            house.vault.fail_at(nth, fault, false);
            let first = audit.erase(&scope, &subject).await;
            let reached = house.vault.revive();
            audit.turn().await;
            let second = audit.erase(&scope, &subject).await.unwrap();
            audit.turn().await;
            assert!(!found(&house, &audit, &scope).await, "{fault:?} {nth}");
            // Every key that is gone is named by a record.
            let named: String = all(&audit, &scope)
                .await
                .iter()
                .filter(|one| one.leaf.action.as_str() == "subject.erased")
                .filter_map(|one| one.leaf.metadata.get("keys").map(ToString::to_string))
                .collect();
            assert!(named.contains('"'), "{fault:?} {nth}: {named}");
            drop((first, second));
            house.sound(&audit, &scope).await;
            if !reached {
                assert!(nth > 5, "{nth}");
                break;
            }
        }
    }
}

/// Records that wait may hold keys of the subject, so it is refused until they are in place.
#[tokio::test]
async fn nothing_is_erased_while_records_of_the_tenant_wait() {
    let house = House::new();
    let (audit, scope) = recorded(&house).await;
    let (other, subject) = (house.scope("t_b", Env::Dev).await, SUBJECT.parse().unwrap());
    house.vault.set_down(true);
    let _ = audit.record(event("t_a", Env::Dev, "u_new", 5)).await;
    house.vault.revive();
    let refused = audit.erase(&scope, &subject).await;
    assert!(matches!(
        refused,
        Err(EraseError::Store(StoreError::Unavailable(_)))
    ));
    assert_eq!(
        audit.erase(&other, &subject).await.unwrap().keys,
        1,
        "another tenant's"
    );
    audit.turn().await;
    assert_eq!(audit.erase(&scope, &subject).await.unwrap().keys, 1);
}
