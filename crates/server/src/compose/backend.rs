//! A backend: one engine, as a row of the routing registry says, opened when it is first needed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use control::RouteTarget;
use futures_util::FutureExt;
use identity::{DirectoryUnavailable, SystemAuthority, TicketGrant, TicketOffice, Timestamp};
use store::{
    AppendError, Appended, Batch, BlobRelocation, Blobs, Bounds, Bus, CommitError, Cursor,
    Disposition, DocKey, Document, Documents, Epoch, EventLog, Hearing, Idempotency, ImportError,
    Listing, NewEvent, ObjectHead, ObjectKey, Partition, PresignedPost, PresignedUrl, Quota, Read,
    Relocation, StoreError, StreamKey, StreamsPage, Tail, Throttle, ThrottleKey, Topic,
    UploadPromise, Verdict, Version,
};
use tokio::sync::OnceCell;

use super::{
    carry::Objects,
    fuse::{CALL_MAX, Fuse, Outage, PAGE_MAX},
    open::Opener,
};

/// Why a backend does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Its row is wrong, or a secret is missing: the registry's own check names it too.
    Row(String),
    /// It is missing, silent, or refuses.
    Backend(String),
}

impl Trouble {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Row(why) | Self::Backend(why) => why,
        }
    }
}

/// Asks a backend whether it serves.
#[async_trait]
pub(super) trait Health: Send + Sync {
    /// Whether it does, as far as a look can tell.
    async fn check(&self) -> Result<(), String>;
}

/// What an open backend serves with.
pub(super) struct Opened {
    pub(super) documents: Option<Arc<dyn Documents>>,
    pub(super) events: Option<Arc<dyn EventLog>>,
    /// The same event logs, to be moved.
    pub(super) relocation: Option<Arc<dyn Relocation>>,
    pub(super) throttle: Option<Arc<dyn Throttle>>,
    pub(super) blobs: Option<Objects>,
    pub(super) bus: Option<Arc<dyn Bus>>,
    pub(super) tickets: Option<Arc<dyn TicketOffice>>,
    /// What an acknowledgement of it means.
    pub(super) durability: String,
    pub(super) health: Arc<dyn Health>,
}

/// One engine, behind a fuse if it is in the network.
pub(super) struct Backend {
    name: &'static str,
    target: RouteTarget,
    opener: Arc<Opener>,
    opened: OnceCell<Opened>,
    fuse: Option<Fuse>,
}

impl Backend {
    pub(super) fn new(name: &'static str, target: RouteTarget, opener: Arc<Opener>) -> Self {
        let fuse = (name != super::embedded::EMBEDDED).then(|| Fuse::new(name));
        Self {
            name,
            target,
            opener,
            opened: OnceCell::new(),
            fuse,
        }
    }

    /// Its name in the registry.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// The row's target that it serves.
    pub(super) const fn target(&self) -> &RouteTarget {
        &self.target
    }

    /// What an acknowledgement of it means, once it was opened.
    pub(super) fn durability(&self) -> Option<&str> {
        self.opened.get().map(|opened| opened.durability.as_str())
    }

    /// Opens it if need be, and asks whether it serves; for `within` at most.
    pub(super) async fn check(&self, within: Duration) -> Result<(), Trouble> {
        let asked = async {
            let opened = self.open().await?;
            opened.health.check().await.map_err(Trouble::Backend)
        };
        let silent = || Trouble::Backend(format!("{}: it does not answer", self.name));
        tokio::time::timeout(within, asked)
            .await
            .unwrap_or_else(|_| Err(silent()))
    }

    async fn open(&self) -> Result<&Opened, Trouble> {
        self.opened
            .get_or_try_init(|| self.opener.open(self.name, &self.target).boxed())
            .await
    }

    async fn opened(&self) -> Result<&Opened, StoreError> {
        let opened = self.open().await;
        opened.map_err(|trouble| StoreError::Unavailable(trouble.text().to_owned()))
    }

    async fn call<T, E: Outage>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.call_for(CALL_MAX, call).await
    }

    async fn call_for<T, E: Outage>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        match &self.fuse {
            Some(fuse) => fuse.call(within, call).await,
            None => call.await,
        }
    }

    fn lacks(&self, port: &str) -> StoreError {
        StoreError::Unavailable(format!("the backend {} has no {port}", self.name))
    }

    async fn documents(&self) -> Result<&dyn Documents, StoreError> {
        let opened = self.opened().await?.documents.as_deref();
        opened.ok_or_else(|| self.lacks("documents"))
    }

    async fn events(&self) -> Result<&dyn EventLog, StoreError> {
        let opened = self.opened().await?.events.as_deref();
        opened.ok_or_else(|| self.lacks("event log"))
    }

    async fn relocation(&self) -> Result<&dyn Relocation, StoreError> {
        let opened = self.opened().await?.relocation.as_deref();
        opened.ok_or_else(|| self.lacks("event log"))
    }

    async fn throttle(&self) -> Result<&dyn Throttle, StoreError> {
        let opened = self.opened().await?.throttle.as_deref();
        opened.ok_or_else(|| self.lacks("rates"))
    }

    async fn bus(&self) -> Result<&dyn Bus, StoreError> {
        let opened = self.opened().await?.bus.as_deref();
        opened.ok_or_else(|| self.lacks("bus"))
    }

    async fn tickets(&self) -> Result<&dyn TicketOffice, StoreError> {
        let opened = self.opened().await?.tickets.as_deref();
        opened.ok_or_else(|| self.lacks("tickets"))
    }

    async fn objects(&self) -> Result<&Objects, StoreError> {
        let opened = self.opened().await?.blobs.as_ref();
        opened.ok_or_else(|| self.lacks("objects"))
    }

    async fn blobs(&self) -> Result<&dyn Blobs, StoreError> {
        Ok(&*self.objects().await?.served)
    }

    /// Its objects for a move, past the fuse: an object may take longer than a call, and its transfer has ends of its own.
    pub(super) async fn movable_objects(&self) -> Result<Arc<dyn BlobRelocation>, StoreError> {
        Ok(Arc::clone(&self.objects().await?.movable))
    }
}

