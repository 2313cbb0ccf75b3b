//! Intents end exactly once: concluded, dropped, or left by a process that is gone.

use std::sync::Arc;

use identity::{
    Conclusion, Deed, Env, Outcome, Pending, Place, Recorded, Recorder, Recording, Remarks, Scope,
};
use tenantry_audit::{LeafTargetId, Phase, service::Audit};

use super::house::{House, all, endings, put, recorder};

const ACTION: &str = "control.project.create";

pub(crate) fn deed<'a>(scope: &'a Scope, ids: &'a identity::RequestIds) -> Deed<'a> {
    Deed {
        place: Place::from(scope),
        action: ACTION,
        method: "POST",
        target: "/control/projects",
        ids,
    }
}

pub(crate) fn done(remarks: &Remarks) -> Conclusion<'_> {
    Conclusion {
        outcome: Outcome::Done,
        created: Some("/control/projects/p_new"),
        remarks,
    }
}

pub(crate) async fn intend(house: &House, audit: &Arc<Audit>, scope: &Scope) -> Box<dyn Pending> {
    let ids = house.ids("req-deed");
    recorder(audit).intend(&deed(scope, &ids)).await
}

/// Waits until the log has `count` records.
pub(crate) async fn until(audit: &Audit, scope: &Scope, count: usize) {
    let coming = async {
        while all(audit, scope).await.len() < count {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(10);
    tokio::time::timeout(patience, coming).await.unwrap();
}

#[tokio::test]
async fn an_intent_is_followed_by_its_outcome() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let pending = intend(&house, &audit, &scope).await;
    let remarks = Remarks::default().with("role", "admin");
    let recorded = pending.conclude(done(&remarks)).await;
    assert_eq!(recorded, Recorded::Durable { seq: 2 });
    audit.turn().await;
    let entries = house.sound(&audit, &scope).await;
    assert_eq!(endings(&entries), [(1, "done".to_owned())]);
    let [intent, outcome] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(intent.leaf.phase, Phase::Intent);
    assert_eq!(outcome.leaf.metadata["role"], "admin");
    let made = &outcome.leaf.target.as_ref().unwrap().id;
    assert_eq!(*made, LeafTargetId::Thing("p_new".into()));
    assert_eq!(outcome.leaf.request_id.as_str(), "req-deed");
    let audit = house.open().await;
    assert_eq!(
        all(&audit, &scope).await.len(),
        2,
        "nothing is left to close"
    );
}

#[tokio::test]
async fn a_dropped_intent_is_closed_as_unknown_once() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    drop(intend(&house, &audit, &scope).await);
    until(&audit, &scope, 2).await;
    // A conclusion whose future is never polled is a drop, too.
    let pending = intend(&house, &audit, &scope).await;
    let remarks = Remarks::default();
    drop(pending.conclude(done(&remarks)));
    until(&audit, &scope, 4).await;
    audit.turn().await;
    let audit = house.open().await;
    audit.turn().await;
    let entries = house.sound(&audit, &scope).await;
    let unknown = "unknown".to_owned();
    assert_eq!(endings(&entries), [(1, unknown.clone()), (3, unknown)]);
}

#[tokio::test]
async fn what_a_dead_process_left_open_is_closed_once_by_the_next() {
    for integrated in [false, true] {
        let house = House::new();
        let audit = house.open().await;
        let scope = house.scope("t_a", Env::Dev).await;
        for _ in 0..3 {
            std::mem::forget(intend(&house, &audit, &scope).await);
        }
        let concluded = intend(&house, &audit, &scope).await;
        let remarks = Remarks::default();
        let _ = concluded.conclude(done(&remarks)).await;
        if integrated {
            audit.turn().await;
        }
        for _ in 0..3 {
            let audit = house.open().await;
            let entries = all(&audit, &scope).await;
            assert_eq!(entries.len(), 8);
        }
        let audit = house.open().await;
        audit.turn().await;
        let ended = endings(&house.sound(&audit, &scope).await);
        let outcomes: Vec<&str> = ended.iter().map(|(_, how)| &**how).collect();
        assert_eq!(outcomes, ["unknown", "unknown", "unknown", "done"]);
    }
}

