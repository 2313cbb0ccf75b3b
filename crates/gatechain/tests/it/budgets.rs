//! Budgets: never above the limit, and nothing lost.

use std::{sync::Arc, time::Duration};

use identity::Precondition;
use serde_json::json;
use tenantry_gatechain::{Explanation, LEASE};

use crate::house::{Card, House, batch, row_id};

const LIMIT: u64 = 1000;
const PRICE: u64 = 10;

#[tokio::test]
async fn a_write_is_paid_for_once_and_a_dropped_permit_is_not() {
    let house = House::new();
    let scope = house.tenant().await;
    house.budget(&scope, "b", 25, PRICE).await;
    let permit = house.admit(&scope, Card::new("c_1")).await.unwrap();
    assert_eq!(house.spending(&scope, "b").await, (0, 10));
    drop(permit);
    assert_eq!(house.spending(&scope, "b").await, (0, 0));
    house.write(&scope, Card::new("c_1")).await.unwrap();
    assert_eq!(house.spending(&scope, "b").await, (10, 0));
    let kept = house.admit(&scope, Card::new("c_2")).await.unwrap();
    assert_eq!(
        house.answer(&scope, Card::new("c_3")).await,
        "budget_exceeded"
    );
    assert_eq!(
        house.answer(&scope, Card::new("c_3").costing(5)).await,
        "ok"
    );
    drop(kept);
    assert_eq!(
        house.answer(&scope, Card::new("c_3").costing(16)).await,
        "budget_exceeded"
    );
    house
        .write(&scope, Card::new("c_3").costing(15))
        .await
        .unwrap();
    assert_eq!(house.spending(&scope, "b").await, (25, 0));
    // What costs nothing passes.
    assert_eq!(
        house.answer(&scope, Card::new("c_4").costing(0)).await,
        "ok"
    );
}

#[tokio::test]
async fn every_budget_that_covers_a_write_pays_or_none_does() {
    let house = House::new();
    let (operator, scope) = (house.operator().await, house.tenant().await);
    house.budget(&scope, "large", 100, PRICE).await;
    house.budget(&operator, "small", 15, PRICE).await;
    house.write(&scope, Card::new("c_1")).await.unwrap();
    assert_eq!(
        house.answer(&scope, Card::new("c_2")).await,
        "budget_exceeded"
    );
    assert_eq!(house.spending(&scope, "large").await, (10, 0));
    // The system's row bounds each tenant by itself.
    let other = house.world.scope("t_b", identity::Env::Dev, "u_b").await;
    assert_eq!(house.answer(&other, Card::new("c_1")).await, "ok");
    assert_eq!(house.spending(&operator, "small").await, (0, 0));
}

#[tokio::test]
async fn a_new_window_begins_anew_and_a_new_limit_counts_at_once() {
    let house = House::new();
    let scope = house.tenant().await;
    let daily = |limit: u64| {
        let row = json!({"action": "*", "limit_micros": limit, "price_micros": 10, "window": "day", "counter": ""});
        serde_json::from_value::<tenantry_gatechain::BudgetRow>(row).unwrap()
    };
    let (id, any) = (row_id("b"), Precondition::Any);
    let put = |limit| house.gates.put(&scope, &id, daily(limit), &any);
    put(10).await.unwrap();
    house.write(&scope, Card::new("c_1")).await.unwrap();
    assert_eq!(
        house.answer(&scope, Card::new("c_2")).await,
        "budget_exceeded"
    );
    put(20).await.unwrap();
    house.write(&scope, Card::new("c_2")).await.unwrap();
    put(15).await.unwrap();
    assert_eq!(
        house.answer(&scope, Card::new("c_3")).await,
        "budget_exceeded"
    );
    assert_eq!(house.spending(&scope, "b").await, (20, 0));
    house.world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(house.spending(&scope, "b").await, (0, 0));
    house.write(&scope, Card::new("c_3")).await.unwrap();
    assert_eq!(house.spending(&scope, "b").await, (10, 0));
}

