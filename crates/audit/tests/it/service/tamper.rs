//! Someone alters what is stored. Each change is noticed, when the log is opened, in
//! the next round, or when the record is read, and nothing is signed over it.

use std::sync::Arc;

use bytes::Bytes;
use identity::{Env, Scope};
use store::{DocKey, StreamKey};
use tenantry_audit::{
    Seq,
    service::{Audit, Entry, ReadError},
    verify,
};

use super::{
    house::{House, event, put},
    vault::{Held, Stream},
};

const TENANTS: [&str; 2] = ["t_a", "t_b"];

/// A small log of each of two tenants, with two epochs.
async fn small() -> (House, Held) {
    let mut house = House::new();
    house.anchored = false;
    let audit = house.open().await;
    for n in 0..4 {
        for tenant in TENANTS {
            let mut one = event(tenant, Env::Dev, "u_1", n);
            if n > 0 {
                one.personal.clear();
                one.target = None;
            }
            put(&audit, one).await;
        }
        if n == 1 {
            audit.turn().await;
        }
    }
    audit.turn().await;
    let held = house.vault.copy();
    (house, held)
}

fn stream(held: &mut Held, tenant: &str) -> (StreamKey, Stream) {
    let found = held.streams.iter();
    let mut found = found.filter(|(key, _)| key.as_str().contains(&format!("/{tenant}/")));
    let (key, stream) = found.next().unwrap();
    (key.clone(), stream.clone())
}

/// Reads all that there is, as its tenants do; says what was wrong.
async fn read(house: &House, audit: &Arc<Audit>) -> Result<Vec<Entry>, String> {
    let mut found = Vec::new();
    for tenant in TENANTS {
        let scope = house.scope(tenant, Env::Dev).await;
        let entries = audit.entries(&scope, 0, 1000).await;
        let entries = entries.map_err(|error| error.to_string())?;
        let first = entries.first().cloned();
        found.extend(entries);
        if let Some(first) = first {
            let receipt = audit.receipt(&scope, first.seq, Some(1)).await;
            let receipt = receipt.map_err(|error| error.to_string())?;
            verify::receipt(&receipt, &house.trust(), None).map_err(|error| error.to_string())?;
        }
    }
    Ok(found)
}

/// Opens the log, reads all of it, and goes on with it; says what was noticed. What was
/// noticed is not signed over.
async fn noticed(house: &House, before: &[Entry]) -> Option<String> {
    let audit = match house.try_open().await {
        Ok(audit) => audit,
        Err(error) => return Some(error.to_string()),
    };
    let signed = house.epochs(&audit);
    let mut why = None;
    if audit.frozen().is_none() {
        match read(house, &audit).await {
            Ok(entries) if entries != before => why = Some("it shows".to_owned()),
            Ok(_) => {}
            Err(error) => why = Some(error),
        }
    }
    if audit.frozen().is_none() {
        for tenant in TENANTS {
            let _ = audit.record(event(tenant, Env::Dev, "u_1", 9)).await;
        }
    }
    audit.turn().await;
    let frozen = audit.frozen().map(str::to_owned);
    if frozen.is_some() {
        assert_eq!(house.epochs(&audit), signed, "signed over: {frozen:?}");
        audit.turn().await;
        assert_eq!(house.epochs(&audit), signed, "signed over: {frozen:?}");
    }
    frozen.or(why)
}

/// As it was when the log was small.
fn restore(house: &House, held: &Held) {
    house.vault.put_back(held.clone());
    let _ = std::fs::remove_file(house.spool());
}

#[tokio::test]
async fn nothing_is_noticed_when_nothing_was_altered() {
    let (house, held) = small().await;
    let before = read(&house, &house.open().await).await.unwrap();
    assert_eq!(before.len(), 8);
    restore(&house, &held);
    assert_eq!(noticed(&house, &before).await, None);
}

