//! The laws of [`Documents`].

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;

use super::{Subject, soon};
use crate::{
    BATCH_BYTES_MAX, BATCH_STEPS_MAX, Batch, CommitError, DOCUMENT_BYTES_MAX,
    DOCUMENT_ID_BYTES_MAX, DocKey, Document, Documents, LIST_LIMIT_MAX, Listing, Partition,
    StoreError, Version,
};

/// One test per law of `Documents`; `$subject` is an async function that opens a fresh engine.
#[macro_export]
macro_rules! documents_contract {
    ($subject:path) => {
        $crate::contract_tests!(
            documents,
            $subject,
            [
                law_1_what_was_committed_is_read_also_after_a_crash,
                law_2_a_conflict_changes_nothing_and_names_the_first_key,
                law_3_a_batch_is_seen_whole_or_not_at_all,
                law_4_lists_are_ordered_by_bytes_and_paged,
                law_5_partitions_are_apart,
                law_6_from_its_end_on_a_document_does_not_exist,
                law_7_a_version_is_never_given_twice,
                law_8_of_racing_commits_exactly_one_succeeds,
                law_9_what_exceeds_a_limit_changes_nothing,
            ]
        );
    };
}

type Port = dyn Subject<dyn Documents>;

async fn put(port: &dyn Documents, key: &DocKey, value: &'static str) -> Version {
    soon(port.commit(Batch::new().put(key, value)))
        .await
        .expect("a put without expectations succeeds")
}

async fn value(port: &dyn Documents, key: &DocKey) -> Option<Bytes> {
    read(port, key).await.map(|document| document.value)
}

async fn read(port: &dyn Documents, key: &DocKey) -> Option<Document> {
    soon(port.get(key)).await.expect("a get succeeds")
}

async fn ids(port: &dyn Documents, partition: &Partition, listing: Listing) -> Vec<String> {
    let page = soon(port.list(partition, &listing))
        .await
        .expect("a list succeeds");
    page.into_iter().map(|document| document.id).collect()
}

fn all() -> Listing {
    Listing {
        limit: LIST_LIMIT_MAX,
        ..Listing::default()
    }
}

/// Law 1. Commits puts and deletes, and reads them before and after a restart.
pub async fn law_1_what_was_committed_is_read_also_after_a_crash(subject: &Port) {
    let partition = Partition::in_scope(&subject.scopes().one, "law_1");
    let (kept, replaced, gone) = (
        DocKey::new(&partition, "kept"),
        DocKey::new(&partition, "replaced"),
        DocKey::new(&partition, "gone"),
    );
    let port = subject.port();
    put(&*port, &kept, "first").await;
    put(&*port, &replaced, "old").await;
    put(&*port, &gone, "soon deleted").await;
    let version = soon(port.commit(Batch::new().put(&replaced, "new").delete(&gone)))
        .await
        .expect("a batch without expectations succeeds");
    for reopened in [false, true] {
        if reopened {
            drop(subject.port());
            subject.reopen().await;
        }
        let port = subject.port();
        assert_eq!(value(&*port, &kept).await, Some("first".into()));
        let found = read(&*port, &replaced).await.expect("it was put");
        assert_eq!(found.id, "replaced");
        assert_eq!((found.value, found.version), ("new".into(), version));
        assert_eq!(read(&*port, &gone).await, None);
        assert_eq!(ids(&*port, &partition, all()).await, ["kept", "replaced"]);
    }
}

/// Law 2. Tries batches whose expectations fail, and finds everything as it was.
pub async fn law_2_a_conflict_changes_nothing_and_names_the_first_key(subject: &Port) {
    let port = subject.port();
    let partition = Partition::in_scope(&subject.scopes().one, "law_2");
    let key = |id: &str| DocKey::new(&partition, id);
    let stale = put(&*port, &key("a"), "a0").await;
    let fresh = put(&*port, &key("a"), "a1").await;
    put(&*port, &key("b"), "b0").await;
    let writes = |batch: Batch| {
        batch
            .put(&key("new"), "x")
            .delete(&key("b"))
            .put(&key("a"), "y")
    };
    let attempts = [
        (Batch::new().expect_version(&key("a"), stale), "a"),
        (Batch::new().expect_absent(&key("a")), "a"),
        (
            Batch::new().expect_version(&key("missing"), fresh),
            "missing",
        ),
        (
            Batch::new()
                .expect_version(&key("a"), fresh)
                .expect_absent(&key("b"))
                .expect_absent(&key("a")),
            "b",
        ),
    ];
    for (expectations, first) in attempts {
        let refused = soon(port.commit(writes(expectations))).await;
        assert_eq!(refused, Err(CommitError::Conflict(key(first))));
        assert_eq!(value(&*port, &key("a")).await, Some("a1".into()));
        assert_eq!(ids(&*port, &partition, all()).await, ["a", "b"]);
    }
    let held = Batch::new()
        .expect_version(&key("a"), fresh)
        .expect_absent(&key("new"));
    soon(port.commit(writes(held)))
        .await
        .expect("expectations that hold let the batch through");
    assert_eq!(ids(&*port, &partition, all()).await, ["a", "new"]);
}

