//! Old copies: of one document, of the whole store, of a head while the log is open. What
//! was signed is never contradicted.

use std::sync::Arc;

use identity::Env;
use tenantry_audit::service::Audit;

use super::{
    house::{House, all, event, put},
    vault::Held,
};

/// A log with `epochs` epochs, and the store after each.
async fn grown(house: &House, epochs: usize) -> Vec<Held> {
    let audit = house.open().await;
    let mut copies = Vec::new();
    for n in 0..epochs {
        put(&audit, event("t_a", Env::Dev, "u_1", n)).await;
        audit.turn().await;
        copies.push(house.vault.copy());
    }
    assert_eq!(house.epochs(&audit), epochs as u64);
    copies
}

/// Opens a log that must not go on, and tries to make it sign.
async fn refuses(house: &House, why: &str) {
    let anchor = std::fs::read(house.anchor()).ok();
    let audit = house.try_open().await.unwrap();
    let frozen = audit.frozen().expect(why).to_owned();
    assert!(frozen.contains(why), "{frozen}");
    signs_nothing(house, &audit).await;
    assert_eq!(std::fs::read(house.anchor()).ok(), anchor);
}

async fn signs_nothing(house: &House, audit: &Arc<Audit>) {
    let (note, before) = (audit.checkpoint(), house.vault.copy());
    let spooled = audit.record(event("t_a", Env::Dev, "u_1", 9)).await;
    assert_eq!(spooled, Ok(identity::Recorded::Degraded { why: "spooled" }));
    let scope = house.scope("t_a", Env::Dev).await;
    assert!(audit.set_hold(&scope, true).await.is_err());
    for _ in 0..3 {
        audit.turn().await;
    }
    assert_eq!(audit.checkpoint(), note);
    let after = house.vault.copy();
    for kind in ["audit-epochs", "audit-heads"] {
        for key in after.keys_of(kind) {
            let same = before.documents.get(&key) == after.documents.get(&key);
            assert!(same, "{key:?} was changed");
        }
    }
}

#[tokio::test]
async fn an_old_copy_of_the_store_is_told_from_the_anchor() {
    for back in [0, 1, 2] {
        let house = House::new();
        let copies = grown(&house, 4).await;
        house.vault.put_back(copies[back].clone());
        refuses(&house, "it is an old copy").await;
        // It stays so, and a store that is put right goes on, with what was spooled.
        refuses(&house, "it is an old copy").await;
        house.vault.put_back(copies[3].clone());
        let audit = house.open().await;
        audit.turn().await;
        let scope = house.scope("t_a", Env::Dev).await;
        assert_eq!(house.sound(&audit, &scope).await.len(), 6);
    }
}

#[tokio::test]
async fn an_emptied_store_is_told_from_the_anchor() {
    let house = House::new();
    grown(&house, 2).await;
    house.vault.put_back(Held::default());
    refuses(&house, "the store has none").await;
}

#[tokio::test]
async fn another_history_of_the_same_length_is_told_from_the_anchor() {
    let (house, other) = (House::new(), House::new());
    grown(&house, 3).await;
    other.world.clock.advance(std::time::Duration::from_secs(1));
    let audit = other.open().await;
    for n in 5..9 {
        put(&audit, event("t_a", Env::Dev, "u_1", n)).await;
        audit.turn().await;
    }
    house.vault.put_back(other.vault.copy());
    refuses(&house, "not the one that the anchor tells of").await;
}

#[tokio::test]
async fn an_altered_anchor_is_no_anchor() {
    let house = House::new();
    grown(&house, 2).await;
    let note = std::fs::read(house.anchor()).unwrap();
    for at in 0..note.len() {
        let mut flipped = note.clone();
        flipped[at] ^= 1;
        std::fs::write(house.anchor(), &flipped).unwrap();
        let audit = house.try_open().await;
        let frozen = audit.map(|audit| audit.frozen().is_some());
        assert!(frozen.unwrap_or(true), "{at}");
    }
}

