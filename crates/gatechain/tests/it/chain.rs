//! The order of the gates, and that the first refusal decides.

use std::time::Duration;

use identity::Precondition;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use tenantry_gatechain::{
    Explanation, FirearmRow, Gate, KillSwitch, Kpi, StrategyLock, Temperature,
};

use crate::house::{Card, House, row_id};

/// A row that closes its gate, and the code it closes it with, in the order of the gates.
const CLOSED: [(&str, &str); 7] = [
    ("kill", "kill_switch_engaged"),
    ("firearm", "licence_missing"),
    ("lock", "strategy_locked"),
    ("approval", "approval_required"),
    ("kpi", "kpi_stale"),
    ("temperature", "temperature_high"),
    ("budget", "budget_exceeded"),
];

async fn close(house: &House, scope: &identity::Scope, gate: &str) {
    let about = |row: Value| {
        let mut row = row;
        row["action"] = json!("nexus.*");
        row
    };
    let reason = json!({"reason": "test"});
    match gate {
        "kill" => house.put::<KillSwitch>(scope, "k", about(reason)).await,
        "firearm" => {
            let row = about(json!({"kind": "requirement"}));
            house.put::<FirearmRow>(scope, "f", row).await;
        }
        "lock" => house.put::<StrategyLock>(scope, "l", about(reason)).await,
        "approval" => {
            let row = json!({"reason": "test", "approval": {"quorum": 1, "ttl_s": 60}});
            house.put::<StrategyLock>(scope, "a", about(row)).await;
        }
        "kpi" => {
            let row = about(json!({"floor": 1.0, "max_age_s": 60}));
            house.put::<Kpi>(scope, "s", row).await;
        }
        "temperature" => {
            let row = about(json!({"ceiling": 1.0, "half_life_s": 60}));
            house.put::<Temperature>(scope, "t", row).await;
            house.gates.heat(scope, &row_id("t"), 9.0).await.unwrap();
        }
        _ => house.budget(scope, "b", 1, 2).await,
    }
}

