//! The process dies, or one call fails, at every step in turn: what was acknowledged is
//! kept, every intent ends once, nothing is there twice, nothing signed is taken back.

use std::{collections::BTreeMap, sync::Arc};

use identity::{Env, Recorded, Recorder, Remarks, Scope};
use tenantry_audit::{Checkpoint, service::Audit, verify};

use super::{
    house::{House, all, endings, event, numbers, recorder},
    intents::{deed, done},
    vault::Fault,
};

const TENANTS: [&str; 2] = ["t_a", "t_b"];

/// What the outside world was told.
#[derive(Default)]
struct Told {
    /// Numbers of acknowledged events, by tenant.
    acknowledged: BTreeMap<&'static str, Vec<u64>>,
    next: usize,
    held: bool,
    checkpoint: Option<Checkpoint>,
}

impl Told {
    async fn records(&mut self, audit: &Arc<Audit>, user: &str) {
        for tenant in TENANTS {
            self.next += 1;
            let recorded = audit.record(event(tenant, Env::Dev, user, self.next)).await;
            let kept = match recorded.unwrap() {
                Recorded::Durable { .. } => true,
                Recorded::Degraded { why } => why == "spooled",
            };
            assert!(kept, "the disk never fails here");
            let numbers = self.acknowledged.entry(tenant).or_default();
            numbers.push(self.next as u64);
        }
    }

    async fn turn(&mut self, house: &House, audit: &Arc<Audit>) {
        audit.turn().await;
        let note = audit.checkpoint();
        if let Some(found) = note.and_then(|note| house.trust().checkpoint(&note).ok()) {
            let before = self.checkpoint.replace(found.clone());
            assert!(before.is_none_or(|before| before.size <= found.size));
        }
    }

    /// A working day, as far as the store allows it.
    async fn day(&mut self, house: &House, scope: &Scope) {
        let Ok(audit) = house.try_open().await else {
            return;
        };
        self.records(&audit, "u_1").await;
        let ids = house.ids("req-1");
        let open = recorder(&audit).intend(&deed(scope, &ids)).await;
        let ids = house.ids("req-2");
        let pending = recorder(&audit).intend(&deed(scope, &ids)).await;
        self.turn(house, &audit).await;
        let remarks = Remarks::default();
        let _ = pending.conclude(done(&remarks)).await;
        self.held |= audit.set_hold(scope, true).await.is_ok();
        self.records(&audit, "u_2").await;
        self.turn(house, &audit).await;
        self.records(&audit, "u_1").await;
        self.turn(house, &audit).await;
        // The process is gone and cannot conclude.
        std::mem::forget(open);
    }

    async fn check(&self, house: &House, what: &str) {
        let mut lengths = Vec::new();
        for again in [false, true] {
            let audit = house.try_open().await.unwrap();
            assert_eq!(audit.frozen(), None, "{what}");
            for _ in 0..3 {
                audit.turn().await;
                assert_eq!(audit.frozen(), None, "{what}");
            }
            for tenant in TENANTS {
                let scope = house.scope(tenant, Env::Dev).await;
                let entries = match again {
                    false => house.sound(&audit, &scope).await,
                    true => all(&audit, &scope).await,
                };
                let mut found = numbers(&entries);
                found.sort_unstable();
                let acknowledged = self.acknowledged.get(tenant);
                let acknowledged = acknowledged.cloned().unwrap_or_default();
                assert_eq!(found, acknowledged, "{what}: {tenant}");
                endings(&entries);
                lengths.push(entries.len());
                if let (Some(known), Some(first)) = (&self.checkpoint, entries.first()) {
                    let since = Some(known.size);
                    let receipt = audit.receipt(&scope, first.seq, since).await.unwrap();
                    verify::receipt(&receipt, &house.trust(), Some(known)).unwrap();
                }
            }
            let scope = house.scope("t_a", Env::Dev).await;
            let held = audit.hold(&scope, Env::Dev).await.unwrap();
            assert!(held || !self.held, "{what}: an acknowledged hold is kept");
        }
        assert_eq!(lengths[..2], lengths[2..], "{what}: closed once");
    }
}

/// Runs a day that fails at every call in turn.
async fn at_every_call(fault: Fault, for_good: bool) {
    for nth in 0.. {
        let mut house = House::new();
        house.anchored = for_good;
        let scope = house.scope("t_a", Env::Dev).await;
        let mut told = Told::default();
        house.vault.fail_at(nth, fault, for_good);
        told.day(&house, &scope).await;
        let reached = house.vault.revive();
        let what = format!("call {nth} fails {fault:?}, for good: {for_good}");
        told.check(&house, &what).await;
        if !reached {
            assert!(nth > 50, "{nth} calls are no day");
            return;
        }
    }
}

#[tokio::test]
async fn dying_before_any_call_loses_nothing() {
    at_every_call(Fault::Before, true).await;
}

#[tokio::test]
async fn dying_after_any_call_loses_nothing() {
    at_every_call(Fault::After, true).await;
}

#[tokio::test]
async fn one_call_that_fails_loses_nothing() {
    at_every_call(Fault::Before, false).await;
}

#[tokio::test]
async fn one_call_that_works_and_says_otherwise_loses_nothing() {
    at_every_call(Fault::After, false).await;
}