/// Law 3. Writes one number to three places at once while others read them in both orders.
pub async fn law_3_a_batch_is_seen_whole_or_not_at_all(subject: &Port) {
    const ROUNDS: u32 = 100;
    let here = Partition::in_scope(&subject.scopes().one, "law_3");
    let there = Partition::in_scope(&subject.scopes().other_tenant, "law_3");
    let keys = [
        DocKey::new(&here, "a"),
        DocKey::new(&here, "b"),
        DocKey::new(&there, "a"),
    ];
    let port = subject.port();
    let writer = {
        let (port, keys) = (Arc::clone(&port), keys.clone());
        tokio::spawn(async move {
            for round in 1..=ROUNDS {
                let batch = keys
                    .iter()
                    .fold(Batch::new(), |batch, key| batch.put(key, round.to_string()));
                soon(port.commit(batch)).await.expect("the writer commits");
            }
        })
    };
    soon(watch(&*port, &here, &keys, ROUNDS)).await;
    soon(writer).await.expect("the writer ends");
}

/// Reads until `rounds` is seen everywhere, and checks that no read sees half a batch.
async fn watch(port: &dyn Documents, here: &Partition, keys: &[DocKey; 3], rounds: u32) {
    let [near, _, far] = keys;
    let mut seen = 0;
    while seen < rounds {
        let page = port.list(here, &all()).await.expect("a list succeeds");
        let values: HashSet<Bytes> = page.iter().map(|document| document.value.clone()).collect();
        assert!(
            values.len() <= 1 && page.len() % 2 == 0,
            "half a batch: {page:?}"
        );
        for (first, second) in [(near, far), (far, near)] {
            let earlier = number(port, first).await;
            let later = number(port, second).await;
            assert!(later >= earlier, "{second:?} is behind {first:?}");
            seen = later;
        }
        tokio::task::yield_now().await;
    }
}

async fn number(port: &dyn Documents, key: &DocKey) -> u32 {
    let Some(value) = value(port, key).await else {
        return 0;
    };
    let text = std::str::from_utf8(&value).expect("a number was written");
    text.parse().expect("a number was written")
}

/// Law 4. Lists ids that sort differently by letters than by bytes, in pages, by prefix.
pub async fn law_4_lists_are_ordered_by_bytes_and_paged(subject: &Port) {
    let port = subject.port();
    let partition = Partition::in_scope(&subject.scopes().one, "law_4");
    let mut expected = [
        "a",
        "a-1",
        "a/1",
        "a/10",
        "a/2",
        "a0",
        "aa",
        "B",
        "b",
        "ä",
        "z",
        "\u{10ffff}",
        "%",
        "_",
        "a_",
        "A",
        "a%",
        "~",
    ];
    for id in expected {
        put(&*port, &DocKey::new(&partition, id), "x").await;
    }
    expected.sort_unstable_by_key(|id| id.as_bytes().to_vec());
    assert_eq!(ids(&*port, &partition, all()).await, expected);
    for limit in [1, 5, 17, 18] {
        let mut paged = Vec::new();
        loop {
            let page = Listing {
                after: paged.last().cloned(),
                limit,
                ..Listing::default()
            };
            let page = ids(&*port, &partition, page).await;
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
            assert!(paged.len() <= expected.len(), "pages of {limit} repeat ids");
        }
        assert_eq!(paged, expected, "in pages of {limit}");
    }
    let select = |prefix: &str, after: Option<&str>, limit| Listing {
        prefix: prefix.to_owned(),
        after: after.map(str::to_owned),
        limit,
    };
    let select = |prefix, after, limit| ids(&*port, &partition, select(prefix, after, limit));
    assert_eq!(select("a/", None, 10).await, ["a/1", "a/10", "a/2"]);
    assert_eq!(select("a/", Some("a/1"), 10).await, ["a/10", "a/2"]);
    assert_eq!(select("a/", Some("a"), 2).await, ["a/1", "a/10"]);
    assert!(select("a/", Some("a/2"), 10).await.is_empty());
    assert_eq!(select("\u{10ffff}", None, 10).await, ["\u{10ffff}"]);
    assert_eq!(select("", None, 0).await, ["%"], "a limit is at least 1");
    let most = select("", None, usize::MAX).await;
    assert_eq!(most, expected, "a limit is clamped");
}

