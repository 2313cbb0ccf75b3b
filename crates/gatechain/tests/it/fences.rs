//! No write commits on what has changed.

use std::sync::Arc;

use identity::{Env, Precondition};
use store::{Batch, DocKey, Partition};
use tenantry_gatechain::{CommitRefused, Credentials, PERMIT_AGE_MAX};

use crate::house::{Card, House, Shadow, batch, key, row_id};

const ROUNDS: usize = 200;
const WRITERS: usize = 32;
/// A writer that has written so often was not stopped.
const WRITES_MAX: usize = 5_000;

/// The history check: while 32 writers write, a kill switch commits. No write has a later version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_commits_after_a_kill_switch_did() {
    let (mut written, mut stopped) = (0, 0);
    for round in 0..ROUNDS {
        let house = Arc::new(House::new());
        // Half of the writers are on a node that does not hear of changes.
        let beside = Arc::new(house.beside());
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let house = if writer % 2 == 0 {
                house.clone()
            } else {
                beside.clone()
            };
            let scope = house.tenant().await;
            writers.push(tokio::spawn(async move {
                let mut versions = Vec::new();
                for n in 0..WRITES_MAX {
                    let card = Card::new(format!("c_{writer}_{n}"));
                    match house.write(&scope, card).await {
                        Ok(committed) => versions.push(committed.version.0),
                        Err(denied) => {
                            assert_eq!(denied.refusal.code.as_str(), "kill_switch_engaged");
                            return versions;
                        }
                    }
                    tokio::task::yield_now().await;
                }
                panic!("the switch does not stop this writer");
            }));
        }
        let level = if round % 2 == 0 {
            house.operator().await
        } else {
            house.tenant().await
        };
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        let row = serde_json::from_value(serde_json::json!({"action": "*", "reason": "stop"}));
        let row: tenantry_gatechain::KillSwitch = row.unwrap();
        let (id, any) = (row_id("k"), Precondition::Any);
        let (stop, _) = house.gates.put(&level, &id, row, &any).await.unwrap();
        for writer in writers {
            for version in writer.await.unwrap() {
                written += 1;
                assert!(
                    version < stop.version.0,
                    "a write committed after the switch"
                );
            }
            stopped += 1;
        }
    }
    assert_eq!(stopped, ROUNDS * WRITERS);
    assert!(written > ROUNDS, "hardly anything was written: {written}");
}

#[tokio::test]
async fn a_permit_is_worth_what_the_gates_say_when_it_commits() {
    let house = House::new();
    let other = house.beside();
    let scope = house.tenant().await;
    for level in [house.tenant().await, house.operator().await] {
        let permit = house.admit(&scope, Card::new("c_1")).await.unwrap();
        other.stop(&level, "k", "nexus.cards.*").await;
        let batch = batch(&scope, permit.mutation());
        let refused = permit.commit(batch).await.err().unwrap();
        let CommitRefused::Denied(denied) = refused else {
            panic!("{refused}")
        };
        assert_eq!(denied.refusal.code.as_str(), "kill_switch_engaged");
        let kind = tenantry_gatechain::RowKind::KillSwitches;
        let any = Precondition::Any;
        other
            .gates
            .delete(&level, kind, &row_id("k"), &any)
            .await
            .unwrap();
        house.world.clock.advance(tenantry_gatechain::FRESH_MAX);
    }
    let key = key(&scope, "c_1");
    assert_eq!(house.documents.get(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_change_that_still_allows_lets_the_write_through() {
    let house = House::new();
    let scope = house.tenant().await;
    let permit = house.admit(&scope, Card::new("c_1")).await.unwrap();
    let first = permit.decision_id().to_owned();
    house.stop(&scope, "k", "media.*").await;
    let batch = batch(&scope, permit.mutation());
    let committed = permit.commit(batch).await.unwrap();
    assert_ne!(committed.decision_id, first, "it was decided anew");
    assert_eq!(house.decisions.all().len(), 2);
}

#[tokio::test]
async fn an_old_permit_is_decided_anew() {
    let house = House::new();
    let scope = house.tenant().await;
    let row = serde_json::json!({"action": "*", "floor": 1.0, "max_age_s": 3});
    house.put::<tenantry_gatechain::Kpi>(&scope, "s", row).await;
    house
        .gates
        .observe(&scope, &row_id("s"), 2.0, None)
        .await
        .unwrap();
    let permit = house.admit(&scope, Card::new("c_1")).await.unwrap();
    house.world.clock.advance(PERMIT_AGE_MAX * 2);
    let batch = batch(&scope, permit.mutation());
    let refused = permit.commit(batch).await.err().unwrap();
    assert!(
        matches!(refused, CommitRefused::Denied(denied) if denied.refusal.code.as_str() == "kpi_stale")
    );
}

#[tokio::test]
async fn what_is_in_the_writers_own_way_is_told_to_the_writer() {
    let house = House::new();
    let scope = house.tenant().await;
    house.write(&scope, Card::new("c_1")).await.unwrap();
    let refused = house
        .try_write(&scope, Card::new("c_1"))
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, CommitRefused::Conflict(key) if key.id == "c_1"));
}

#[tokio::test]
async fn a_permit_writes_at_home_and_not_into_the_gates() {
    let house = House::new();
    let scope = house.tenant().await;
    let elsewhere = [
        house.world.scope("t_b", Env::Dev, "u_b").await,
        house.world.scope("t_a", Env::Prod, "u_owner").await,
    ];
    let mut keys: Vec<DocKey> = elsewhere.iter().map(|scope| key(scope, "c_1")).collect();
    for kind in ["gates", "gate_budgets", "gate_approvals"] {
        keys.push(DocKey::new(&Partition::in_scope(&scope, kind), "fence"));
    }
    for key in keys {
        let permit = house.admit(&scope, Card::new("c_1")).await.unwrap();
        let refused = permit.commit(Batch::new().put(&key, b"x".to_vec())).await;
        assert!(matches!(refused, Err(CommitRefused::Foreign)), "{key:?}");
        assert_eq!(house.documents.get(&key).await.unwrap(), None);
    }
}

#[tokio::test]
async fn in_shadow_mode_refusals_are_recorded_and_nothing_is_counted() {
    let house = House::new();
    let scope = house.tenant().await;
    house.budget(&scope, "b", 10, 10).await;
    house.stop(&scope, "k", "*").await;
    let shadow = House::on(
        house.world.clone(),
        house.documents.clone(),
        Arc::new(Shadow),
    );
    let permit = shadow
        .gates
        .admit(&scope, Card::new("c_1"), Credentials::default())
        .await;
    let permit = permit.unwrap();
    assert!(permit.is_shadowed());
    let batch = batch(&scope, permit.mutation());
    permit.commit(batch).await.unwrap();
    let decisions = shadow.decisions.all();
    let (gate, _) = decisions[0].refusal().unwrap();
    assert_eq!(
        (gate, decisions.len()),
        (tenantry_gatechain::Gate::KillSwitch, 1)
    );
    let kind = tenantry_gatechain::RowKind::KillSwitches;
    house
        .gates
        .delete(&scope, kind, &row_id("k"), &Precondition::Any)
        .await
        .unwrap();
    shadow.world.clock.advance(tenantry_gatechain::FRESH_MAX);
    for id in ["c_2", "c_3"] {
        let committed = shadow.write(&scope, Card::new(id)).await.unwrap();
        assert!(!committed.decision_id.is_empty());
    }
    assert_eq!(house.spending(&scope, "b").await, (0, 0));
}
