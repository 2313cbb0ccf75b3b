//! Rows: put, read, listed, deleted; bounded.

use identity::Precondition;
use serde_json::json;
use tenantry_gatechain::{BUDGETS_MAX, BudgetRow, GateError, KillSwitch, ROWS_MAX, RowKind};

use crate::house::{House, row_id};

fn switch(action: &str) -> KillSwitch {
    serde_json::from_value(json!({"action": action, "reason": "stop"})).unwrap()
}

#[tokio::test]
async fn a_row_is_changed_in_the_state_that_the_caller_names() {
    let house = House::new();
    let scope = house.tenant().await;
    let (gates, id) = (&house.gates, row_id("k"));
    let missing = gates
        .put(&scope, &id, switch("*"), &Precondition::Exists)
        .await;
    assert_eq!(missing.unwrap_err(), GateError::Stale);
    let (made, is_new) = gates
        .put(&scope, &id, switch("*"), &Precondition::Any)
        .await
        .unwrap();
    assert!(is_new);
    let named = Precondition::OneOf(vec![made.version.0]);
    let (replaced, is_new) = gates.put(&scope, &id, switch("a.*"), &named).await.unwrap();
    assert!(!is_new);
    assert_eq!(gates.find(&scope, &id).await.unwrap(), Some(replaced));
    let stale = gates.put(&scope, &id, switch("b"), &named).await;
    assert_eq!(stale.unwrap_err(), GateError::Stale);
    let kind = RowKind::KillSwitches;
    assert_eq!(
        gates.delete(&scope, kind, &id, &named).await,
        Err(GateError::Stale)
    );
    gates
        .delete(&scope, kind, &id, &Precondition::Any)
        .await
        .unwrap();
    let gone = gates.delete(&scope, kind, &id, &Precondition::Any).await;
    assert_eq!(gone, Err(GateError::NotFound));
    assert_eq!(gates.find::<KillSwitch>(&scope, &id).await.unwrap(), None);
}

#[tokio::test]
async fn lists_come_in_pages_of_one_kind() {
    let house = House::new();
    let scope = house.tenant().await;
    for id in ["a", "b", "c"] {
        house.stop(&scope, id, "*").await;
    }
    house.budget(&scope, "b", 1, 1).await;
    let page = |after: Option<&str>| {
        let after = after.map(row_id);
        let (gates, scope) = (&house.gates, &scope);
        async move {
            gates
                .list::<KillSwitch>(scope, after.as_ref(), 2)
                .await
                .unwrap()
        }
    };
    let first = page(None).await;
    let ids = |listed: &tenantry_gatechain::Listed<KillSwitch>| -> Vec<String> {
        listed.items.iter().map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!(
        (ids(&first), first.next),
        (vec!["a".into(), "b".into()], Some(row_id("b")))
    );
    let last = page(Some("b")).await;
    assert_eq!((ids(&last), last.next), (vec!["c".into()], None));
}

#[tokio::test]
async fn levels_are_bounded() {
    let house = House::new();
    let scope = house.tenant().await;
    for n in 0..BUDGETS_MAX {
        house.budget(&scope, &format!("b{n}"), 1, 1).await;
    }
    let row = json!({"action": "*", "limit_micros": 1, "price_micros": 1, "window": "day", "counter": ""});
    let row: BudgetRow = serde_json::from_value(row).unwrap();
    let more = house
        .gates
        .put(&scope, &row_id("more"), row, &Precondition::Any)
        .await;
    assert!(matches!(more, Err(GateError::Limit(_))));
    for n in BUDGETS_MAX..ROWS_MAX {
        house.stop(&scope, &format!("k{n}"), "a").await;
    }
    let more = house
        .gates
        .put(&scope, &row_id("more"), switch("a"), &Precondition::Any)
        .await;
    assert!(matches!(more, Err(GateError::Limit(_))));
    // One can be replaced, and deleted.
    house.stop(&scope, "k20", "b").await;
    let kind = RowKind::KillSwitches;
    house
        .gates
        .delete(&scope, kind, &row_id("k20"), &Precondition::Any)
        .await
        .unwrap();
    house.stop(&scope, "more", "a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_all_count() {
    let house = std::sync::Arc::new(House::new());
    let mut changes = Vec::new();
    for n in 0..16 {
        let house = house.clone();
        let scope = house.tenant().await;
        changes.push(tokio::spawn(async move {
            house.stop(&scope, &format!("k{n}"), "*").await;
        }));
    }
    for change in changes {
        change.await.unwrap();
    }
    let scope = house.tenant().await;
    let listed = house
        .gates
        .list::<KillSwitch>(&scope, None, 100)
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 16);
    assert!(house.gates.damaged(&scope).await.unwrap().is_empty());
}
