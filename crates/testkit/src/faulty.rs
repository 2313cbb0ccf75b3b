//! Engines that fail when told to.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use store::{
    AppendError, Appended, Batch, Blobs, Bounds, CommitError, Cursor, Disposition, DocKey,
    Document, Documents, EventLog, Listing, NewEvent, ObjectHead, ObjectKey, Partition,
    PresignedPost, PresignedUrl, Read, StoreError, StreamKey, Tail, UploadPromise, Version,
};

/// An engine in front of another, which answers `Unavailable` when told to.
///
/// What fails does not reach the engine behind it.
pub struct Faulty<T> {
    inner: T,
    down: AtomicBool,
    next: AtomicU32,
    left: AtomicU32,
}

impl<T> Faulty<T> {
    /// In front of `inner`, failing nothing yet.
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            down: AtomicBool::new(false),
            next: AtomicU32::new(0),
            left: AtomicU32::new(u32::MAX),
        }
    }

    /// Fails the next `calls`.
    pub fn fail_next(&self, calls: u32) {
        self.next.store(calls, Ordering::SeqCst);
    }

    /// Fails every call from now on, or none.
    pub fn set_down(&self, down: bool) {
        self.left.store(u32::MAX, Ordering::SeqCst);
        self.down.store(down, Ordering::SeqCst);
    }

    /// Answers the next `calls`, and fails every one after them until [`Faulty::set_down`]:
    /// what is left when a process is killed between two of its steps.
    pub fn fail_after(&self, calls: u32) {
        self.left.store(calls, Ordering::SeqCst);
    }

    /// The engine behind it, which does not fail.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    fn reach(&self) -> Result<&T, StoreError> {
        let one_less = |left: u32| left.checked_sub(1);
        let order = Ordering::SeqCst;
        let counted = self.next.fetch_update(order, order, one_less).is_ok();
        let endless = |left: u32| match left {
            u32::MAX => Some(left),
            left => left.checked_sub(1),
        };
        let over = self.left.fetch_update(order, order, endless).is_err();
        if counted || over || self.down.load(order) {
            return Err(StoreError::Unavailable("made to fail".to_owned()));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl<T: Documents> Documents for Faulty<T> {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.reach()?.get(key).await
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.reach()?.list(partition, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.reach()?.commit(batch).await
    }
}

#[async_trait]
impl<T: EventLog> EventLog for Faulty<T> {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        self.reach()?.append(stream, event).await
    }
    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.reach()?.read(stream, after, limit).await
    }
    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.reach()?.bounds(stream).await
    }
    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        self.reach()?.tail(stream, after).await
    }
    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        self.reach()?.trim(stream, up_to).await
    }
}

#[async_trait]
impl<T: Blobs> Blobs for Faulty<T> {
    async fn presign_post(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedPost, StoreError> {
        self.reach()?.presign_post(key, promise, life).await
    }
    async fn presign_put(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        self.reach()?.presign_put(key, promise, life).await
    }
    async fn presign_get(
        &self,
        key: &ObjectKey,
        disposition: &Disposition,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        self.reach()?.presign_get(key, disposition, life).await
    }
    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError> {
        self.reach()?.head(key).await
    }
    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        content_type: &str,
        body: Bytes,
    ) -> Result<bool, StoreError> {
        self.reach()?.put_if_absent(key, content_type, body).await
    }
    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StoreError> {
        self.reach()?.get(key).await
    }
    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.reach()?.delete(key).await
    }
}
