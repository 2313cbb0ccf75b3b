//! What ended, was forgotten or trimmed gives its space back.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use identity::{Clock as _, Env};
use rusqlite::Connection;
use store::{Batch, DocKey, IDEMPOTENCY_MS_MIN, Partition, StreamKey};

use crate::{child::append_number, subject::engine};

const PATIENCE: Duration = Duration::from_secs(20);

fn count(folder: &Path, table: &str) -> u64 {
    let connection = Connection::open(folder.join("tenantry.db")).unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    let rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
    rows.cast_unsigned()
}

/// Polls until `table` has `expected` rows.
async fn until(folder: &Path, table: &str, expected: u64) {
    let deadline = Instant::now() + PATIENCE;
    while count(folder, table) != expected {
        assert!(
            Instant::now() < deadline,
            "{table} has {}",
            count(folder, table)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_documents_are_deleted() {
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let partition = Partition::in_scope(&scope, "kind");
    let ends = subject.world.clock.now().plus(Duration::from_secs(1));
    let documents = subject.handle().documents();
    for group in 0..4 {
        let batch = (0..200).fold(Batch::new(), |batch, n| {
            batch.put_until(&DocKey::new(&partition, format!("{group}.{n}")), "x", ends)
        });
        documents.commit(batch).await.unwrap();
    }
    let kept = DocKey::new(&partition, "kept");
    documents
        .commit(Batch::new().put(&kept, "x"))
        .await
        .unwrap();
    assert_eq!(count(subject.folder(), "documents"), 801);
    subject.world.clock.advance(Duration::from_secs(1));
    until(subject.folder(), "documents", 1).await;
    assert!(documents.get(&kept).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimmed_events_and_forgotten_keys_take_no_space() {
    const EACH: u64 = 1_000;
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let streams: Vec<StreamKey> = (0..3)
        .map(|n| StreamKey::in_scope(&scope, "chat", &format!("th_{n}")))
        .collect();
    let log = subject.handle().events();
    for stream in &streams {
        join_all((1..=EACH).map(|number| append_number(&*log, stream, number))).await;
    }
    drop(log);
    // Closing indexes what was not indexed yet.
    subject.reopen().await;
    let log = subject.handle().events();
    log.trim(&streams[0], EACH).await.unwrap();
    log.trim(&streams[1], 700).await.unwrap();
    until(subject.folder(), "events", EACH + 300).await;
    until(subject.folder(), "trimmed", 0).await;
    let bounds = log.bounds(&streams[0]).await.unwrap();
    assert_eq!((bounds.oldest, bounds.head), (EACH + 1, EACH));
    let again = append_number(&*log, &streams[0], 5).await.unwrap();
    assert!(again.duplicate, "keys outlive their events");
    assert!(count(subject.folder(), "event_keys") > 0);

    subject
        .world
        .clock
        .advance(Duration::from_millis(IDEMPOTENCY_MS_MIN + 1));
    until(subject.folder(), "event_keys", 0).await;
    until(subject.folder(), "event_runs WHERE stream = 1", 0).await;
    drop(log);
    subject.reopen().await;
    let log = subject.handle().events();
    let forgotten = append_number(&*log, &streams[0], 5).await.unwrap();
    assert!(!forgotten.duplicate, "after a day a key is new again");
    assert_eq!(forgotten.cursor.seq, EACH + 1);
    let left = log.read(&streams[1], None, 1_000).await.unwrap();
    assert!(matches!(left, store::Read::Page { events, .. } if events.len() == 300));
}

fn found_in_folder(folder: &Path, needle: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|bytes| bytes.windows(needle.len()).any(|at| at == needle))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_document_that_was_deleted_is_not_found_in_the_files() {
    const SECRET: &str = "a wrapped key, 0x5eed";
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let partition = Partition::in_scope(&scope, "kind");
    let documents = subject.handle().documents();
    let batch = (0..20).fold(Batch::new(), |batch, n| {
        let text = if n == 7 { SECRET } else { "kept" };
        batch.put(&DocKey::new(&partition, format!("{n}")), text)
    });
    documents.commit(batch).await.unwrap();
    assert!(found_in_folder(subject.folder(), SECRET.as_bytes()));
    let gone = DocKey::new(&partition, "7");
    documents.commit(Batch::new().delete(&gone)).await.unwrap();
    drop(documents);
    // Closed, so that the write-ahead log is in the database.
    subject.close().await;
    assert!(!found_in_folder(subject.folder(), SECRET.as_bytes()));
    assert!(found_in_folder(subject.folder(), b"kept"));
}
