//! An audit log over engines in memory that count what is read of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use identity::{Clock, Entropy, Env, Recorded, RequestId, Scope, SystemAuthority, Timestamp};
use store::{
    AppendError, Appended, Batch, Bounds, CommitError, Cursor, DocKey, Document, Documents,
    EventLog, Listing, NewEvent, Partition, Read, StoreError, StreamKey, Tail, Version,
};
use tenantry_audit::{
    Actor, DatasetEvent, Target, TargetId,
    service::{Audit, AuditConfig, AuditDeps, Entry, Filter, Retention, WrappingKey},
};
use testkit::{FakeClock, Faulty, MemoryDocuments, MemoryEventLog, World};

use crate::world::{self, label};

pub(crate) const TENANT: &str = "t_a";

/// Documents and events that were returned.
#[derive(Default)]
pub(crate) struct Count {
    read: AtomicUsize,
    /// Whether no event can be removed.
    pub(crate) no_trims: AtomicBool,
    /// Whether the keys that are listed next are destroyed at once.
    pub(crate) erase_next: AtomicBool,
}

impl Count {
    /// How many were read since the last call.
    pub(crate) fn take(&self) -> usize {
        self.read.swap(0, Ordering::SeqCst)
    }
    fn add(&self, more: usize) {
        self.read.fetch_add(more, Ordering::SeqCst);
    }
}

pub(crate) struct Counted<T> {
    inner: T,
    count: Arc<Count>,
}

#[async_trait]
impl Documents for Counted<MemoryDocuments> {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.count.add(1);
        self.inner.get(key).await
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        let found = self.inner.list(partition, listing).await?;
        self.count.add(found.len());
        let keys = listing.prefix.starts_with("subject/") && !found.is_empty();
        if keys && self.count.erase_next.swap(false, Ordering::SeqCst) {
            let erased = found.iter().fold(Batch::new(), |batch, row| {
                let key = row.id.rsplit('/').next().unwrap();
                batch
                    .delete(&DocKey::new(partition, row.id.clone()))
                    .delete(&DocKey::new(partition, format!("key/{key}")))
            });
            self.inner.commit(erased).await.unwrap();
        }
        Ok(found)
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.inner.commit(batch).await
    }
}

#[async_trait]
impl EventLog for Counted<MemoryEventLog> {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        self.inner.append(stream, event).await
    }
    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        let read = self.inner.read(stream, after, limit).await?;
        if let Read::Page { events, .. } = &read {
            self.count.add(events.len());
        }
        Ok(read)
    }
    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.inner.bounds(stream).await
    }
    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        self.inner.tail(stream, after).await
    }
    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        if self.count.no_trims.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("made to fail".to_owned()));
        }
        self.inner.trim(stream, up_to).await
    }
}