#[async_trait]
impl Documents for Backend {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.call(async { self.documents().await?.get(key).await })
            .await
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        let listed = async { self.documents().await?.list(partition, listing).await };
        self.call_for(PAGE_MAX, listed).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.call(async { self.documents().await?.commit(batch).await })
            .await
    }
}

#[async_trait]
impl EventLog for Backend {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        self.call(async { self.events().await?.append(stream, event).await })
            .await
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.call(async { self.events().await?.read(stream, after, limit).await })
            .await
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.call(async { self.events().await?.bounds(stream).await })
            .await
    }

    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        self.call(async { self.events().await?.tail(stream, after).await })
            .await
    }

    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        self.call(async { self.events().await?.trim(stream, up_to).await })
            .await
    }
}

#[async_trait]
impl Relocation for Backend {
    async fn streams(
        &self,
        authority: &SystemAuthority,
        after: Option<String>,
    ) -> Result<StreamsPage, StoreError> {
        let listed = async { self.relocation().await?.streams(authority, after).await };
        self.call_for(PAGE_MAX, listed).await
    }

    async fn keys(
        &self,
        stream: &StreamKey,
        now: Timestamp,
    ) -> Result<Vec<(u64, Idempotency)>, StoreError> {
        let listed = async { self.relocation().await?.keys(stream, now).await };
        self.call_for(PAGE_MAX, listed).await
    }

    async fn import(
        &self,
        stream: &StreamKey,
        after: Cursor,
        events: Vec<NewEvent>,
    ) -> Result<(), ImportError> {
        let imported = async { self.relocation().await?.import(stream, after, events).await };
        self.call_for(PAGE_MAX, imported).await
    }

    async fn renew(&self, stream: &StreamKey, epoch: Epoch) -> Result<(), StoreError> {
        self.call(async { self.relocation().await?.renew(stream, epoch).await })
            .await
    }

    async fn erase(&self, stream: &StreamKey, next: Epoch) -> Result<(), StoreError> {
        self.call(async { self.relocation().await?.erase(stream, next).await })
            .await
    }
}

#[async_trait]
impl Throttle for Backend {
    async fn take(
        &self,
        key: &ThrottleKey,
        quota: Quota,
        cost: u32,
    ) -> Result<Verdict, StoreError> {
        self.call(async { self.throttle().await?.take(key, quota, cost).await })
            .await
    }
}

#[async_trait]
impl Bus for Backend {
    async fn publish(&self, topic: &Topic, message: Bytes) -> Result<(), StoreError> {
        self.call(async { self.bus().await?.publish(topic, message).await })
            .await
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Hearing, StoreError> {
        self.call(async { self.bus().await?.subscribe(topic).await })
            .await
    }
}

#[async_trait]
impl TicketOffice for Backend {
    async fn grant(&self, grant: &TicketGrant) -> Result<String, DirectoryUnavailable> {
        self.call(async { self.tickets().await?.grant(grant).await })
            .await
    }

    async fn peek(&self, ticket: &str) -> Result<Option<TicketGrant>, DirectoryUnavailable> {
        self.call(async { self.tickets().await?.peek(ticket).await })
            .await
    }

    async fn consume(&self, ticket: &str) -> Result<bool, DirectoryUnavailable> {
        self.call(async { self.tickets().await?.consume(ticket).await })
            .await
    }
}

/// Signing asks nobody, so it needs no fuse.
#[async_trait]
impl Blobs for Backend {
    async fn presign_post(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedPost, StoreError> {
        self.blobs().await?.presign_post(key, promise, life).await
    }

    async fn presign_put(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        self.blobs().await?.presign_put(key, promise, life).await
    }

    async fn presign_get(
        &self,
        key: &ObjectKey,
        disposition: &Disposition,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let blobs = self.blobs().await?;
        blobs.presign_get(key, disposition, life).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError> {
        self.call(async { self.blobs().await?.head(key).await })
            .await
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        content_type: &str,
        body: Bytes,
    ) -> Result<bool, StoreError> {
        let stored = async {
            let blobs = self.blobs().await?;
            blobs.put_if_absent(key, content_type, body).await
        };
        self.call(stored).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StoreError> {
        self.call(async { self.blobs().await?.get(key).await })
            .await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.call(async { self.blobs().await?.delete(key).await })
            .await
    }
}
