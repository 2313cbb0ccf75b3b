//! What the laws do not say: versions of strangers, the same value twice, large batches.

use store::{Batch, DOCUMENT_BYTES_MAX, Listing, StoreError, Version};

use crate::subject::{conflict, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_of_a_stranger_is_a_conflict() {
    let store = open().await;
    let (documents, key) = (store.documents(), store.key("k"));
    let version = documents.commit(Batch::new().put(&key, "x")).await.unwrap();
    for strange in [
        0,
        1,
        7,
        version.0 + 1,
        version.0 + 2,
        version.0 - 2,
        u64::MAX,
        u64::MAX - 1,
        1 << 62,
    ] {
        let batch = Batch::new()
            .expect_version(&key, Version(strange))
            .put(&key, "y");
        assert_eq!(documents.commit(batch).await, conflict(&key), "{strange}");
    }
    let batch = Batch::new().expect_version(&key, version).put(&key, "x");
    let again = documents.commit(batch).await.unwrap();
    assert_ne!(again, version, "the same value is a new state");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contradictions_and_repetitions_are_told_apart() {
    let store = open().await;
    let (documents, key) = (store.documents(), store.key("k"));
    let version = documents.commit(Batch::new().put(&key, "x")).await.unwrap();
    let both = Batch::new()
        .expect_version(&key, version)
        .expect_absent(&key);
    assert_eq!(documents.commit(both).await, conflict(&key));
    let both = Batch::new()
        .expect_absent(&key)
        .expect_version(&key, version);
    assert_eq!(documents.commit(both).await, conflict(&key));
    let twice = Batch::new()
        .expect_version(&key, version)
        .expect_version(&key, version);
    documents.commit(twice.delete(&key)).await.unwrap();
    let absent = Batch::new().expect_absent(&key).delete(&key);
    documents.commit(absent).await.unwrap();
    documents.commit(Batch::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_is_carried_out_and_listed() {
    let store = open().await;
    let documents = store.documents();
    // The emulator takes 4 MiB at a time; the service takes 10.
    let count = 7;
    let batch = (0..count).fold(Batch::new(), |batch, n| {
        batch.put(
            &store.key(&format!("{n:02}")),
            vec![n as u8; DOCUMENT_BYTES_MAX],
        )
    });
    let version = documents.commit(batch).await.unwrap();
    let listing = Listing {
        limit: 1000,
        ..Listing::default()
    };
    let page = documents.list(&store.partition(), &listing).await.unwrap();
    assert_eq!(page.len(), count);
    for (n, found) in page.iter().enumerate() {
        assert_eq!(found.version, version);
        assert_eq!(found.value.len(), DOCUMENT_BYTES_MAX);
        assert!(found.value.iter().all(|byte| usize::from(*byte) == n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_and_cursors_that_no_document_has_are_no_failure() {
    let store = open().await;
    let documents = store.documents();
    for id in [".", "..", "__id__", "=", "/", "a//b", "__"] {
        documents
            .commit(Batch::new().put(&store.key(id), id.to_owned()))
            .await
            .unwrap();
        let found = documents.get(&store.key(id)).await.unwrap().unwrap();
        assert_eq!(
            (found.id.as_str(), found.value.as_ref()),
            (id, id.as_bytes())
        );
    }
    let long = "x".repeat(2000);
    for id in ["", long.as_str(), "never"] {
        assert_eq!(documents.get(&store.key(id)).await, Ok(None));
    }
    let listing = Listing {
        after: Some(long),
        limit: 1,
        ..Listing::default()
    };
    let refused = documents.list(&store.partition(), &listing).await;
    assert!(matches!(refused, Err(StoreError::Limit(_))), "{refused:?}");
}
