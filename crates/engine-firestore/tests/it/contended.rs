//! Many writers of one document, and many who only expect something of it.

use std::sync::Arc;

use futures_util::future::join_all;
use store::{Batch, CommitError};

use crate::subject::{conflict, expecting, open};

/// Each of 64 writers adds one to the same number, until it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_writers_on_one_head_each_is_acknowledged_once() {
    const WRITERS: u64 = 64;
    let store = Arc::new(open().await);
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (documents, head) = (store.documents(), store.key("head"));
            loop {
                let (number, version) = store.number(&*documents, &head).await;
                let own = store.key(&format!("commit-{:03}", number + 1));
                let batch = expecting(&head, version)
                    .put(&head, (number + 1).to_string())
                    .expect_absent(&own)
                    .put(&own, writer.to_string());
                match documents.commit(batch).await {
                    Ok(_) => return number + 1,
                    Err(CommitError::Conflict(key)) => assert_eq!(key, head),
                    Err(CommitError::Store(error)) => panic!("no definite answer: {error}"),
                }
            }
        })
    });
    let mut numbers: Vec<u64> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (1..=WRITERS).collect::<Vec<_>>(),
        "each number is one writer's"
    );
    let (number, _) = store.number(&*store.documents(), &store.key("head")).await;
    assert_eq!(number, WRITERS);
}

/// A fence is expected by many and written by one: nothing commits behind it after it has fallen,
/// and those who expect it are not in each other's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_commits_behind_a_fence_after_it_fell() {
    const WRITERS: usize = 32;
    /// More than a writer gets done while the fence stands.
    const EACH_MAX: usize = 500;
    let store = Arc::new(open().await);
    let (documents, fence) = (store.documents(), store.key("fence"));
    let up = documents
        .commit(Batch::new().put(&fence, "up"))
        .await
        .unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let (store, documents, fence) = (Arc::clone(&store), Arc::clone(&documents), fence.clone());
        tokio::spawn(async move {
            let mut committed = Vec::new();
            loop {
                assert!(committed.len() < EACH_MAX, "the fence holds nobody");
                let own = store.key(&format!("w{writer}-{}", committed.len()));
                let batch = Batch::new().expect_version(&fence, up).put(&own, "x");
                match documents.commit(batch).await {
                    Ok(version) => committed.push(version),
                    refused => {
                        assert_eq!(refused, conflict(&fence), "none is in another's way");
                        assert_eq!(documents.get(&own).await, Ok(None));
                        return committed;
                    }
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let behind = store.key("w0-4");
    while documents.get(&behind).await.unwrap().is_none() {}
    let down = documents
        .commit(Batch::new().put(&fence, "down"))
        .await
        .unwrap();
    let committed: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    assert!(committed.len() >= 5, "some committed while it stood");
    // Versions of this engine are times of commits.
    let late = committed
        .iter()
        .filter(|version| version.0 >= down.0)
        .count();
    assert_eq!(late, 0, "of {} commits behind the fence", committed.len());
    let found = documents.get(&fence).await.unwrap().unwrap();
    assert_eq!(found.version, down, "expecting it did not write it");
}