/// Law 5. Keeps one id in every kind of partition, and changes one at a time.
pub async fn law_5_partitions_are_apart(subject: &Port) {
    let port = subject.port();
    let scopes = subject.scopes();
    let partitions = [
        Partition::in_scope(&scopes.one, "law_5"),
        Partition::in_scope(&scopes.one, "law_5x"),
        Partition::in_scope(&scopes.other_tenant, "law_5"),
        Partition::in_scope(&scopes.other_env, "law_5"),
        Partition::of_tenant(&scopes.system, scopes.one.tenant(), "law_5"),
        Partition::of_tenant(&scopes.system, scopes.other_tenant.tenant(), "law_5"),
        Partition::of_system(&scopes.system, "law_5"),
    ];
    let keys: Vec<DocKey> = partitions.iter().map(|p| DocKey::new(p, "same")).collect();
    for key in &keys {
        assert_eq!(read(&*port, key).await, None, "{} leaks", key.partition);
        let batch = Batch::new()
            .expect_absent(key)
            .put(key, key.partition.as_str().to_owned());
        soon(port.commit(batch)).await.expect("it is absent here");
    }
    for (at, key) in keys.iter().enumerate() {
        soon(port.commit(Batch::new().delete(key)))
            .await
            .expect("a delete succeeds");
        for (other_at, other) in keys.iter().enumerate() {
            let present = other_at > at;
            let expected = present.then(|| Bytes::from(other.partition.as_str().to_owned()));
            assert_eq!(value(&*port, other).await, expected, "{}", other.partition);
            let listed = ids(&*port, &other.partition, all()).await;
            assert_eq!(listed.len(), usize::from(present), "{}", other.partition);
        }
    }
}

/// Law 6. Lets documents end, to the millisecond.
pub async fn law_6_from_its_end_on_a_document_does_not_exist(subject: &Port) {
    let port = subject.port();
    let partition = Partition::in_scope(&subject.scopes().one, "law_6");
    let [ends, prolonged] = ["ends", "prolonged"].map(|id| DocKey::new(&partition, id));
    let end = subject.now().plus(Duration::from_secs(3));
    let batch = Batch::new()
        .put_until(&ends, "x", end)
        .put_until(&prolonged, "x", end);
    let version = soon(port.commit(batch)).await.expect("a put succeeds");
    put(&*port, &prolonged, "y").await;
    let ends_at = async |key| read(&*port, key).await.and_then(|found| found.expires_at);
    assert_eq!(ends_at(&ends).await, Some(end), "a read says when");
    assert_eq!(ends_at(&prolonged).await, None, "the last put says");
    subject.advance(Duration::from_millis(2_999)).await;
    if subject.now() < end {
        assert_eq!(value(&*port, &ends).await, Some("x".into()));
    }
    subject.advance(Duration::from_millis(1)).await;
    assert!(subject.now() >= end);
    assert_eq!(read(&*port, &ends).await, None);
    assert_eq!(ids(&*port, &partition, all()).await, ["prolonged"]);
    let still = soon(port.commit(Batch::new().expect_version(&ends, version))).await;
    assert_eq!(still, Err(CommitError::Conflict(ends.clone())));
    let again = Batch::new().expect_absent(&ends).put(&ends, "again");
    soon(port.commit(again)).await.expect("it is absent");
    assert_eq!(value(&*port, &ends).await, Some("again".into()));
    subject.advance(Duration::from_secs(60)).await;
    assert_eq!(value(&*port, &ends).await, Some("again".into()));
}