/// Two processes with 64 spenders each on one budget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_spenders_never_overspend_and_leave_nothing_unspent() {
    let one = Arc::new(House::new());
    let two = Arc::new(one.beside());
    let scope = one.tenant().await;
    one.budget(&scope, "b", LIMIT, PRICE).await;
    let mut spenders = Vec::new();
    for spender in 0..128 {
        let house = if spender % 2 == 0 {
            one.clone()
        } else {
            two.clone()
        };
        let scope = one.tenant().await;
        spenders.push(tokio::spawn(async move {
            let mut written = 0;
            for n in 0..4 {
                // Some give up what they reserved.
                if (spender + n) % 5 == 0 {
                    drop(house.admit(&scope, Card::new("never")).await);
                }
                let card = Card::new(format!("c_{spender}_{n}"));
                match house.write(&scope, card).await {
                    Ok(_) => written += 1,
                    Err(denied) => assert_eq!(denied.refusal.code.as_str(), "budget_exceeded"),
                }
            }
            written
        }));
    }
    let mut written = 0;
    for spender in spenders {
        written += spender.await.unwrap();
    }
    assert!(written <= LIMIT / PRICE, "{written} writes were paid for");
    // What a node holds without using it is given back, and then all of it can be spent.
    one.world.clock.advance(Duration::from_secs(2));
    one.gates.turn().await;
    two.gates.turn().await;
    assert_eq!(one.spending(&scope, "b").await, (written * PRICE, 0));
    for n in written..LIMIT / PRICE {
        one.write(&scope, Card::new(format!("rest_{n}")))
            .await
            .unwrap();
    }
    assert_eq!(one.answer(&scope, Card::new("c")).await, "budget_exceeded");
    assert_eq!(one.spending(&scope, "b").await, (LIMIT, 0));
}

#[tokio::test]
async fn a_stopped_process_keeps_nothing_beyond_its_lease() {
    let dead = House::new();
    let alive = dead.beside();
    let scope = dead.tenant().await;
    dead.budget(&scope, "b", 10, PRICE).await;
    let permit = dead.admit(&scope, Card::new("c_1")).await.unwrap();
    assert_eq!(
        alive.answer(&scope, Card::new("c_2")).await,
        "budget_exceeded"
    );
    assert_eq!(alive.spending(&scope, "b").await, (0, 10));
    alive.world.clock.advance(LEASE);
    assert_eq!(alive.spending(&scope, "b").await, (0, 0));
    alive.write(&scope, Card::new("c_2")).await.unwrap();
    // The dead rises: what it held is gone, and so is the budget.
    let batch = batch(&scope, permit.mutation());
    let refused = permit.commit(batch).await.err().unwrap();
    assert!(refused.to_string().contains("budget"), "{refused}");
    assert_eq!(alive.spending(&scope, "b").await, (10, 0));
}

#[tokio::test]
async fn a_busy_budget_is_spent_from_slices() {
    let house = House::new();
    let scope = house.tenant().await;
    house.budget(&scope, "b", 1_000_000, PRICE).await;
    let mut counters = std::collections::HashSet::new();
    for n in 0..200 {
        house
            .write(&scope, Card::new(format!("c_{n}")))
            .await
            .unwrap();
        let partition = store::Partition::in_scope(&scope, "gate_budgets");
        let listing = store::Listing {
            limit: 1000,
            ..Default::default()
        };
        let documents = house.documents.list(&partition, &listing).await.unwrap();
        let counter = documents
            .iter()
            .find(|document| document.id.matches('/').count() == 1);
        counters.insert(counter.unwrap().version.0);
    }
    assert!(
        counters.len() < 20,
        "the counter was written {} times",
        counters.len()
    );
    let (spent, _) = house.spending(&scope, "b").await;
    assert_eq!(spent, 200 * PRICE);
}

#[tokio::test]
async fn explaining_and_refusing_move_no_counter() {
    let house = House::new();
    let scope = house.tenant().await;
    house.budget(&scope, "b", 5, PRICE).await;
    let partition = store::Partition::in_scope(&scope, "gate_budgets");
    let asked = Explanation {
        action: "nexus.cards.create".into(),
        ..Explanation::default()
    };
    for _ in 0..3 {
        assert_eq!(
            house.answer(&scope, Card::new("c_1")).await,
            "budget_exceeded"
        );
        let cheap = Explanation {
            cost_micros: Some(5),
            ..asked.clone()
        };
        assert!(!house.gates.explain(&scope, &asked).await.unwrap().allows());
        assert!(house.gates.explain(&scope, &cheap).await.unwrap().allows());
    }
    let listing = store::Listing {
        limit: 10,
        ..Default::default()
    };
    assert!(
        house
            .documents
            .list(&partition, &listing)
            .await
            .unwrap()
            .is_empty()
    );
}
