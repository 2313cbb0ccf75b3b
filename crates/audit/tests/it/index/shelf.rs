//! One index in a store that counts what is read.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use identity::SystemAuthority;
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};
use tenantry_audit::index::{Index, IndexError, IndexEvent, PLAN_STEPS_MAX, Pages, Plan};
use testkit::{FakeClock, MemoryDocuments};

/// Documents that count the documents that lists return.
struct Counted {
    inner: MemoryDocuments,
    read: AtomicUsize,
}

#[async_trait]
impl Documents for Counted {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.inner.get(key).await
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        let found = self.inner.list(partition, listing).await?;
        self.read.fetch_add(found.len(), Ordering::Relaxed);
        Ok(found)
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.inner.commit(batch).await
    }
}

/// The store, the head document in it, and the pages beside.
pub(super) struct Shelf {
    documents: Arc<Counted>,
    partition: Partition,
    head: DocKey,
    version: Option<Version>,
    pub(super) pages: Pages,
    /// As the head document has it.
    pub(super) index: Index,
}

impl Shelf {
    pub(super) fn new() -> Self {
        let documents = Arc::new(Counted {
            inner: MemoryDocuments::new(Arc::new(FakeClock::default())),
            read: AtomicUsize::new(0),
        });
        let partition = Partition::of_system(&SystemAuthority::assume(), "audit-index");
        Self {
            head: DocKey::new(&partition, "head"),
            version: None,
            pages: Pages::new(documents.clone(), partition.clone(), "prod/x/"),
            documents,
            partition,
            index: Index::new(),
        }
    }

    /// Advances, commits, and reads the state back.
    pub(super) async fn advance(&mut self, events: &[IndexEvent]) -> Result<bool, IndexError> {
        let plan = self.index.advance(&self.pages, events).await?;
        let more = plan.more;
        self.commit(plan).await;
        Ok(more)
    }

    /// Advances until nothing remains to be done.
    pub(super) async fn settle(&mut self) {
        while self.advance(&[]).await.unwrap() {}
    }

    pub(super) async fn commit(&mut self, plan: Plan) {
        assert!(plan.puts.len() + plan.deletes.len() <= PLAN_STEPS_MAX);
        let batch = match self.version {
            Some(version) => Batch::new().expect_version(&self.head, version),
            None => Batch::new().expect_absent(&self.head),
        };
        let mut batch = batch.put(&self.head, plan.next.encode());
        for (key, value) in plan.puts {
            let there = self.documents.get(&key).await.unwrap();
            assert_eq!(there, None, "a page is written once");
            batch = batch.put(&key, value);
        }
        for key in &plan.deletes {
            batch = batch.delete(key);
        }
        self.version = Some(self.documents.commit(batch).await.unwrap());
        self.reopen().await;
        assert_eq!(self.index, plan.next);
    }

    pub(super) async fn reopen(&mut self) {
        if let Some(head) = self.documents.get(&self.head).await.unwrap() {
            self.index = Index::decode(&head.value).unwrap();
        }
    }

    /// How many documents were read since the last call.
    pub(super) fn reads(&self) -> usize {
        self.documents.read.swap(0, Ordering::Relaxed)
    }

    /// All documents beside the head.
    pub(super) async fn stored(&self) -> Vec<Document> {
        let mut listing = Listing {
            prefix: "prod/x/".to_owned(),
            after: None,
            limit: 1000,
        };
        let mut all = Vec::new();
        loop {
            let page = self.documents.inner.list(&self.partition, &listing).await;
            let page = page.unwrap();
            let Some(last) = page.last() else {
                return all;
            };
            listing.after = Some(last.id.clone());
            all.extend(page);
        }
    }

    /// Replaces one page by other bytes, or removes it.
    pub(super) async fn tamper(&self, id: &str, bytes: Option<Vec<u8>>) {
        let key = DocKey::new(&self.partition, id);
        let batch = match bytes {
            Some(bytes) => Batch::new().put(&key, bytes),
            None => Batch::new().delete(&key),
        };
        self.documents.commit(batch).await.unwrap();
    }
}