/// Law 7. Puts, deletes, lets end and restarts, and never meets a version again.
pub async fn law_7_a_version_is_never_given_twice(subject: &Port) {
    let partition = Partition::in_scope(&subject.scopes().one, "law_7");
    let (key, mate) = (DocKey::new(&partition, "a"), DocKey::new(&partition, "b"));
    let mut given = HashSet::new();
    for round in 0..4 {
        let port = subject.port();
        for _ in 0..3 {
            let batch = Batch::new().put(&key, "same").put(&mate, "same");
            let version = soon(port.commit(batch)).await.expect("a put succeeds");
            assert!(given.insert(version), "{version:?} was given before");
            for key in [&key, &mate] {
                let found = read(&*port, key).await.expect("it was put");
                assert_eq!(found.version, version, "all puts of a batch share it");
            }
            soon(port.commit(Batch::new().delete(&key)))
                .await
                .expect("a delete succeeds");
        }
        drop(port);
        if round % 2 == 0 {
            subject.reopen().await;
        }
    }
}

/// Law 8. Lets commits race for one state of a key.
pub async fn law_8_of_racing_commits_exactly_one_succeeds(subject: &Port) {
    const RACERS: usize = 12;
    let port = subject.port();
    let key = DocKey::new(
        &Partition::in_scope(&subject.scopes().one, "law_8"),
        "raced",
    );
    let mut version = None;
    for _ in 0..15 {
        let attempts = (0..RACERS).map(|racer| {
            let (port, key) = (Arc::clone(&port), key.clone());
            let batch = match version {
                None => Batch::new().expect_absent(&key),
                Some(version) => Batch::new().expect_version(&key, version),
            };
            tokio::spawn(async move { port.commit(batch.put(&key, racer.to_string())).await })
        });
        let outcomes = soon(join_all(attempts)).await;
        let mut winners = Vec::new();
        for (racer, outcome) in outcomes.into_iter().enumerate() {
            match outcome.expect("no racer panics") {
                Ok(version) => winners.push((racer, version)),
                Err(error) => assert_eq!(error, CommitError::Conflict(key.clone())),
            }
        }
        assert_eq!(winners.len(), 1, "exactly one of {RACERS} wins");
        for (racer, won) in winners {
            assert_eq!(value(&*port, &key).await, Some(racer.to_string().into()));
            version = Some(won);
        }
    }
}

/// Law 9. Exceeds every limit by one, beside a write that would be in order.
pub async fn law_9_what_exceeds_a_limit_changes_nothing(subject: &Port) {
    let port = subject.port();
    let partition = Partition::in_scope(&subject.scopes().one, "law_9");
    let key = |id: String| DocKey::new(&partition, id);
    let with_puts = |count: usize, bytes: usize| {
        (0..count).fold(Batch::new(), |batch, n| {
            batch.put(&key(format!("n{n}")), vec![0; bytes])
        })
    };
    let good = || Batch::new().put(&key("good".to_owned()), "x");
    let refused = [
        with_puts(BATCH_STEPS_MAX + 1, 1),
        with_puts(BATCH_STEPS_MAX, 1).expect_absent(&key("n1".to_owned())),
        with_puts(BATCH_BYTES_MAX / DOCUMENT_BYTES_MAX + 1, DOCUMENT_BYTES_MAX),
        good().put(&key("big".to_owned()), vec![0; DOCUMENT_BYTES_MAX + 1]),
        good().put(&key(String::new()), "x"),
        good().put(&key("x".repeat(DOCUMENT_ID_BYTES_MAX + 1)), "x"),
        good().put(&key("line\nbreak".to_owned()), "x"),
        good().expect_absent(&key("nul\0".to_owned())),
        good().delete(&key("good".to_owned())),
    ];
    for batch in refused {
        let answer = soon(port.commit(batch)).await;
        assert!(
            matches!(answer, Err(CommitError::Store(StoreError::Limit(_)))),
            "{answer:?}"
        );
        assert!(ids(&*port, &partition, all()).await.is_empty());
    }
    let longest = key("x".repeat(DOCUMENT_ID_BYTES_MAX));
    let largest = Batch::new().put(&longest, vec![7; DOCUMENT_BYTES_MAX]);
    soon(port.commit(largest))
        .await
        .expect("a limit itself is in order");
    let found = value(&*port, &longest).await.expect("it was put");
    assert!(found.len() == DOCUMENT_BYTES_MAX && found.iter().all(|byte| *byte == 7));
    soon(port.commit(with_puts(BATCH_STEPS_MAX, 1)))
        .await
        .expect("a limit itself is in order");
}
