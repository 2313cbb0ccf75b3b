//! A store that fails: callers are told, the spool keeps, order is restored.

use std::{sync::Arc, time::Duration};

use identity::{Env, Recorded};
use tenantry_audit::{DatasetEvent, Label, service::Audit};

use super::house::{House, event, numbers, put};

const SPOOLED: Recorded = Recorded::Degraded { why: "spooled" };

async fn spooled(audit: &Arc<Audit>, event: DatasetEvent) {
    assert_eq!(audit.record(event).await, Ok(SPOOLED));
}

#[tokio::test]
async fn what_a_failing_store_does_not_take_waits_and_keeps_its_order() {
    for reopened in [false, true] {
        let house = House::new();
        let mut audit = house.open().await;
        let (a, b) = (
            house.scope("t_a", Env::Dev).await,
            house.scope("t_b", Env::Dev).await,
        );
        put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
        house.vault.set_down(true);
        for n in 1..4 {
            spooled(&audit, event("t_a", Env::Dev, "u_1", n)).await;
            // A new subject and a new log, of whom the store knows nothing.
            spooled(&audit, event("t_b", Env::Dev, "u_new", n)).await;
            audit.turn().await;
        }
        house.vault.revive();
        if reopened {
            audit = house.open().await;
        }
        // Those that come now wait behind those that wait.
        spooled(&audit, event("t_a", Env::Dev, "u_1", 4)).await;
        put(&audit, event("t_c", Env::Dev, "u_1", 0)).await;
        audit.turn().await;
        put(&audit, event("t_a", Env::Dev, "u_1", 5)).await;
        audit.turn().await;
        let entries = house.sound(&audit, &a).await;
        assert_eq!(numbers(&entries), [0, 1, 2, 3, 4, 5]);
        let entries = house.sound(&audit, &b).await;
        assert_eq!(numbers(&entries), [1, 2, 3]);
        let values = entries.iter().all(|entry| entry.opened.erased.is_empty());
        assert!(values, "the key came along");
        assert_eq!(std::fs::metadata(house.spool()).unwrap().len(), 0);
    }
}

/// What hangs is given up in time for the caller, and kept.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_one_that_fails() {
    let house = House::new();
    let audit = house.open().await;
    put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
    house.vault.set_hanging(true);
    let began = tokio::time::Instant::now();
    spooled(&audit, event("t_a", Env::Dev, "u_1", 1)).await;
    // New subjects, whose keys cannot be looked for.
    spooled(&audit, event("t_b", Env::Dev, "u_2", 1)).await;
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    house.vault.set_hanging(false);
    audit.turn().await;
    for (tenant, expected) in [("t_a", &[0, 1][..]), ("t_b", &[1])] {
        let scope = house.scope(tenant, Env::Dev).await;
        assert_eq!(numbers(&house.sound(&audit, &scope).await), expected);
    }
}

/// A round over many waiting logs ends soon, however the store fails.
#[tokio::test(start_paused = true)]
async fn a_round_never_waits_long_for_a_store_that_hangs() {
    const LOGS: usize = 60;
    let house = House::new();
    let audit = house.open().await;
    house.vault.set_down(true);
    for n in 0..LOGS {
        spooled(&audit, event(&format!("t_{n}"), Env::Dev, "u_1", n)).await;
    }
    house.vault.set_hanging(true);
    let began = tokio::time::Instant::now();
    audit.turn().await;
    assert!(began.elapsed() < Duration::from_secs(10));
    house.vault.set_hanging(false);
    house.vault.revive();
    // A few fail, and the others are not held up by them for ever.
    house.vault.fail_at(20, super::vault::Fault::Before, false);
    audit.turn().await;
    house.vault.revive();
    audit.turn().await;
    for n in 0..LOGS {
        let scope = house.scope(&format!("t_{n}"), Env::Dev).await;
        let entries = super::house::all(&audit, &scope).await;
        assert_eq!(numbers(&entries), [n as u64]);
    }
}

/// A crash cuts the spool's file anywhere: the whole lines before it count.
#[tokio::test]
async fn a_spool_that_is_cut_anywhere_keeps_what_is_whole() {
    let house = House::new();
    let audit = house.open().await;
    house.vault.set_down(true);
    let mut ends = vec![0];
    for n in 0..3 {
        spooled(&audit, event("t_a", Env::Dev, "u_1", n)).await;
        ends.push(std::fs::metadata(house.spool()).unwrap().len());
    }
    drop(audit);
    house.vault.revive();
    let (whole, before) = (std::fs::read(house.spool()).unwrap(), house.vault.copy());
    let scope = house.scope("t_a", Env::Dev).await;
    let cuts = (0..whole.len()).step_by(131);
    let ends: Vec<usize> = ends.into_iter().map(|end| end as usize).collect();
    for cut in cuts.chain(ends.clone()) {
        house.vault.put_back(before.clone());
        let _ = std::fs::remove_file(house.anchor());
        std::fs::write(house.spool(), &whole[..cut]).unwrap();
        let audit = house.open().await;
        spooled_or_durable(&audit, event("t_a", Env::Dev, "u_1", 9)).await;
        audit.turn().await;
        let kept = ends.iter().filter(|end| **end != 0 && **end <= cut).count();
        let mut expected: Vec<u64> = (0..kept as u64).collect();
        expected.push(9);
        let entries = house.sound(&audit, &scope).await;
        assert_eq!(numbers(&entries), expected, "{cut}");
    }
}

async fn spooled_or_durable(audit: &Arc<Audit>, event: DatasetEvent) {
    let recorded = audit.record(event).await.unwrap();
    assert!(recorded == SPOOLED || matches!(recorded, Recorded::Durable { .. }));
}

/// Too large is refused, and never cut to fit; the log goes on.
#[tokio::test]
async fn what_is_too_large_is_refused_whole() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let name: Label = "note".parse().unwrap();
    let mut metadata = event("t_a", Env::Dev, "u_1", 0);
    metadata
        .metadata
        .insert("text".to_owned(), "x".repeat(17 * 1024).into());
    let mut personal = event("t_a", Env::Dev, "u_1", 0);
    personal.personal[0].value = "x".repeat(1025);
    let mut many = event("t_a", Env::Dev, "u_1", 0);
    for n in 0..9 {
        let mut one = many.personal[0].clone();
        one.name = format!("{name}{n}").parse().unwrap();
        many.personal.push(one);
    }
    for refused in [metadata, personal, many] {
        assert!(audit.record(refused).await.is_err());
    }
    assert_eq!(put(&audit, event("t_a", Env::Dev, "u_1", 1)).await, 1);
    audit.turn().await;
    assert_eq!(house.sound(&audit, &scope).await.len(), 1);
    assert_eq!(std::fs::metadata(house.spool()).unwrap().len(), 0);
}
