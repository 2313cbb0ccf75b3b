//! A store that was put back from a backup goes on under another name, and under no other.

use identity::Env;
use tenantry_audit::{Seq, TrustFile, verify};

use super::house::{House, event, put};
use crate::world::ORIGIN;

const SUCCESSOR: &str = "audit.example.com/second";

fn trust_in(house: &House) -> TrustFile {
    TrustFile {
        origin: house.origin.to_owned(),
        keys: house.signers().verifier_keys().to_vec(),
        tenant: None,
        env: None,
        slot: None,
    }
}

/// A house whose store was put back, one epoch older than its anchor.
async fn put_back() -> House {
    let house = House::new();
    let audit = house.open().await;
    put(&audit, event("t_a", Env::Prod, "u_1", 1)).await;
    audit.turn().await;
    let backup = house.vault.copy();
    put(&audit, event("t_a", Env::Prod, "u_1", 2)).await;
    audit.turn().await;
    drop(audit);
    house.vault.put_back(backup);
    house
}

#[tokio::test]
async fn a_successor_continues_the_log_and_signs_in_its_own_name() {
    let mut house = put_back().await;
    assert!(house.try_open().await.unwrap().frozen().is_some());

    let before = trust_in(&house);
    house.predecessors = vec![before];
    (house.origin, house.signing) = (SUCCESSOR, 3);
    let audit = house.open().await;
    put(&audit, event("t_a", Env::Prod, "u_1", 3)).await;
    audit.turn().await;
    let note = audit.checkpoint().unwrap();
    assert!(note.starts_with(SUCCESSOR) && !note.contains(ORIGIN));
    let scope = house.scope("t_a", Env::Prod).await;
    assert_eq!(house.sound(&audit, &scope).await.len(), 2);
    let receipt = audit.receipt(&scope, Seq::FIRST, Some(1)).await;
    let receipt = receipt.unwrap();
    assert!(verify::receipt(&receipt, &house.trust(), None).is_ok());

    // It needs its predecessor no more, once it has signed.
    drop(audit);
    house.predecessors.clear();
    house.open().await;
}

#[tokio::test]
async fn nobody_else_succeeds_a_log() {
    let mut house = put_back().await;
    let mut stranger = trust_in(&house);
    stranger.keys = crate::world::signers(99).verifier_keys().to_vec();
    (house.origin, house.signing) = (SUCCESSOR, 3);
    for predecessors in [vec![], vec![stranger]] {
        house.predecessors = predecessors;
        let audit = house.try_open().await.unwrap();
        assert!(audit.frozen().is_some());
    }
}