/// The log, its engines and a member of [`TENANT`].
pub(crate) struct Desk {
    pub(crate) documents: Arc<Faulty<Counted<MemoryDocuments>>>,
    pub(crate) events: Arc<Faulty<Counted<MemoryEventLog>>>,
    pub(crate) count: Arc<Count>,
    pub(crate) world: World,
    pub(crate) audit: Arc<Audit>,
    pub(crate) scope: Scope,
    /// Holds from the next time on that the log is opened.
    pub(crate) retention: Option<Retention>,
    folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let world = World::new();
        let count = Arc::new(Count::default());
        let documents = Arc::new(Faulty::new(Counted {
            inner: MemoryDocuments::new(Arc::new(FakeClock::default())),
            count: Arc::clone(&count),
        }));
        let events = Arc::new(Faulty::new(Counted {
            inner: MemoryEventLog::default(),
            count: Arc::clone(&count),
        }));
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder, None);
        let deps = deps(&world, documents.clone(), events.clone());
        let audit = Audit::open(deps, config).await.unwrap();
        let scope = world.scope(TENANT, Env::Prod, "u_owner").await;
        Self {
            documents,
            events,
            count,
            world,
            audit,
            scope,
            retention: None,
            folder,
        }
    }

    /// Stops, and begins again with what is stored, which is sound.
    pub(crate) async fn reopen(&mut self) {
        self.reopen_whatever().await;
        assert_eq!(self.audit.frozen(), None);
    }

    /// Stops, and begins again with what is stored.
    pub(crate) async fn reopen_whatever(&mut self) {
        let deps = deps(&self.world, self.documents.clone(), self.events.clone());
        self.audit = Audit::open(deps, config(&self.folder, self.retention))
            .await
            .unwrap();
    }

    /// Records an event; gives its seq.
    pub(crate) async fn put(&self, event: DatasetEvent) -> u64 {
        match self.audit.record(event).await.unwrap() {
            Recorded::Durable { seq } => seq,
            degraded @ Recorded::Degraded { .. } => panic!("{degraded:?}"),
        }
    }

    /// All records that `filter` takes, page after page of `limit`; each page gets on.
    pub(crate) async fn ask(&self, filter: &Filter, limit: usize) -> Vec<Entry> {
        let mut found: Vec<Entry> = Vec::new();
        let mut after = 0;
        loop {
            let page = self.audit.query(&self.scope, filter, after, limit).await;
            let page = page.unwrap();
            assert!(page.entries.len() <= limit);
            found.extend(page.entries);
            assert!(found.is_sorted_by(|a, b| a.seq < b.seq));
            match page.next {
                Some(next) => {
                    assert!(next > after, "a page gets on");
                    after = next;
                }
                None => return found,
            }
        }
    }

    /// All records that are there.
    pub(crate) async fn all(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map_or(0, |entry| entry.seq.get());
            let some = self.audit.entries(&self.scope, after, 1000).await.unwrap();
            if some.is_empty() {
                return entries;
            }
            entries.extend(some);
        }
    }

    /// The stream of a tenant's records.
    pub(crate) fn stream(tenant: &str) -> StreamKey {
        let authority = SystemAuthority::assume();
        let tenant = tenant.parse().unwrap();
        StreamKey::of_tenant(&authority, &tenant, Env::Prod, "audit", "log")
    }

    /// The first record of a tenant that is stored.
    pub(crate) async fn stored_from(&self, tenant: &str) -> u64 {
        let bounds = self.events.bounds(&Self::stream(tenant)).await;
        bounds.unwrap().oldest
    }

    /// The pages of the index.
    pub(crate) async fn pages(&self) -> Vec<(DocKey, Document)> {
        let authority = SystemAuthority::assume();
        let tenant = TENANT.parse().unwrap();
        let partition = Partition::of_tenant(&authority, &tenant, "audit-index");
        let listing = Listing {
            limit: 1000,
            ..Listing::default()
        };
        let pages = self.documents.list(&partition, &listing).await.unwrap();
        let pages = pages.into_iter();
        pages
            .map(|page| (DocKey::new(&partition, page.id.clone()), page))
            .collect()
    }
}

fn config(folder: &tempfile::TempDir, retention: Option<Retention>) -> AuditConfig {
    AuditConfig {
        spool: folder.path().join("spool"),
        anchor: None,
        former_keys: Vec::new(),
        predecessors: Vec::new(),
        epoch_every: Duration::from_secs(1),
        retention,
    }
}

fn deps(world: &World, documents: Arc<dyn Documents>, events: Arc<dyn EventLog>) -> AuditDeps {
    AuditDeps {
        documents,
        events,
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        entropy: Arc::clone(&world.entropy) as Arc<dyn Entropy>,
        authority: SystemAuthority::assume(),
        signers: world::signers(2),
        wrapping: WrappingKey::parse(&BASE64_STANDARD.encode([9; 32])).unwrap(),
        training: Arc::new(Nobody),
    }
}

/// Nobody allows training.
struct Nobody;

#[async_trait]
impl tenantry_audit::service::TrainingPolicy for Nobody {
    async fn training(
        &self,
        _: &identity::TenantId,
        _: &identity::UserId,
    ) -> tenantry_audit::Training {
        tenantry_audit::Training {
            allowed: false,
            source: "system".into(),
            version: 1,
        }
    }
}

/// What `actor` did to `target`, each a user's id or a name, at a time.
pub(crate) fn deed(
    actor: &str,
    action: &str,
    target: &str,
    trace: &str,
    time: Timestamp,
) -> DatasetEvent {
    let user = "u_unnamed".parse().unwrap();
    let event = world::event(&TENANT.parse().unwrap(), Env::Prod, &user, 0);
    DatasetEvent {
        actor: match actor.parse() {
            Ok(id) => Actor::User { id, role: None },
            Err(_) => Actor::System(label(actor)),
        },
        target: Some(Target {
            kind: label("thing"),
            id: match target.parse() {
                Ok(id) => TargetId::User(id),
                Err(_) => TargetId::Thing(target.into()),
            },
        }),
        action: label(action),
        request_id: RequestId::parse(trace).unwrap(),
        time,
        personal: Vec::new(),
        ..event
    }
}