#[tokio::test]
async fn every_flipped_byte_of_a_record_is_named_by_its_seq() {
    let (house, held) = small().await;
    let audit = house.open().await;
    let mut copy = held.clone();
    let (key, stream) = stream(&mut copy, "t_a");
    let scope = house.scope("t_a", Env::Dev).await;
    for (seq, body) in &stream.events {
        for at in 0..body.len() {
            let mut flipped = body.to_vec();
            flipped[at] ^= 1 << (at % 8);
            alter(&house, &key, |stream| {
                stream.events.insert(*seq, flipped.into());
            });
            let one = audit.entry(&scope, Seq::try_from(*seq).unwrap()).await;
            assert_eq!(named(&one.map(Vec::from_iter)), Some(*seq), "{at}");
            alter(&house, &key, |stream| {
                stream.events.insert(*seq, body.clone());
            });
        }
    }
    let signed = house.epochs(&audit);
    let _ = audit.record(event("t_a", Env::Dev, "u_1", 9)).await;
    audit.turn().await;
    assert_eq!(house.epochs(&audit), signed);
    assert!(audit.frozen().unwrap().starts_with("t_a/dev at seq 1: "));
}

fn alter(house: &House, key: &StreamKey, change: impl FnOnce(&mut Stream)) {
    house
        .vault
        .alter(|held| change(held.streams.get_mut(key).unwrap()));
}

fn named(answer: &Result<Vec<Entry>, ReadError>) -> Option<u64> {
    match answer {
        Err(ReadError::Tampered { seq, .. }) => Some(*seq),
        _ => None,
    }
}

/// Documents of which nothing is told: whose the logs are, which key a subject gets
/// next, where a log's head is (it says so itself), copies of former epochs, and the
/// index, which is checked by `index` and built anew.
fn without_effect(key: &DocKey) -> bool {
    let kind = key.partition.as_str().rsplit('/').next().unwrap();
    match kind {
        "audit-epochs" => key.id == "owner" || key.id.ends_with("01"),
        "audit-subjects" => key.id.starts_with("subject/"),
        "audit-logs" | "audit-index" => true,
        _ => false,
    }
}

#[tokio::test]
async fn flipped_bytes_of_documents_are_noticed_or_changes_nothing() {
    let (house, held) = small().await;
    let before = read(&house, &house.open().await).await.unwrap();
    let mut flips = 0;
    for (key, (version, value)) in &held.documents {
        // Of one of a kind every other byte, of the others some.
        let first = key.partition.as_str().contains("/t_a/") || !key.id.ends_with("1");
        for at in (0..value.len()).step_by(if first { 2 } else { 29 }) {
            let mut altered = held.clone();
            let mut flipped = value.to_vec();
            flipped[at] ^= 1 << (at % 8);
            let flipped = (*version, Bytes::from(flipped));
            altered.documents.insert(key.clone(), flipped);
            restore(&house, &altered);
            flips += 1;
            let noticed = noticed(&house, &before).await;
            assert!(noticed.is_some() || without_effect(key), "{key:?} at {at}");
        }
    }
    assert!(flips > 500, "{flips}");
}

/// A lost key is no tampering: it is how a subject is erased, and shows as that.
#[tokio::test]
async fn every_lost_document_is_noticed_or_changes_nothing() {
    let (house, held) = small().await;
    let before = read(&house, &house.open().await).await.unwrap();
    for key in held.documents.keys() {
        let mut altered = held.clone();
        altered.documents.remove(key);
        restore(&house, &altered);
        let noticed = noticed(&house, &before).await;
        assert!(noticed.is_some() || without_effect(key), "{key:?}");
    }
}

