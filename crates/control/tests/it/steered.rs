//! Documents that take turns, and that can be held at a chosen read.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};
use testkit::MemoryDocuments;
use tokio::sync::{Mutex, Notify};

/// A read that has its answer, and waits to be let go.
#[derive(Default)]
pub struct Held {
    pub reached: Notify,
    pub release: Notify,
}

/// [`MemoryDocuments`] that yields before each call, so that joined futures interleave.
pub struct Steered {
    inner: MemoryDocuments,
    hold: Mutex<Option<(String, u32, Arc<Held>)>>,
    calls_until_failure: AtomicI64,
}

impl Steered {
    pub fn new(inner: MemoryDocuments) -> Self {
        Self {
            inner,
            hold: Mutex::default(),
            calls_until_failure: AtomicI64::new(i64::MAX),
        }
    }

    /// Holds the next read of a partition that ends with `suffix`, after it was read.
    pub async fn hold(&self, suffix: &str) -> Arc<Held> {
        self.hold_nth(suffix, 1).await
    }

    /// As [`Steered::hold`], the `nth` such read.
    pub async fn hold_nth(&self, suffix: &str, nth: u32) -> Arc<Held> {
        let held = Arc::new(Held::default());
        *self.hold.lock().await = Some((suffix.to_owned(), nth, Arc::clone(&held)));
        held
    }

    /// Fails the `nth` call from now on, the first being 1.
    pub fn fail_nth(&self, nth: i64) {
        self.calls_until_failure.store(nth, Ordering::SeqCst);
    }

    /// Calls so far, if none was to fail.
    pub fn calls(&self) -> i64 {
        i64::MAX - self.calls_until_failure.load(Ordering::SeqCst)
    }

    async fn turn(&self) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        match self.calls_until_failure.fetch_sub(1, Ordering::SeqCst) {
            1 => Err(StoreError::Unavailable("made to fail".to_owned())),
            _ => Ok(()),
        }
    }

    async fn wait_if_held(&self, partition: &Partition) {
        let mut hold = self.hold.lock().await;
        let Some((suffix, left, held)) = hold.as_mut() else {
            return;
        };
        if !partition.as_str().ends_with(suffix.as_str()) {
            return;
        }
        *left -= 1;
        if *left > 0 {
            return;
        }
        let held = Arc::clone(held);
        *hold = None;
        drop(hold);
        held.reached.notify_one();
        held.release.notified().await;
    }
}

/// The same documents for the control plane and for the test that steers them.
pub struct Shared(pub Arc<Steered>);

#[async_trait]
impl Documents for Shared {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.0.turn().await?;
        let found = self.0.inner.get(key).await;
        self.0.wait_if_held(&key.partition).await;
        found
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.0.turn().await?;
        let found = self.0.inner.list(partition, listing).await;
        self.0.wait_if_held(partition).await;
        found
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.0.turn().await?;
        self.0.inner.commit(batch).await
    }
}