/// What `explain` says: the first refusal's gate and code, and how many gates it asked.
async fn explained(
    house: &House,
    scope: &identity::Scope,
) -> (Option<(Gate, &'static str)>, usize) {
    let asked = Explanation {
        action: "nexus.cards.create".into(),
        ..Explanation::default()
    };
    let explained = house.gates.explain(scope, &asked).await.unwrap();
    let first = explained.verdicts.iter().find_map(|verdict| {
        let refusal = verdict.refusal.as_ref()?;
        Some((verdict.gate, refusal.code.as_str()))
    });
    assert_eq!(explained.allows(), first.is_none());
    (first, explained.verdicts.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is closed, at whatever level, in whatever order: the first gate decides,
    /// and `explain` says the same.
    #[test]
    fn the_first_refusal_decides_and_explain_agrees(
        closed in vec((0..CLOSED.len(), any::<bool>()), 0..5),
        tenant_is_system in select(vec![false, false, false, true]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            let (operator, tenant) = (house.operator().await, house.tenant().await);
            for (gate, of_system) in &closed {
                let level = if *of_system { &operator } else { &tenant };
                close(&house, level, CLOSED[*gate].0).await;
            }
            let scope = if tenant_is_system { &operator } else { &tenant };
            let binds = |of_system: bool| of_system || !tenant_is_system;
            let bound = closed.iter().filter(|(_, of_system)| binds(*of_system));
            let first = bound.map(|(gate, _)| *gate).min();
            let expected = first.map_or("ok", |gate| CLOSED[gate].1);
            prop_assert_eq!(house.answer(scope, Card::new("c_1")).await, expected);
            let (explained, asked) = explained(&house, scope).await;
            prop_assert_eq!(asked, Gate::ALL.len());
            prop_assert_eq!(explained.map(|(_, code)| code), first.map(|gate| CLOSED[gate].1));
            prop_assert_eq!(explained.map(|(gate, _)| gate), first.map(|gate| Gate::ALL[gate]));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_decision_tells_what_each_gate_said_that_was_asked() {
    let house = House::new();
    let scope = house.tenant().await;
    house.write(&scope, Card::new("c_1")).await.unwrap();
    close(&house, &scope, "lock").await;
    house.write(&scope, Card::new("c_2")).await.unwrap_err();
    let decisions = house.decisions.all();
    let gates = |at: usize| -> Vec<Gate> {
        let verdicts = decisions[at].verdicts.iter();
        verdicts.map(|verdict| verdict.gate).collect()
    };
    assert_eq!(gates(0), Gate::ALL);
    assert_eq!(gates(1), Gate::ALL[..3]);
    assert!(decisions[0].allows() && decisions[0].state.tenant.is_none());
    let (gate, refusal) = decisions[1].refusal().unwrap();
    assert_eq!(gate, Gate::StrategyLock);
    let row = refusal.row.as_ref().unwrap();
    assert_eq!(row.to_string(), "tenant/strategy-locks/l");
    assert_eq!(row.version, decisions[1].state.tenant);
    assert!(
        decisions[1]
            .verdicts
            .iter()
            .all(|verdict| verdict.nanos == 1000)
    );
}

#[tokio::test]
async fn a_row_binds_what_it_names_and_no_more() {
    let house = House::new();
    let (operator, tenant) = (house.operator().await, house.tenant().await);
    let other = house.world.scope("t_b", identity::Env::Dev, "u_b").await;
    let prod = house
        .world
        .scope("t_a", identity::Env::Prod, "u_owner")
        .await;
    house.stop(&tenant, "own", "nexus.cards.*").await;
    for (scope, answer) in [
        (&tenant, "kill_switch_engaged"),
        (&other, "ok"),
        (&prod, "ok"),
        (&operator, "ok"),
    ] {
        assert_eq!(house.answer(scope, Card::new("c_1")).await, answer);
    }
    house.stop(&operator, "all", "*").await;
    for scope in [&other, &prod, &operator] {
        assert_eq!(
            house.answer(scope, Card::new("c_1")).await,
            "kill_switch_engaged"
        );
    }
    let any = Precondition::Any;
    let kind = tenantry_gatechain::RowKind::KillSwitches;
    house
        .gates
        .delete(&operator, kind, &row_id("all"), &any)
        .await
        .unwrap();
    assert_eq!(house.answer(&other, Card::new("c_1")).await, "ok");
    house
        .gates
        .delete(&tenant, kind, &row_id("own"), &any)
        .await
        .unwrap();
    assert_eq!(house.answer(&tenant, Card::new("c_1")).await, "ok");
    let row = json!({"action": "*", "target": "c_2", "reason": "only this"});
    house.put::<KillSwitch>(&tenant, "one", row).await;
    assert_eq!(house.answer(&tenant, Card::new("c_1")).await, "ok");
    assert_eq!(
        house.answer(&tenant, Card::new("c_2")).await,
        "kill_switch_engaged"
    );
}

#[tokio::test]
async fn a_switch_expires_and_says_when() {
    let house = House::new();
    let scope = house.tenant().await;
    let expires = house.gates.now().plus(Duration::from_secs(30));
    let row = json!({"action": "*", "reason": "a while", "expires_at": expires});
    house.put::<KillSwitch>(&scope, "k", row).await;
    let denied = house.admit(&scope, Card::new("c_1")).await.err().unwrap();
    assert_eq!(denied.refusal.retry_after, Some(Duration::from_secs(30)));
    house.world.clock.advance(Duration::from_secs(30));
    assert_eq!(house.answer(&scope, Card::new("c_1")).await, "ok");
}

#[tokio::test]
async fn licences_are_of_their_level_counted_and_revoked() {
    let house = House::new();
    let (operator, tenant) = (house.operator().await, house.tenant().await);
    let answer = || house.answer(&tenant, Card::new("c_1"));
    close(&house, &operator, "firearm").await;
    let licence = json!({"kind": "licence", "action": "nexus.*", "subject": "u_owner", "uses": 2});
    house.put::<FirearmRow>(&tenant, "l", licence.clone()).await;
    assert_eq!(answer().await, "licence_missing");
    house.put::<FirearmRow>(&operator, "l", licence).await;
    assert_eq!(answer().await, "ok");
    // A permit that is not used uses nothing.
    for id in ["c_1", "c_2"] {
        house.write(&tenant, Card::new(id)).await.unwrap();
    }
    assert_eq!(answer().await, "licence_expired");
    let kind = tenantry_gatechain::RowKind::Firearms;
    let any = Precondition::Any;
    house
        .gates
        .delete(&operator, kind, &row_id("l"), &any)
        .await
        .unwrap();
    assert_eq!(answer().await, "licence_revoked");
    let early = house.gates.now().plus(Duration::from_secs(60));
    let licence =
        json!({"kind": "licence", "action": "*", "subject": "role:viewer", "not_before": early});
    house.put::<FirearmRow>(&operator, "l", licence).await;
    assert_eq!(answer().await, "licence_expired");
    house.world.clock.advance(Duration::from_secs(60));
    assert_eq!(answer().await, "ok");
}

#[tokio::test]
async fn figures_and_temperatures_open_again() {
    let house = House::new();
    let scope = house.tenant().await;
    let answer = || house.answer(&scope, Card::new("c_1"));
    let row = json!({"action": "*", "floor": 10.0, "recover_at": 12.0, "max_age_s": 60});
    house.put::<Kpi>(&scope, "sales", row).await;
    assert_eq!(answer().await, "kpi_stale");
    for (value, expected) in [
        (10.0, "ok"),
        (9.0, "kpi_below_floor"),
        (11.0, "kpi_below_floor"),
        (12.0, "ok"),
    ] {
        house
            .gates
            .observe(&scope, &row_id("sales"), value, None)
            .await
            .unwrap();
        assert_eq!(answer().await, expected, "{value}");
    }
    let row = json!({"action": "*", "ceiling": 50.0, "half_life_s": 10});
    house.put::<Temperature>(&scope, "heat", row).await;
    house
        .gates
        .heat(&scope, &row_id("heat"), 100.0)
        .await
        .unwrap();
    let denied = house.admit(&scope, Card::new("c_1")).await.err().unwrap();
    assert_eq!(denied.refusal.code.as_str(), "temperature_high");
    assert_eq!(denied.refusal.retry_after, Some(Duration::from_secs(10)));
    house.world.clock.advance(Duration::from_secs(10));
    assert_eq!(answer().await, "ok");
    house.world.clock.advance(Duration::from_secs(51));
    assert_eq!(answer().await, "kpi_stale");
}
