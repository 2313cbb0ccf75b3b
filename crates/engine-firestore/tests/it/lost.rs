//! Commits that nobody answers: each ends in the answer that is true.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use store::{Batch, CommitError, Documents, Version};
use tokio::task::JoinHandle;

use crate::{
    proxy::Proxy,
    subject::{Store, conflict, expecting, open},
};

/// A store, and a way to it that can be broken.
struct Broken {
    store: Store,
    proxy: Proxy,
    far: Arc<dyn Documents>,
}

impl Broken {
    async fn open() -> Self {
        let store = open().await;
        let proxy = Proxy::to(&store.address).await;
        let far = store.another(&proxy.address.to_string()).await;
        // The connection is made now.
        far.ping().await.unwrap();
        let far = far.documents();
        Self { store, proxy, far }
    }

    /// Commits over the way that is broken.
    fn commit(&self, batch: Batch) -> JoinHandle<Result<Version, CommitError>> {
        let far = Arc::clone(&self.far);
        tokio::spawn(async move { far.commit(batch).await })
    }

    /// Waits until a document has another version than this.
    async fn changed(&self, id: &str, from: Option<Version>) -> Version {
        let near = self.store.documents();
        loop {
            let found = near.get(&self.store.key(id)).await.unwrap();
            if let Some(found) = found.filter(|found| Some(found.version) != from) {
                return found.version;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_and_not_answered_is_told_as_done() {
    let broken = Broken::open().await;
    let (near, head) = (broken.store.documents(), broken.store.key("head"));
    let first = near.commit(Batch::new().put(&head, "0")).await.unwrap();
    let wire = broken.proxy.wire();
    wire.hold_answers();
    let commit = broken.commit(Batch::new().expect_version(&head, first).put(&head, "1"));
    let done = broken.changed("head", Some(first)).await;
    wire.cut();
    assert_eq!(commit.await.unwrap(), Ok(done));
    assert_eq!(broken.store.number(&*near, &head).await, (1, Some(done)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_told_so_also_after_others_wrote_on_top_of_it() {
    let broken = Broken::open().await;
    let (near, head) = (broken.store.documents(), broken.store.key("head"));
    let wire = broken.proxy.wire();
    wire.hold_answers();
    let commit = broken.commit(Batch::new().expect_absent(&head).put(&head, "mine"));
    let done = broken.changed("head", None).await;
    let theirs = Batch::new()
        .expect_version(&head, done)
        .put(&head, "theirs");
    near.commit(theirs).await.unwrap();
    near.commit(Batch::new().delete(&head)).await.unwrap();
    wire.cut();
    assert_eq!(commit.await.unwrap(), Ok(done));
    assert_eq!(near.get(&head).await, Ok(None), "it was done once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_arrived_is_sent_again_and_not_done_when_it_arrives_late() {
    let broken = Broken::open().await;
    let (near, key) = (broken.store.documents(), broken.store.key("k"));
    let wire = broken.proxy.wire();
    wire.hold_requests();
    let commit = broken.commit(Batch::new().expect_absent(&key).put(&key, "1"));
    // The first try is on its way and held.
    tokio::time::sleep(Duration::from_millis(300)).await;
    wire.cut();
    let done = commit.await.unwrap().unwrap();
    assert_eq!(broken.store.number(&*near, &key).await, (1, Some(done)));
    near.commit(Batch::new().delete(&key)).await.unwrap();
    // Now it would do what it was to do: there is no document.
    let before = wire.answered();
    wire.release();
    wire.answered_more_than(before).await;
    assert_eq!(near.get(&key).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_one_for_good_whatever_arrives_late() {
    let broken = Broken::open().await;
    let (near, key) = (broken.store.documents(), broken.store.key("k"));
    let wire = broken.proxy.wire();
    wire.hold_requests();
    let commit = broken.commit(Batch::new().expect_absent(&key).put(&key, "late"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    near.commit(Batch::new().put(&key, "theirs")).await.unwrap();
    wire.cut();
    assert_eq!(commit.await.unwrap(), conflict(&key));
    near.commit(Batch::new().delete(&key)).await.unwrap();
    let before = wire.answered();
    wire.release();
    wire.answered_more_than(before).await;
    assert_eq!(
        near.get(&key).await,
        Ok(None),
        "what was told to have failed is not done"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_without_expectations_is_done_once() {
    let broken = Broken::open().await;
    let (near, key) = (broken.store.documents(), broken.store.key("k"));
    let wire = broken.proxy.wire();
    wire.hold_answers();
    let commit = broken.commit(Batch::new().put(&key, "1"));
    let done = broken.changed("k", None).await;
    let later = near.commit(Batch::new().put(&key, "2")).await.unwrap();
    wire.cut();
    assert_eq!(commit.await.unwrap(), Ok(done));
    assert_eq!(broken.store.number(&*near, &key).await, (2, Some(later)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_cuts_each_acknowledged_increment_is_there_once() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 12;
    let broken = Arc::new(Broken::open().await);
    let writers = (0..WRITERS).map(|_| {
        let broken = Arc::clone(&broken);
        tokio::spawn(async move {
            let head = broken.store.key("head");
            let mut done = 0;
            while done < EACH {
                let Ok(read) = broken.far.get(&head).await else {
                    continue;
                };
                let number = read.as_ref().map_or(0, |found| {
                    std::str::from_utf8(&found.value)
                        .unwrap()
                        .parse::<u64>()
                        .unwrap()
                });
                let batch = expecting(&head, read.map(|found| found.version));
                match broken
                    .far
                    .commit(batch.put(&head, (number + 1).to_string()))
                    .await
                {
                    Ok(_) => done += 1,
                    Err(CommitError::Conflict(key)) => assert_eq!(key, head),
                    Err(CommitError::Store(error)) => panic!("no definite answer: {error}"),
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let cutting = {
        let broken = Arc::clone(&broken);
        tokio::spawn(async move {
            for cut in 0.. {
                tokio::time::sleep(Duration::from_millis(150 + 37 * (cut % 7))).await;
                broken.proxy.cut_all();
            }
        })
    };
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    cutting.abort();
    let (sum, _) = broken
        .store
        .number(&*broken.store.documents(), &broken.store.key("head"))
        .await;
    assert_eq!(sum, WRITERS * EACH);
}