/// Also without an anchor.
#[tokio::test]
async fn an_old_or_lost_epoch_is_told_from_the_heads_and_its_leaf() {
    for back in [None, Some(0), Some(1), Some(2)] {
        let mut house = House::new();
        house.anchored = false;
        let copies = grown(&house, 4).await;
        let latest = copies[3].keys_of("audit-epochs");
        let latest = latest.iter().find(|key| key.id == "latest").unwrap();
        house.vault.alter(|held| match back {
            Some(back) => {
                let old = copies[back].documents[latest].clone();
                held.documents.insert(latest.clone(), old);
            }
            None => drop(held.documents.remove(latest)),
        });
        refuses(&house, "later ones are stored").await;
        // And when the copies of later epochs are removed, too.
        let last = back.map_or(0, |back| back + 1);
        house.vault.alter(|held| {
            for key in held.keys_of("audit-epochs") {
                let number = key
                    .id
                    .strip_prefix("leaf/")
                    .map(|n| u64::from_str_radix(n, 16).unwrap());
                if number.is_some_and(|number| number > last as u64) {
                    held.documents.remove(&key);
                }
            }
        });
        if last < 3 {
            refuses(&house, "does not follow epoch").await;
        }
    }
}

/// A head of another history, put there while the log is open or while it is not.
#[tokio::test]
async fn a_head_of_another_history_is_never_signed() {
    for open in [true, false] {
        let (house, other) = (House::new(), House::new());
        let copies = grown(&house, 2).await;
        let audit = other.open().await;
        for n in 7..9 {
            put(&audit, event("t_a", Env::Dev, "u_1", n)).await;
            audit.turn().await;
        }
        // The next head of the other history, stored and told of by no epoch yet.
        put(&audit, event("t_a", Env::Dev, "u_1", 9)).await;
        let mut nth = 0;
        let foreign = loop {
            let before = other.vault.copy();
            other.vault.fail_at(nth, super::vault::Fault::Before, true);
            audit.turn().await;
            other.vault.revive();
            let after = other.vault.copy();
            let head = &after.keys_of("audit-heads")[0];
            if after.documents[head].1 != before.documents[head].1 {
                break after;
            }
            nth += 1;
        };
        let ours = open.then(|| house.try_open());
        let ours = match ours {
            Some(opening) => Some(opening.await.unwrap()),
            None => None,
        };
        house.vault.alter(|held| {
            let head = held.keys_of("audit-heads")[0].clone();
            let version = held.documents[&head].0;
            let value = foreign.documents[&head].1.clone();
            held.documents.insert(head, (version, value));
            held.streams = foreign.streams.clone();
        });
        match ours {
            Some(audit) => {
                let _ = audit.record(event("t_a", Env::Dev, "u_1", 9)).await;
                let signed = house.epochs(&audit);
                audit.turn().await;
                assert!(audit.frozen().unwrap().contains("t_a/dev"));
                assert_eq!(house.epochs(&audit), signed);
                signs_nothing(&house, &audit).await;
            }
            None => refuses(&house, "the stored heads are not those of epoch 2").await,
        }
        drop(copies);
    }
}

/// Whoever opens the log last has it. The other one stops, and nothing is lost or spoilt.
#[tokio::test]
async fn of_two_processes_the_last_goes_on_and_the_first_stops() {
    for integrated in [false, true] {
        let house = House::new();
        let first = house.open().await;
        put(&first, event("t_a", Env::Dev, "u_1", 0)).await;
        first.turn().await;
        let spool = house.folder.path().join("second.spool");
        let second = house.open_over(Arc::clone(&house.vault), spool.clone());
        let second = second.await.unwrap();
        put(&first, event("t_a", Env::Dev, "u_1", 1)).await;
        put(&second, event("t_a", Env::Dev, "u_1", 2)).await;
        if integrated {
            second.turn().await;
        }
        first.turn().await;
        assert!(first.frozen().is_some());
        let note = first.checkpoint();
        first.turn().await;
        assert_eq!(first.checkpoint(), note);
        let late = first.record(event("t_a", Env::Dev, "u_1", 3)).await;
        assert_eq!(late, Ok(identity::Recorded::Degraded { why: "spooled" }));
        second.turn().await;
        put(&second, event("t_a", Env::Dev, "u_1", 4)).await;
        second.turn().await;
        let scope = house.scope("t_a", Env::Dev).await;
        assert_eq!(house.sound(&second, &scope).await.len(), 4);
        // The first one is started again.
        let third = house.open().await;
        third.turn().await;
        assert_eq!(house.sound(&third, &scope).await.len(), 5);
        assert_eq!(all(&third, &scope).await.len(), 5);
    }
}
