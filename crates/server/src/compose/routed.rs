//! The ports, each call of which goes to the backend that the registry names.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use control::RoutePlace;
use store::{
    AppendError, Appended, Batch, Blobs, Bounds, CommitError, Cursor, Disposition, DocKey,
    Document, Documents, EventLog, Listing, NewEvent, ObjectHead, ObjectKey, Partition,
    PresignedPost, PresignedUrl, Quota, Read, StoreError, StreamKey, Tail, Throttle, ThrottleKey,
    UploadPromise, Verdict, Version,
};

use super::{
    backend::Backend,
    late::Late,
    routed_tail,
    router::{Router, Served, named, nobodys, of_documents, of_key, of_stream},
};
use crate::needs::{self, Kind};

/// Documents, by the kind that their collection belongs to.
pub(super) struct RoutedDocuments(pub(super) Arc<Router>);

impl RoutedDocuments {
    async fn of(&self, partition: &Partition) -> Result<Arc<Backend>, StoreError> {
        let (kind, home) = of_documents(partition.home())?;
        Ok(self.0.serve_home(kind, &home).await?.backend)
    }
}

#[async_trait]
impl Documents for RoutedDocuments {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        let (kind, home) = of_key(key)?;
        let backend = self.0.serve_home(kind, &home).await?.backend;
        Documents::get(&*backend, key).await
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.of(partition).await?.list(partition, listing).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let expected = batch.expectations().iter().map(|(key, _)| key);
        let keys = expected.chain(batch.writes().iter().map(|(key, _)| key));
        match self.0.serve_batch(keys).await? {
            Some(backend) => backend.commit(batch).await,
            // Nothing is to be done, and nobody has to do it.
            None => Ok(Version(0)),
        }
    }
}

/// Event logs, by the kind that their rail belongs to.
pub(super) struct RoutedEvents(pub(super) Arc<Router>);

impl RoutedEvents {
    async fn of(&self, stream: &StreamKey) -> Result<(&'static Kind, Served), StoreError> {
        let (kind, home) = of_stream(stream.home())?;
        Ok((kind, self.0.serve_home(kind, &home).await?))
    }

    async fn to_read(&self, stream: &StreamKey) -> Result<Arc<Backend>, StoreError> {
        Ok(self.of(stream).await?.1.backend)
    }

    async fn to_write(&self, stream: &StreamKey) -> Result<Arc<Backend>, StoreError> {
        let (kind, served) = self.of(stream).await?;
        served.for_writing(kind)
    }
}

#[async_trait]
impl EventLog for RoutedEvents {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        self.to_write(stream).await?.append(stream, event).await
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.to_read(stream).await?.read(stream, after, limit).await
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.to_read(stream).await?.bounds(stream).await
    }

    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        let backend = self.to_read(stream).await?;
        let tail = backend.tail(stream, after).await?;
        Ok(routed_tail::follow(&self.0, stream.clone(), backend, tail))
    }

    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        self.to_write(stream).await?.trim(stream, up_to).await
    }
}

/// Rates, by their tenant.
pub(super) struct RoutedThrottle(pub(super) Arc<Router>);

#[async_trait]
impl Throttle for RoutedThrottle {
    async fn take(
        &self,
        key: &ThrottleKey,
        quota: Quota,
        cost: u32,
    ) -> Result<Verdict, StoreError> {
        let tenant = key.tenant();
        let place = RoutePlace::of_tenant(&tenant.ok_or_else(|| nobodys("a rate"))?);
        let served = self.0.serve(named(needs::RATE_LIMIT)?, &place).await?;
        served.backend.take(key, quota, cost).await
    }
}

/// Objects of one kind.
pub(super) struct RoutedBlobs {
    kind: &'static str,
    router: Arc<Router>,
    late: Late,
}

impl RoutedBlobs {
    pub(super) fn new(kind: &'static str, router: Arc<Router>) -> Self {
        Self {
            kind,
            router,
            late: Late::new(),
        }
    }

    async fn of(&self, key: &ObjectKey) -> Result<(&'static Kind, Served), StoreError> {
        let kind = named(self.kind)?;
        let place = RoutePlace::of_env(key.tenant(), key.env());
        Ok((kind, self.router.serve(kind, &place).await?))
    }

    async fn to_read(&self, key: &ObjectKey) -> Result<Arc<Backend>, StoreError> {
        Ok(self.of(key).await?.1.backend)
    }

    async fn to_write(&self, key: &ObjectKey) -> Result<Arc<Backend>, StoreError> {
        let (kind, served) = self.of(key).await?;
        served.for_writing(kind)
    }
}

#[async_trait]
impl Blobs for RoutedBlobs {
    async fn presign_post(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedPost, StoreError> {
        let backend = self.to_write(key).await?;
        backend.presign_post(key, promise, life).await
    }

    async fn presign_put(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let backend = self.to_write(key).await?;
        backend.presign_put(key, promise, life).await
    }

    async fn presign_get(
        &self,
        key: &ObjectKey,
        disposition: &Disposition,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let backend = self.to_read(key).await?;
        backend.presign_get(key, disposition, life).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError> {
        let (kind, served) = self.of(key).await?;
        let found = served.backend.head(key).await?;
        if found.is_some() {
            return Ok(found);
        }
        let former = self.router.former(kind, key).await?;
        if former.is_empty() || !self.late.fetch(&former, served, kind, key).await? {
            return Ok(None);
        }
        self.to_read(key).await?.head(key).await
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        content_type: &str,
        body: Bytes,
    ) -> Result<bool, StoreError> {
        let backend = self.to_write(key).await?;
        backend.put_if_absent(key, content_type, body).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StoreError> {
        let backend = self.to_read(key).await?;
        Blobs::get(&*backend, key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.to_write(key).await?.delete(key).await
    }
}
