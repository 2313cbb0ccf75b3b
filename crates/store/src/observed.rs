//! Engines as they are seen from outside: how long each call takes, how it ends, and where it
//! stands in a trace.
//!
//! Start at [`documents`], [`events`], [`blobs`], [`throttle`] and [`bus`]: each wraps an engine, decides
//! nothing and translates nothing. Metrics are `tenantry_store_seconds`, a histogram of all calls
//! by `engine`, `port` and `operation`, and `tenantry_store_errors_total`, the failures of the
//! engine by `kind` as well. A document that is not as expected and an idempotency key that was
//! used before are answers, not failures. Install the metrics recorder first.
//!
//! **Invariant:** what is measured and traced are names of engines, ports and operations; never a
//! key, a value, or the text of an error.

mod nodes;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use identity::TRACE;
use metrics::{Counter, Histogram, counter, histogram};
use tokio::time::Instant;
use tracing::{Instrument, debug_span, field::Empty};

use crate::{
    AppendError, Appended, Batch, Blobs, Bounds, CommitError, Cursor, Disposition, DocKey,
    Document, Documents, EventLog, Listing, NewEvent, ObjectHead, ObjectKey, Partition,
    PresignedPost, PresignedUrl, Quota, Read, StoreError, StreamKey, Tail, Throttle, ThrottleKey,
    UploadPromise, Verdict, Version,
};

/// `engine`, measured and traced.
#[must_use]
pub fn documents(port: Arc<dyn Documents>, engine: &'static str) -> Arc<dyn Documents> {
    let operation = |name| Operation::new(engine, "documents", name);
    Arc::new(ObservedDocuments {
        get: operation("get"),
        list: operation("list"),
        commit: operation("commit"),
        port,
    })
}

pub use nodes::bus;

/// `engine`, measured and traced. A tail is measured until it is open.
#[must_use]
pub fn events(port: Arc<dyn EventLog>, engine: &'static str) -> Arc<dyn EventLog> {
    let operation = |name| Operation::new(engine, "events", name);
    Arc::new(ObservedEvents {
        append: operation("append"),
        read: operation("read"),
        bounds: operation("bounds"),
        tail: operation("tail"),
        trim: operation("trim"),
        port,
    })
}

/// `engine`, measured and traced.
#[must_use]
pub fn blobs(port: Arc<dyn Blobs>, engine: &'static str) -> Arc<dyn Blobs> {
    let operation = |name| Operation::new(engine, "blobs", name);
    Arc::new(ObservedBlobs {
        presign: operation("presign"),
        head: operation("head"),
        put: operation("put_if_absent"),
        get: operation("get"),
        delete: operation("delete"),
        port,
    })
}

/// `engine`, measured and traced.
#[must_use]
pub fn throttle(port: Arc<dyn Throttle>, engine: &'static str) -> Arc<dyn Throttle> {
    Arc::new(ObservedThrottle {
        take: Operation::new(engine, "throttle", "take"),
        port,
    })
}

/// One operation of one engine.
struct Operation {
    engine: &'static str,
    port: &'static str,
    name: &'static str,
    seconds: Histogram,
    unavailable: Counter,
    read_only: Counter,
    corrupt: Counter,
    limit: Counter,
}

impl Operation {
    fn new(engine: &'static str, port: &'static str, name: &'static str) -> Self {
        let labels = [("engine", engine), ("port", port), ("operation", name)];
        let errors = |kind: &'static str| {
            let labels = [labels.as_slice(), &[("kind", kind)]].concat();
            counter!("tenantry_store_errors_total", &labels)
        };
        Self {
            engine,
            port,
            name,
            seconds: histogram!("tenantry_store_seconds", &labels),
            unavailable: errors("unavailable"),
            read_only: errors("read_only"),
            corrupt: errors("corrupt"),
            limit: errors("limit"),
        }
    }

    async fn observe<T, E: Failure>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let span = debug_span!(
            target: TRACE,
            "store",
            otel.name = format_args!("{} {}", self.port, self.name),
            otel.kind = "client",
            otel.status_code = Empty,
            engine = self.engine,
        );
        let began = Instant::now();
        let answer = call.instrument(span.clone()).await;
        let failure = answer.as_ref().err().and_then(Failure::failure);
        self.ended(began.elapsed(), failure);
        if failure.is_some() {
            span.record("otel.status_code", "error");
        }
        answer
    }

    fn ended(&self, took: Duration, failure: Option<&StoreError>) {
        self.seconds.record(took.as_secs_f64());
        match failure {
            None => {}
            Some(StoreError::Unavailable(_)) => self.unavailable.increment(1),
            Some(StoreError::ReadOnly(_)) => self.read_only.increment(1),
            Some(StoreError::Corrupt(_)) => self.corrupt.increment(1),
            Some(StoreError::Limit(_)) => self.limit.increment(1),
        }
    }
}

/// What of an answer is a failure of the engine.
trait Failure {
    fn failure(&self) -> Option<&StoreError>;
}

impl Failure for StoreError {
    fn failure(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl Failure for CommitError {
    fn failure(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Conflict(_) => None,
        }
    }
}

impl Failure for AppendError {
    fn failure(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::IdempotencyConflict => None,
        }
    }
}

struct ObservedDocuments {
    port: Arc<dyn Documents>,
    get: Operation,
    list: Operation,
    commit: Operation,
}

#[async_trait]
impl Documents for ObservedDocuments {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.get.observe(self.port.get(key)).await
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.list.observe(self.port.list(partition, listing)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.commit.observe(self.port.commit(batch)).await
    }
}

struct ObservedEvents {
    port: Arc<dyn EventLog>,
    append: Operation,
    read: Operation,
    bounds: Operation,
    tail: Operation,
    trim: Operation,
}

#[async_trait]
impl EventLog for ObservedEvents {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        self.append.observe(self.port.append(stream, event)).await
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.read
            .observe(self.port.read(stream, after, limit))
            .await
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.bounds.observe(self.port.bounds(stream)).await
    }

    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        self.tail.observe(self.port.tail(stream, after)).await
    }

    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        self.trim.observe(self.port.trim(stream, up_to)).await
    }
}

struct ObservedBlobs {
    port: Arc<dyn Blobs>,
    presign: Operation,
    head: Operation,
    put: Operation,
    get: Operation,
    delete: Operation,
}

#[async_trait]
impl Blobs for ObservedBlobs {
    async fn presign_post(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedPost, StoreError> {
        let form = self.port.presign_post(key, promise, life);
        self.presign.observe(form).await
    }

    async fn presign_put(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let url = self.port.presign_put(key, promise, life);
        self.presign.observe(url).await
    }

    async fn presign_get(
        &self,
        key: &ObjectKey,
        disposition: &Disposition,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let url = self.port.presign_get(key, disposition, life);
        self.presign.observe(url).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError> {
        self.head.observe(self.port.head(key)).await
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        content_type: &str,
        body: Bytes,
    ) -> Result<bool, StoreError> {
        let put = self.port.put_if_absent(key, content_type, body);
        self.put.observe(put).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StoreError> {
        self.get.observe(self.port.get(key)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.delete.observe(self.port.delete(key)).await
    }
}

struct ObservedThrottle {
    port: Arc<dyn Throttle>,
    take: Operation,
}

#[async_trait]
impl Throttle for ObservedThrottle {
    async fn take(
        &self,
        key: &ThrottleKey,
        quota: Quota,
        cost: u32,
    ) -> Result<Verdict, StoreError> {
        self.take.observe(self.port.take(key, quota, cost)).await
    }
}
