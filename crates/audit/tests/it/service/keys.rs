//! Secrets that change: signing keys are rotated, the wrapping key is another one.

use std::sync::Arc;

use identity::Env;
use store::StoreError;
use tenantry_audit::{Seq, Trust, TrustFile, service::ReadError, verify};

use super::house::{House, event, put};
use crate::world::{self, ORIGIN};

fn trusting(seeds: &[u64]) -> Trust {
    let keys = seeds
        .iter()
        .flat_map(|seed| world::signers(*seed).verifier_keys().to_vec());
    Trust::new(TrustFile {
        origin: ORIGIN.to_owned(),
        keys: keys.collect(),
        tenant: None,
        env: None,
        slot: None,
    })
    .unwrap()
}

#[tokio::test]
async fn a_new_signing_key_goes_on_where_the_former_one_ended() {
    let mut house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let audit = house.open().await;
    put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
    audit.turn().await;
    let old = audit.receipt(&scope, Seq::FIRST, None).await.unwrap();
    house.former_keys = house.signers().verifier_keys().to_vec();
    house.signing = 77;
    let audit = house.open().await;
    put(&audit, event("t_a", Env::Dev, "u_1", 1)).await;
    audit.turn().await;
    assert_eq!(house.epochs(&audit), 2);
    let new = audit.receipt(&scope, Seq::FIRST, Some(1)).await.unwrap();
    let (former, present, both) = (trusting(&[2]), trusting(&[77]), trusting(&[2, 77]));
    verify::receipt(&old, &former, None).unwrap();
    let known = verify::receipt(&old, &both, None)
        .unwrap()
        .anchored
        .checkpoint;
    verify::receipt(&new, &both, Some(&known)).unwrap();
    verify::receipt(&new, &present, None).unwrap();
    assert!(verify::receipt(&new, &former, None).is_err());
    assert!(verify::receipt(&old, &present, None).is_err());
    assert_eq!(house.sound(&audit, &scope).await.len(), 2);
}

/// A key that nobody named is not believed, and does not sign over what it cannot read.
#[tokio::test]
async fn a_foreign_signing_key_signs_nothing() {
    let mut house = House::new();
    let audit = house.open().await;
    put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
    audit.turn().await;
    let before = house.vault.copy();
    house.signing = 77;
    for anchored in [true, false] {
        house.anchored = anchored;
        let audit = house.try_open().await.unwrap();
        assert!(audit.frozen().is_some());
        let _ = audit.record(event("t_a", Env::Dev, "u_1", 1)).await;
        audit.turn().await;
        assert_eq!(audit.checkpoint(), None);
        let after = house.vault.copy();
        let latest = after.keys_of("audit-epochs");
        let latest = latest.iter().find(|key| key.id == "latest").unwrap();
        assert_eq!(before.documents[latest], after.documents[latest]);
    }
}

/// With the wrong wrapping key nothing counts as erased: it is a fault, and says so.
#[tokio::test]
async fn a_wrong_wrapping_key_is_no_erasure() {
    let mut house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let audit = house.open().await;
    put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
    audit.turn().await;
    house.wrapping = 10;
    let audit = house.open().await;
    let read = audit.entry(&scope, Seq::FIRST).await;
    assert!(matches!(
        read,
        Err(ReadError::Store(StoreError::Corrupt(_)))
    ));
    assert_eq!(audit.frozen(), None, "the records are as they were");
    // What comes now is sealed under keys of its own, and erasure destroys those and the old.
    let seq = put(&audit, event("t_a", Env::Dev, "u_1", 1)).await;
    let entry = audit.entry(&scope, Seq::try_from(seq).unwrap()).await;
    assert!(entry.unwrap().unwrap().opened.erased.is_empty());
    let erased = audit.erase(&scope, &"u_1".parse().unwrap()).await.unwrap();
    assert_eq!(erased.keys, 2);
    house.wrapping = 9;
    let audit = Arc::clone(&house.open().await);
    let entry = audit.entry(&scope, Seq::FIRST).await.unwrap().unwrap();
    assert!(!entry.opened.erased.is_empty());
}
