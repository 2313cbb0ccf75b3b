//! What is damaged denies, and never panics.

use bytes::Bytes;
use identity::{Precondition, Scope};
use proptest::prelude::*;
use serde_json::json;
use store::{Batch, DocKey, Document, Listing, Partition};
use tenantry_gatechain::{Explanation, FirearmRow, Kpi, RowKind, StrategyLock, Temperature};

use crate::house::{Card, House, row_id};

/// A house whose every gate has a row that stops this card, and nothing but that.
async fn shut(house: &House, scope: &Scope) {
    house.stop(scope, "k", "nexus.cards.create").await;
    let about = json!({"kind": "requirement", "action": "nexus.cards.create"});
    house.put::<FirearmRow>(scope, "f", about).await;
    let row = json!({"action": "nexus.cards.create", "reason": "x"});
    house.put::<StrategyLock>(scope, "l", row).await;
    let row = json!({"action": "nexus.cards.create", "floor": 1.0, "max_age_s": 60});
    house.put::<Kpi>(scope, "s", row).await;
    house
        .gates
        .observe(scope, &row_id("s"), 0.0, None)
        .await
        .unwrap();
    let row = json!({"action": "nexus.cards.create", "ceiling": 1.0, "half_life_s": 60});
    house.put::<Temperature>(scope, "t", row).await;
    house.gates.heat(scope, &row_id("t"), 9.0).await.unwrap();
}

async fn rows(house: &House, scope: &Scope) -> (Partition, Vec<Document>) {
    let partition = Partition::in_scope(scope, "gates");
    let listing = Listing {
        limit: 1000,
        ..Listing::default()
    };
    let documents = house.documents.list(&partition, &listing).await.unwrap();
    (partition, documents)
}

async fn overwrite(house: &House, partition: &Partition, id: &str, value: Vec<u8>) {
    let key = DocKey::new(partition, id);
    house
        .documents
        .commit(Batch::new().put(&key, Bytes::from(value)))
        .await
        .unwrap();
    house.world.clock.advance(tenantry_gatechain::FRESH_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Whichever documents are damaged in whatever way: the card is denied by each
    /// gate that denied it, and nobody panics.
    #[test]
    fn randomly_damaged_rows_never_allow(
        picks in proptest::collection::vec((any::<prop::sample::Index>(), damage()), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            let scope = house.tenant().await;
            shut(&house, &scope).await;
            let (partition, documents) = rows(&house, &scope).await;
            for (index, damage) in &picks {
                let document = index.get(&documents);
                let value = damage.of(&document.value);
                overwrite(&house, &partition, &document.id, value).await;
            }
            let asked = Explanation { action: "nexus.cards.create".into(), ..Explanation::default() };
            let explained = house.gates.explain(&scope, &asked).await.unwrap();
            let closed: Vec<bool> = explained.verdicts.iter().map(|one| one.refusal.is_some()).collect();
            let fence_stands = closed[1..3].iter().chain(&closed[4..6]).all(|closed| *closed);
            // A damaged fence makes every row one that may be about anything.
            prop_assert!(closed[0] && fence_stands, "{closed:?}");
            prop_assert_ne!(house.answer(&scope, Card::new("c_1")).await, "ok");
            Ok(())
        })?;
    }
}

/// Every gate has a row that lets pass; then no byte of any row or state can be another
/// without its gate refusing.
#[tokio::test]
async fn every_flipped_byte_of_what_lets_pass_denies() {
    let house = House::new();
    let scope = house.tenant().await;
    let row = json!({"kind": "requirement", "action": "nexus.*"});
    house.put::<FirearmRow>(&scope, "need", row).await;
    let row = json!({"kind": "licence", "action": "nexus.*", "subject": "u_owner", "uses": 5});
    house.put::<FirearmRow>(&scope, "have", row).await;
    let row = json!({"action": "nexus.*", "floor": 1.0, "max_age_s": 86400});
    house.put::<Kpi>(&scope, "s", row).await;
    let row = json!({"action": "nexus.*", "ceiling": 5.0, "half_life_s": 60});
    house.put::<Temperature>(&scope, "t", row).await;
    house.budget(&scope, "b", 100, 10).await;
    house
        .gates
        .observe(&scope, &row_id("s"), 2.0, None)
        .await
        .unwrap();
    house.write(&scope, Card::new("c_1")).await.unwrap();
    house.gates.heat(&scope, &row_id("t"), 1.0).await.unwrap();
    assert_eq!(house.answer(&scope, Card::new("c_2")).await, "ok");
    let (partition, documents) = rows(&house, &scope).await;
    assert_eq!(documents.len(), 9, "the fence, five rows, three states");
    for document in &documents {
        for at in 0..document.value.len() {
            let mut value = document.value.to_vec();
            value[at] ^= 1;
            overwrite(&house, &partition, &document.id, value).await;
            let answer = house.answer(&scope, Card::new("c_2")).await;
            assert_ne!(answer, "ok", "{} at {at}", document.id);
        }
        overwrite(&house, &partition, &document.id, document.value.to_vec()).await;
        assert_eq!(house.answer(&scope, Card::new("c_2")).await, "ok");
    }
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Other(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<prop::sample::Index>(), 1..=255_u8).prop_map(|(at, by)| Damage::Flip(at, by)),
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        proptest::collection::vec(any::<u8>(), 0..64).prop_map(Damage::Other),
    ]
}