/// What is done to the records of a tenant, and the seq that is named.
type Change = (&'static str, fn(&mut Stream), u64);

const CHANGES: [Change; 7] = [
    (
        "the first is deleted",
        |stream| drop(stream.events.remove(&1)),
        1,
    ),
    ("one is deleted", |stream| drop(stream.events.remove(&2)), 2),
    (
        "the last is deleted",
        |stream| drop(stream.events.remove(&4)),
        4,
    ),
    (
        "the tail is cut off",
        |stream| {
            stream.events.split_off(&3);
            stream.head = 2;
        },
        3,
    ),
    (
        "two are swapped",
        |stream| {
            let (second, third) = (stream.events[&2].clone(), stream.events[&3].clone());
            stream.events.insert(2, third);
            stream.events.insert(3, second);
        },
        2,
    ),
    (
        "one is there twice",
        |stream| {
            stream.events.insert(3, stream.events[&2].clone());
        },
        3,
    ),
    (
        "all are gone",
        |stream| {
            stream.events.clear();
            stream.head = 0;
        },
        1,
    ),
];

async fn first_fault(audit: &Arc<Audit>, scope: &Scope) -> Option<u64> {
    named(&audit.entries(scope, 0, 1000).await)
        .or(named(&audit.entries(scope, 2, 1000).await))
        .or(named(&audit.entries(scope, 3, 1000).await))
}

#[tokio::test]
async fn deleted_moved_and_repeated_records_are_named_when_they_are_read() {
    for (what, change, seq) in CHANGES {
        let (house, _) = small().await;
        let audit = house.open().await;
        let (key, _) = stream(&mut house.vault.copy(), "t_a");
        alter(&house, &key, change);
        let scope = house.scope("t_a", Env::Dev).await;
        assert_eq!(first_fault(&audit, &scope).await, Some(seq), "{what}");
        let why = audit.frozen().unwrap_or_default().to_owned();
        assert!(
            why.starts_with(&format!("t_a/dev at seq {seq}")),
            "{what}: {why}"
        );
        let other = house.scope("t_b", Env::Dev).await;
        assert_eq!(audit.entries(&other, 0, 1000).await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn a_shortened_log_is_noticed_by_the_next_append() {
    let (house, _) = small().await;
    let audit = house.open().await;
    let signed = house.epochs(&audit);
    let (key, _) = stream(&mut house.vault.copy(), "t_a");
    alter(&house, &key, |stream| {
        stream.events.split_off(&2);
        stream.head = 1;
    });
    // As many as were cut off and more, so that the number looks right in the next round.
    for n in 0..6 {
        let _ = audit.record(event("t_a", Env::Dev, "u_1", n)).await;
    }
    audit.turn().await;
    assert_eq!(house.epochs(&audit), signed);
    assert!(
        audit.frozen().unwrap().contains("t_a/dev"),
        "{:?}",
        audit.frozen()
    );
}

#[tokio::test]
async fn the_logs_of_two_tenants_cannot_be_swapped() {
    let (house, held) = small().await;
    let before = read(&house, &house.open().await).await.unwrap();
    let mut altered = held.clone();
    let ((a, in_a), (b, in_b)) = (stream(&mut altered, "t_a"), stream(&mut altered, "t_b"));
    altered.streams.insert(a, in_b);
    altered.streams.insert(b, in_a);
    restore(&house, &altered);
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    assert_eq!(named(&audit.entries(&scope, 0, 10).await), Some(1));
    let heads = held.keys_of("audit-heads");
    let mut altered = held.clone();
    let values: Vec<_> = heads
        .iter()
        .map(|key| held.documents[key].clone())
        .collect();
    altered
        .documents
        .insert(heads[0].clone(), values[1].clone());
    altered
        .documents
        .insert(heads[1].clone(), values[0].clone());
    restore(&house, &altered);
    assert!(noticed(&house, &before).await.is_some());
}

/// A record that is not in the tree yet and belongs to someone else is not shown.
#[tokio::test]
async fn a_foreign_record_at_the_end_is_neither_shown_nor_integrated() {
    let (house, held) = small().await;
    let audit = house.open().await;
    let mut copy = held.clone();
    let foreign = stream(&mut copy, "t_b").1.events[&1].clone();
    let (key, _) = stream(&mut copy, "t_a");
    alter(&house, &key, |stream| {
        stream.head += 1;
        stream.events.insert(stream.head, foreign);
    });
    let scope = house.scope("t_a", Env::Dev).await;
    let fifth = Seq::try_from(5).unwrap();
    let shown = audit.entry(&scope, fifth).await;
    assert_eq!(named(&shown.map(Vec::from_iter)), Some(5));
    let signed = house.epochs(&audit);
    let _ = audit.record(event("t_a", Env::Dev, "u_1", 9)).await;
    audit.turn().await;
    assert_eq!(house.epochs(&audit), signed);
    let reopened = house.try_open().await.unwrap();
    assert!(reopened.frozen().unwrap().contains("t_a/dev at seq 5"));
}
