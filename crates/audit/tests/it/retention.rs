//! Retention: what goes, what stays, what proves what stays, and what stands in its way.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::TryStreamExt;
use identity::{Code, Env, Problem, Timestamp};
use store::EventLog;
use tenantry_audit::{
    Seq, Trust, TrustFile,
    service::{Filter, ProofError, ReadError, Retention},
    verify,
};

use crate::{
    query::desk::{Desk, TENANT, deed},
    world::{self, ORIGIN},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Marks of time stand this far apart at most.
const BLOCK: u64 = 64;

fn seq(number: u64) -> Seq {
    number.try_into().unwrap()
}

fn trust() -> Trust {
    let keys = world::signers(2).verifier_keys().to_vec();
    Trust::new(TrustFile {
        origin: ORIGIN.to_owned(),
        keys,
        tenant: None,
        env: None,
        slot: None,
    })
    .unwrap()
}

impl Desk {
    fn now(&self) -> Timestamp {
        identity::Clock::now(&*self.world.clock)
    }

    /// Records `count` deeds of now, and integrates them.
    async fn work(&self, actor: &str, count: u64) {
        for number in 0..count {
            let trace = format!("req-{number}");
            self.put(deed(actor, "a.do", "th_1", &trace, self.now()))
                .await;
        }
        self.audit.turn().await;
    }

    async fn oldest(&self) -> u64 {
        self.audit.oldest(&self.scope).await.unwrap().get()
    }

    async fn later(&self, span: Duration) {
        self.world.clock.advance(span);
        self.audit.turn().await;
    }
}

/// A log of 300 records of one day and 200 of two days later, of which a day is kept.
async fn kept() -> Desk {
    let mut desk = Desk::new().await;
    desk.work("u_old", 300).await;
    desk.world.clock.advance(2 * DAY);
    desk.work("u_new", 200).await;
    desk.retention = Some(DAY.try_into().unwrap());
    desk.reopen().await;
    desk
}

#[tokio::test]
async fn what_is_old_goes_and_what_is_left_is_whole() {
    let mut desk = kept().await;
    assert_eq!(desk.oldest().await, 1);
    let pages = desk.pages().await.len();
    desk.audit.turn().await;
    let oldest = desk.oldest().await;
    assert!((302 - BLOCK..=301).contains(&oldest), "{oldest}");
    for _ in 0..2 {
        assert_eq!(desk.stored_from(TENANT).await, oldest);
        let left: Vec<u64> = desk.all().await.iter().map(|one| one.seq.get()).collect();
        assert_eq!(left, (oldest..=500).collect::<Vec<_>>());
        for (actor, count) in [("u_old", 301 - oldest), ("u_new", 200)] {
            let filter = Filter {
                actor: Some(actor.to_owned()),
                ..Filter::default()
            };
            assert_eq!(desk.ask(&filter, 50).await.len() as u64, count);
        }
        let gone = desk.audit.entry(&desk.scope, seq(oldest - 1)).await;
        assert_eq!(gone, Err(ReadError::Removed { oldest }));
        let entry = desk.audit.entry(&desk.scope, seq(oldest)).await.unwrap();
        assert_eq!(entry.unwrap().seq.get(), oldest);
        assert_eq!(desk.audit.entry(&desk.scope, seq(501)).await, Ok(None));
        desk.reopen().await;
        desk.audit.turn().await;
    }
    desk.work("u_new", 1).await;
    assert_eq!(desk.all().await.last().unwrap().seq.get(), 501);
    assert!(desk.pages().await.len() <= pages);
    // When everything is old, everything goes, and the index with it.
    desk.later(3 * DAY).await;
    assert_eq!(desk.all().await, []);
    assert_eq!(desk.oldest().await, 502);
    assert_eq!(desk.pages().await, []);
    desk.work("u_new", 1).await;
    desk.reopen().await;
    assert_eq!(desk.all().await.last().unwrap().seq.get(), 502);
}

#[tokio::test]
async fn every_proof_of_what_is_left_and_of_what_was_holds() {
    let desk = kept().await;
    let trust = trust();
    let audit = &desk.audit;
    let before = audit.receipt(&desk.scope, seq(1), None).await.unwrap();
    let known = trust.checkpoint(&audit.checkpoint().unwrap()).unwrap();
    audit.turn().await;
    let oldest = desk.oldest().await;
    assert!(oldest > 1);
    desk.work("u_new", 10).await;
    // The receipt of a removed record is as good as ever.
    let then = verify::receipt(&before, &trust, None).unwrap();
    assert_eq!(then.leaf.action.as_str(), "a.do");
    // New receipts continue the checkpoint that was given out before.
    for number in [oldest, 400, 510] {
        let since = Some(known.size);
        let receipt = audit.receipt(&desk.scope, seq(number), since).await;
        verify::receipt(&receipt.unwrap(), &trust, Some(&known)).unwrap();
    }
    let gone = audit.receipt(&desk.scope, seq(1), None).await;
    let removed = ProofError::Read(ReadError::Removed { oldest });
    assert_eq!(gone.err(), Some(removed.clone()));
    let export = audit.export(&desk.scope, seq(oldest), None, None).await;
    let bytes: Vec<_> = export.unwrap().try_collect().await.unwrap();
    let report = verify::export(&bytes.concat()[..], &trust, None).unwrap();
    assert_eq!(report.records, 511 - oldest);
    let gone = audit.export(&desk.scope, Seq::FIRST, None, None).await;
    assert_eq!(gone.err(), Some(removed));
    let problem = Problem::from(ReadError::Removed { oldest });
    assert_eq!((problem.code(), problem.code().status()), (Code::Gone, 410));
}

#[tokio::test]
async fn a_legal_hold_keeps_everything_of_its_tenant() {
    let desk = kept().await;
    let elsewhere = desk.world.scope(TENANT, Env::Dev, "u_owner").await;
    for scope in [&desk.scope, &elsewhere] {
        desk.audit.set_hold(scope, true).await.unwrap();
        desk.later(2 * HOUR).await;
        assert_eq!(
            (desk.oldest().await, desk.stored_from(TENANT).await),
            (1, 1)
        );
        desk.audit.set_hold(scope, false).await.unwrap();
    }
    desk.later(2 * HOUR).await;
    assert!(desk.oldest().await > 200);
}

/// Who reads a log between the head and the store sees what the head says.
#[tokio::test]
async fn an_interrupted_removal_is_completed() {
    let mut desk = kept().await;
    desk.count.no_trims.store(true, Ordering::SeqCst);
    desk.audit.turn().await;
    let oldest = desk.oldest().await;
    assert!(oldest > 200);
    assert_eq!(desk.stored_from(TENANT).await, 1);
    assert_eq!(desk.all().await.first().unwrap().seq.get(), oldest);
    let gone = desk.audit.entry(&desk.scope, seq(1)).await;
    assert_eq!(gone, Err(ReadError::Removed { oldest }));
    desk.count.no_trims.store(false, Ordering::SeqCst);
    desk.reopen().await;
    desk.audit.turn().await;
    assert_eq!(desk.stored_from(TENANT).await, oldest);
}

/// Nobody but retention removes records, and not more than it says.
#[tokio::test]
async fn records_that_others_removed_are_missed() {
    for up_to in [1, 350] {
        let mut desk = kept().await;
        desk.audit.turn().await;
        let oldest = desk.oldest().await;
        desk.events
            .trim(&Desk::stream(TENANT), oldest - 1 + up_to)
            .await
            .unwrap();
        let entry = desk.audit.entry(&desk.scope, seq(oldest)).await;
        assert!(matches!(entry, Err(ReadError::Tampered { .. })));
        assert!(desk.audit.frozen().is_some());
        desk.reopen_whatever().await;
        assert!(desk.audit.frozen().is_some());
    }
}

#[tokio::test]
async fn an_intent_without_an_outcome_is_kept_with_all_after_it() {
    let mut desk = Desk::new().await;
    desk.retention = Some(Retention::try_from(DAY).unwrap());
    desk.reopen().await;
    desk.work("u_old", 200).await;
    let mut intent = deed("u_old", "a.do", "th_1", "req-i", desk.now());
    intent.phase = tenantry_audit::Phase::Intent;
    assert_eq!(desk.put(intent).await, 201);
    desk.work("u_old", 100).await;
    desk.later(2 * DAY).await;
    assert_eq!(desk.oldest().await, 201);
    // A process that begins closes it.
    desk.reopen().await;
    desk.later(2 * DAY).await;
    assert!(desk.oldest().await > 300);
}

#[tokio::test]
async fn a_round_looks_at_some_heads_and_a_walk_at_all() {
    const TENANTS: usize = 150;
    let mut desk = Desk::new().await;
    let tenants: Vec<String> = (0..TENANTS).map(|number| format!("t_{number}")).collect();
    for tenant in &tenants {
        let mut event = deed("recovery", "a.do", "th_1", "req-1", desk.now());
        event.tenant = tenant.parse().unwrap();
        desk.put(event).await;
    }
    desk.audit.turn().await;
    desk.world.clock.advance(2 * DAY);
    desk.retention = Some(DAY.try_into().unwrap());
    desk.reopen().await;
    let mut gone = Vec::new();
    for _ in 0..4 {
        desk.count.take();
        desk.audit.turn().await;
        let read = desk.count.take();
        assert!(read < 64 * 8, "{read}");
        let mut count = 0;
        for tenant in &tenants {
            count += usize::from(desk.stored_from(tenant).await == 2);
        }
        gone.push(count);
    }
    assert_eq!(gone, [64, 128, TENANTS, TENANTS]);
    // Then the walk rests.
    desk.count.take();
    desk.audit.turn().await;
    assert_eq!(desk.count.take(), 0);
    desk.later(HOUR).await;
    assert!(desk.count.take() >= 64);
}