impl Damage {
    fn of(&self, value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        match self {
            Self::Flip(at, by) if !value.is_empty() => {
                let at = at.index(value.len());
                value[at] ^= by;
            }
            Self::Flip(..) => {}
            Self::Cut(at) => value.truncate(at.index(value.len().max(1))),
            Self::Other(other) => value.clone_from(other),
        }
        value
    }
}

#[tokio::test]
async fn a_damaged_row_denies_what_it_was_about_and_says_which() {
    let house = House::new();
    let scope = house.tenant().await;
    house.stop(&scope, "broken", "nexus.cards.*").await;
    let (partition, _) = rows(&house, &scope).await;
    overwrite(
        &house,
        &partition,
        "row/kill-switches/broken",
        b"{}".to_vec(),
    )
    .await;
    let denied = house.admit(&scope, Card::new("c_1")).await.err().unwrap();
    assert_eq!(denied.refusal.code.as_str(), "gate_state_invalid");
    assert_eq!(
        denied.refusal.row.unwrap().to_string(),
        "tenant/kill-switches/broken"
    );
    let explain = |action: &'static str| Explanation {
        action: action.into(),
        ..Explanation::default()
    };
    let elsewhere = house
        .gates
        .explain(&scope, &explain("media.publish"))
        .await
        .unwrap();
    assert!(elsewhere.allows(), "{elsewhere:?}");
    let other = house.world.scope("t_b", identity::Env::Dev, "u_b").await;
    assert_eq!(house.answer(&other, Card::new("c_1")).await, "ok");
    assert_eq!(
        house.gates.damaged(&scope).await.unwrap(),
        ["kill-switches/broken"]
    );
    // It can be deleted without being read.
    let kind = RowKind::KillSwitches;
    house
        .gates
        .delete(&scope, kind, &row_id("broken"), &Precondition::Any)
        .await
        .unwrap();
    assert_eq!(house.answer(&scope, Card::new("c_1")).await, "ok");
}

#[tokio::test]
async fn a_row_that_is_gone_or_was_moved_is_missed() {
    let house = House::new();
    let scope = house.tenant().await;
    house.stop(&scope, "k", "nexus.*").await;
    house.stop(&scope, "other", "media.*").await;
    let (partition, documents) = rows(&house, &scope).await;
    let key = DocKey::new(&partition, "row/kill-switches/k");
    house
        .documents
        .commit(Batch::new().delete(&key))
        .await
        .unwrap();
    house.world.clock.advance(tenantry_gatechain::FRESH_MAX);
    assert_eq!(
        house.answer(&scope, Card::new("c_1")).await,
        "gate_state_invalid"
    );
    let other = documents
        .iter()
        .find(|one| one.id.ends_with("other"))
        .unwrap();
    overwrite(&house, &partition, &key.id, other.value.to_vec()).await;
    assert_eq!(
        house.answer(&scope, Card::new("c_1")).await,
        "gate_state_invalid"
    );
}

#[tokio::test]
async fn a_damaged_fence_is_mended_by_the_next_change() {
    let house = House::new();
    let scope = house.tenant().await;
    house.stop(&scope, "k", "media.*").await;
    house.stop(&scope, "l", "chat.*").await;
    let (partition, _) = rows(&house, &scope).await;
    overwrite(&house, &partition, "fence", b"?".to_vec()).await;
    assert_eq!(
        house.answer(&scope, Card::new("c_1")).await,
        "gate_state_invalid"
    );
    let kind = RowKind::KillSwitches;
    house
        .gates
        .delete(&scope, kind, &row_id("k"), &Precondition::Any)
        .await
        .unwrap();
    assert_eq!(house.answer(&scope, Card::new("c_1")).await, "ok");
    let asked = Explanation {
        action: "chat.post".into(),
        ..Explanation::default()
    };
    assert!(!house.gates.explain(&scope, &asked).await.unwrap().allows());
}

#[tokio::test]
async fn a_damaged_counter_denies_and_names_its_budget() {
    let house = House::new();
    let scope = house.tenant().await;
    house.budget(&scope, "b", 100, 10).await;
    house.write(&scope, Card::new("c_1")).await.unwrap();
    house.world.clock.advance(tenantry_gatechain::LEASE);
    let partition = Partition::in_scope(&scope, "gate_budgets");
    let listing = Listing {
        limit: 10,
        ..Listing::default()
    };
    for document in house.documents.list(&partition, &listing).await.unwrap() {
        overwrite(
            &house,
            &partition,
            &document.id,
            b"0000000000000000 {}".to_vec(),
        )
        .await;
    }
    let denied = house.admit(&scope, Card::new("c_2")).await.err().unwrap();
    assert_eq!(denied.refusal.code.as_str(), "gate_state_invalid");
    assert_eq!(denied.refusal.row.unwrap().to_string(), "tenant/budgets/b");
}
