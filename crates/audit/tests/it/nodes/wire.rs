//! The way of one node to the store that it shares: it can stand still, and be cut.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use store::{
    AppendError, Appended, Batch, Bounds, CommitError, Cursor, DocKey, Document, Documents,
    EventLog, Listing, NewEvent, Partition, Read, StoreError, StreamKey, Tail, Version,
};
use tokio::sync::watch;

/// What happens to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// It goes through.
    Open,
    /// It waits until the way is another one, as in a process that was stopped.
    Still,
    /// It fails.
    Cut,
}

#[derive(Default)]
struct Plan {
    calls: u64,
    /// What the call with this number and all after it meet.
    at: Option<(u64, Way)>,
}

/// A node's engine.
pub(crate) struct Wire {
    documents: Arc<dyn Documents>,
    events: Arc<dyn EventLog>,
    plan: Mutex<Plan>,
    way: watch::Sender<Way>,
    /// Whether appends to audit logs stand still, and nothing else.
    late: watch::Sender<bool>,
}

impl Wire {
    pub(crate) fn new(documents: Arc<dyn Documents>, events: Arc<dyn EventLog>) -> Arc<Self> {
        Arc::new(Self {
            documents,
            events,
            plan: Mutex::default(),
            way: watch::Sender::new(Way::Open),
            late: watch::Sender::new(false),
        })
    }

    pub(crate) fn set(&self, way: Way) {
        self.plan.lock().unwrap().at = None;
        self.way.send_replace(way);
    }

    /// After so many calls from now on the way is this one.
    pub(crate) fn set_after(&self, calls: u64, way: Way) {
        let mut plan = self.plan.lock().unwrap();
        plan.at = Some((plan.calls + calls, way));
    }

    pub(crate) fn set_late(&self, late: bool) {
        self.late.send_replace(late);
    }

    /// Whether a way that was to change has changed.
    pub(crate) fn has_changed(&self) -> bool {
        *self.way.borrow() != Way::Open
    }

    async fn pass(&self) -> Result<(), StoreError> {
        {
            let mut plan = self.plan.lock().unwrap();
            if let Some((_, way)) = plan.at.filter(|(at, _)| plan.calls >= *at) {
                plan.at = None;
                self.way.send_replace(way);
            }
            plan.calls += 1;
        }
        let mut way = self.way.subscribe();
        let way = way.wait_for(|way| *way != Way::Still).await;
        match way.map(|way| *way) {
            Ok(Way::Open) => Ok(()),
            _ => Err(StoreError::Unavailable("the node is cut off".to_owned())),
        }
    }
}

#[async_trait]
impl Documents for Wire {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.pass().await?;
        self.documents.get(key).await
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.pass().await?;
        self.documents.list(partition, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.pass().await?;
        self.documents.commit(batch).await
    }
}

#[async_trait]
impl EventLog for Wire {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        self.pass().await?;
        if stream.rail() == "audit" {
            let mut late = self.late.subscribe();
            let _ = late.wait_for(|late| !late).await;
        }
        self.events.append(stream, event).await
    }
    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.pass().await?;
        self.events.read(stream, after, limit).await
    }
    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.pass().await?;
        self.events.bounds(stream).await
    }
    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        self.pass().await?;
        self.events.tail(stream, after).await
    }
    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        self.pass().await?;
        self.events.trim(stream, up_to).await
    }
}
