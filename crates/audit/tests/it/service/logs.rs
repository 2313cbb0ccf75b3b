//! Records, receipts, exports and epochs when nothing goes wrong.

use std::collections::BTreeSet;

use identity::{Env, Recorded};
use store::StoreError;
use tenantry_audit::{
    DatasetEvent, Seq,
    service::{Entry, Filter, ProofError, ReadError},
    verify,
};

use super::house::{House, event, numbers, put};

#[tokio::test]
async fn a_record_is_acknowledged_proved_and_exported() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    assert_eq!(audit.checkpoint(), None);
    for n in 0..5 {
        let recorded = audit.record(event("t_a", Env::Dev, "u_1", n)).await;
        let seq = n as u64 + 1;
        assert_eq!(recorded, Ok(Recorded::Durable { seq }));
    }
    audit.turn().await;
    let entries = house.sound(&audit, &scope).await;
    assert_eq!(numbers(&entries), [0, 1, 2, 3, 4]);
    let opened = &entries[0].opened;
    let values: Vec<&str> = opened.fields.values().map(|one| &*one.value).collect();
    assert_eq!(values, ["u_1", "u_target", "u_1@example.test"]);
    assert!(opened.erased.is_empty());
}

#[tokio::test]
async fn an_epoch_is_closed_when_something_changed_and_only_then() {
    let house = House::new();
    let audit = house.open().await;
    for _ in 0..3 {
        audit.turn().await;
        assert_eq!(house.epochs(&audit), 0);
    }
    for epoch in 1..=3 {
        put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
        for _ in 0..3 {
            audit.turn().await;
            assert_eq!(house.epochs(&audit), epoch);
        }
    }
    let audit = house.open().await;
    audit.turn().await;
    assert_eq!(house.epochs(&audit), 3, "opening changes nothing");
}

/// More logs than one batch takes, and more epochs and records than a tile holds.
#[tokio::test]
async fn many_logs_and_many_epochs_all_verify_after_every_opening() {
    let house = House::new();
    let mut audit = house.open().await;
    for round in 0..260 {
        let tenants = if round == 0 { 450 } else { 1 };
        for tenant in 0..tenants {
            let tenant = format!("t_{tenant}");
            let recorded = audit.record(event(&tenant, Env::Prod, "u_1", round)).await;
            assert!(matches!(recorded, Ok(Recorded::Durable { .. })));
        }
        audit.turn().await;
        if round % 100 == 99 {
            audit = house.open().await;
        }
    }
    assert_eq!(house.epochs(&audit), 260);
    for (tenant, count) in [("t_0", 260), ("t_1", 1), ("t_449", 1)] {
        let scope = house.scope(tenant, Env::Prod).await;
        assert_eq!(house.sound(&audit, &scope).await.len(), count);
    }
}

#[tokio::test]
async fn a_long_log_is_integrated_in_rounds_and_proved_to_its_last_record() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    for n in 0..1500 {
        put(&audit, event("t_a", Env::Dev, "u_1", n)).await;
    }
    audit.turn().await;
    assert_eq!(house.sound(&audit, &scope).await.len(), 1500);
    for seq in [1, 255, 256, 257, 1024, 1500] {
        let seq = Seq::try_from(seq).unwrap();
        let receipt = audit.receipt(&scope, seq, None).await.unwrap();
        verify::receipt(&receipt, &house.trust(), None).unwrap();
    }
}

#[tokio::test]
async fn tenants_and_environments_never_see_each_other() {
    let house = House::new();
    let audit = house.open().await;
    let places = [
        ("t_a", Env::Dev, 3),
        ("t_a", Env::Prod, 1),
        ("t_b", Env::Dev, 2),
    ];
    for n in 0..3 {
        for (tenant, env, count) in places {
            if n < count {
                put(&audit, event(tenant, env, "u_1", n)).await;
            }
        }
    }
    audit.turn().await;
    for (tenant, env, count) in places {
        let scope = house.scope(tenant, env).await;
        assert_eq!(house.sound(&audit, &scope).await.len(), count);
        let beyond = Seq::try_from(count as u64 + 1).unwrap();
        assert_eq!(audit.entry(&scope, beyond).await, Ok(None));
        let receipt = audit.receipt(&scope, beyond, None).await;
        assert_eq!(receipt.unwrap_err(), ProofError::NotFound);
    }
    let nobody = house.scope("t_c", Env::Dev).await;
    assert_eq!(audit.entry(&nobody, Seq::FIRST).await, Ok(None));
    let receipt = audit.receipt(&nobody, Seq::FIRST, None).await;
    assert_eq!(receipt.unwrap_err(), ProofError::NotFound);
    let export = audit.export(&nobody, Seq::FIRST, None, None).await;
    assert_eq!(export.err(), Some(ProofError::NotFound));
    assert!(house.sound(&audit, &nobody).await.is_empty());
}