/// The outcome waits in the spool when the process dies: it is the one that counts.
#[tokio::test]
async fn an_outcome_in_the_spool_ends_its_intent() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let pending = intend(&house, &audit, &scope).await;
    house.vault.set_down(true);
    let remarks = Remarks::default();
    let recorded = pending.conclude(done(&remarks)).await;
    assert_eq!(recorded, Recorded::Degraded { why: "spooled" });
    house.vault.revive();
    let audit = house.open().await;
    audit.turn().await;
    audit.turn().await;
    let entries = house.sound(&audit, &scope).await;
    assert_eq!(endings(&entries), [(1, "done".to_owned())]);
}

/// An intent that waited in the spool gets a seq that its deed never knew.
#[tokio::test]
async fn an_intent_from_the_spool_ends_without_a_restart() {
    for (fault, restart) in [(true, false), (false, false), (true, true), (false, true)] {
        let house = House::new();
        let mut audit = house.open().await;
        let scope = house.scope("t_a", Env::Dev).await;
        put(&audit, super::house::event("t_a", Env::Dev, "u_owner", 0)).await;
        if fault {
            house.vault.set_down(true);
        } else {
            // The intent is in the log, and nobody was told.
            house.vault.fail_at(0, super::vault::Fault::After, true);
        }
        let pending = intend(&house, &audit, &scope).await;
        let remarks = Remarks::default();
        let recorded = pending.conclude(done(&remarks)).await;
        assert!(matches!(recorded, Recorded::Degraded { .. }));
        house.vault.revive();
        if restart {
            audit = house.open().await;
        }
        for _ in 0..3 {
            audit.turn().await;
        }
        let entries = house.sound(&audit, &scope).await;
        assert_eq!(endings(&entries).len(), 1, "{fault} {restart}");
        let audit = house.open().await;
        audit.turn().await;
        assert_eq!(house.sound(&audit, &scope).await.len(), entries.len());
        let told = entries
            .iter()
            .filter(|one| one.leaf.phase == Phase::Event(tenantry_audit::Outcome::Done));
        assert_eq!(
            told.count(),
            2,
            "the first record, and what became of the deed"
        );
    }
}

/// Law 5 of the recorder: what would have been recorded is recorded nevertheless.
#[tokio::test]
async fn a_caller_that_does_not_wait_loses_nothing() {
    let mut house = House::new();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    house.training = Arc::new(Slow(Arc::clone(&gate)));
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let recording = Recording::To(Arc::new(recorder(&audit)));
    let ids = house.ids("req-gone");
    let remarks = Remarks::default();
    for _ in 0..2 {
        let (deed, conclusion) = (deed(&scope, &ids), done(&remarks));
        let mut note = Box::pin(recording.note(&deed, conclusion));
        assert!(futures_util::poll!(&mut note).is_pending());
        drop(note);
        let mut intent = Box::pin(recording.intend(&deed));
        assert!(futures_util::poll!(&mut intent).is_pending());
        drop(intent);
    }
    gate.add_permits(1000);
    until(&audit, &scope, 6).await;
    audit.turn().await;
    let entries = house.sound(&audit, &scope).await;
    let ended = endings(&entries);
    let outcomes: Vec<&str> = ended.iter().map(|(_, how)| &**how).collect();
    assert_eq!(outcomes, ["unknown", "unknown"]);
    assert_eq!(entries.len(), 6);
}

/// Answers when the test lets it.
struct Slow(Arc<tokio::sync::Semaphore>);

#[async_trait::async_trait]
impl tenantry_audit::service::TrainingPolicy for Slow {
    async fn training(
        &self,
        tenant: &identity::TenantId,
        user: &identity::UserId,
    ) -> tenantry_audit::Training {
        let _ = self.0.acquire().await.unwrap();
        super::house::Allowed.training(tenant, user).await
    }
}

/// What handlers add may name a user, who can be erased like any other.
#[tokio::test]
async fn a_user_in_a_remark_is_personal() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let remarks = Remarks::default()
        .with("invited", "u_guest")
        .with("role", "admin");
    let ids = house.ids("req-1");
    let noted = recorder(&audit)
        .note(&deed(&scope, &ids), done(&remarks))
        .await;
    assert_eq!(noted, Recorded::Durable { seq: 1 });
    let entries = all(&audit, &scope).await;
    let text = String::from_utf8(entries[0].bytes.clone()).unwrap();
    assert!(!text.contains("u_guest"), "{text}");
    let values: Vec<&str> = entries[0]
        .opened
        .fields
        .values()
        .map(|one| &*one.value)
        .collect();
    assert!(values.contains(&"u_guest"), "{values:?}");
    assert_eq!(entries[0].leaf.metadata["role"], "admin");
}