#[tokio::test]
async fn a_receipt_shows_that_a_known_checkpoint_is_continued() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let mut known = Vec::new();
    for n in 0..4 {
        put(&audit, event("t_a", Env::Dev, "u_1", n)).await;
        audit.turn().await;
        let note = audit.checkpoint().unwrap();
        known.push(house.trust().checkpoint(&note).unwrap());
    }
    for known in &known {
        let since = Some(known.size);
        let receipt = audit.receipt(&scope, Seq::FIRST, since).await.unwrap();
        verify::receipt(&receipt, &house.trust(), Some(known)).unwrap();
    }
    for since in [0, 5, u64::MAX] {
        let receipt = audit.receipt(&scope, Seq::FIRST, Some(since)).await;
        assert_eq!(receipt.unwrap_err(), ProofError::UnknownCheckpoint);
    }
}

#[tokio::test(start_paused = true)]
async fn a_receipt_waits_for_its_epoch_and_not_for_ever() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
    let early = audit.receipt(&scope, Seq::FIRST, None).await;
    assert_eq!(early.unwrap_err(), ProofError::NotYet);
    let turn = async {
        tokio::task::yield_now().await;
        audit.turn().await;
    };
    let (receipt, ()) = tokio::join!(audit.receipt(&scope, Seq::FIRST, None), turn);
    verify::receipt(&receipt.unwrap(), &house.trust(), None).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_export_ends_where_it_was_asked_to_and_never_beyond_the_log() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    for n in 0..300 {
        put(&audit, event("t_a", Env::Dev, "u_1", n)).await;
    }
    audit.turn().await;
    for (from, to, records) in [(1, 300, 300), (300, 300, 1), (7, 290, 284), (301, 300, 0)] {
        use futures_util::TryStreamExt;
        let from = Seq::try_from(from).unwrap();
        let lines = audit.export(&scope, from, Some(to), None).await.unwrap();
        let bytes = lines.try_collect::<Vec<_>>().await.unwrap().concat();
        let report = verify::export(&bytes[..], &house.trust(), None).unwrap();
        assert_eq!((report.from, report.records), (from, records));
    }
    let began = tokio::time::Instant::now();
    for to in [301, 1 << 40, u64::MAX] {
        let beyond = audit.export(&scope, Seq::FIRST, Some(to), None).await;
        assert_eq!(beyond.err(), Some(ProofError::NotFound), "{to}");
    }
    assert!(began.elapsed().is_zero(), "there is nothing to wait for");
}

#[tokio::test]
async fn every_filter_finds_its_records_and_no_others() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let mut times = Vec::new();
    for n in 0..12 {
        let mut one: DatasetEvent = event("t_a", Env::Dev, ["u_1", "u_2"][n % 2], n);
        one.action = ["control.project.create", "chat.thread.read"][n / 6]
            .parse()
            .unwrap();
        one.request_id = identity::RequestId::parse(&format!("req-{}", n % 3)).unwrap();
        times.push(one.time);
        put(&audit, one).await;
    }
    // Some are in the tree, some are not.
    audit.turn().await;
    put(&audit, event("t_a", Env::Dev, "u_3", 12)).await;
    let asked = |change: &dyn Fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    };
    let text = |text: &str| Some(text.to_owned());
    let cases: [(Filter, &[u64]); 8] = [
        (asked(&|f| f.actor = text("u_2")), &[1, 3, 5, 7, 9, 11]),
        (asked(&|f| f.actor = text("u_")), &[]),
        (
            asked(&|f| f.action = text("chat.thread.read")),
            &[6, 7, 8, 9, 10, 11],
        ),
        (asked(&|f| f.trace_id = text("req-1")), &[1, 4, 7, 10, 12]),
        (asked(&|f| f.from = Some(times[10])), &[10, 11, 12]),
        (asked(&|f| f.to = Some(times[1])), &[0, 1]),
        (
            asked(&|f| {
                f.actor = text("u_2");
                f.trace_id = text("req-1");
                f.to = Some(times[9]);
            }),
            &[1, 7],
        ),
        (
            asked(&|f| f.target = text("u_target")),
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        ),
    ];
    for (filter, expected) in cases {
        for limit in [1, 2, 5, 1000] {
            let mut found: Vec<Entry> = Vec::new();
            let mut after = Some(0);
            while let Some(from) = after {
                let page = audit.query(&scope, &filter, from, limit).await.unwrap();
                assert!(page.entries.len() <= limit);
                found.extend(page.entries);
                after = page.next;
            }
            assert_eq!(numbers(&found), expected, "{filter:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_of() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
    audit.turn().await;
    house.vault.set_down(true);
    let read = audit.entry(&scope, Seq::FIRST).await;
    assert!(matches!(
        read,
        Err(ReadError::Store(StoreError::Unavailable(_)))
    ));
    house.vault.revive();
    let seqs: BTreeSet<u64> = BTreeSet::from([1]);
    let entries = house.sound(&audit, &scope).await;
    assert_eq!(
        entries
            .iter()
            .map(|one| one.seq.get())
            .collect::<BTreeSet<_>>(),
        seqs
    );
}
