//! Commits to one canvas over Firestore, told on Redis: how often its one head document is written.
//!
//! The baseline is what 64 clients do who change one document of the same engine without a canvas: each
//! reads it and commits what it makes of it, until nobody was faster. The nodes run in the measuring
//! process and share its cores with the emulator.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use canvas::Mode;
use engine_redis::{Redis, RedisConfig, RedisCredentials};
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};

use super::{
    SUBJECT,
    house::{Desks, Engines, House},
};
use crate::{
    ambient::SystemEntropy,
    append::{Appender, Side, WRITERS, drive},
    cloud::{Project, RedisServer},
    scope::of_one_tenant,
    stats::median_ratio,
    table::Row,
};

const ROUND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 10;
const VALUE_BYTES: usize = 300;
/// Nodes, and clients of all of them together.
const LOADS: [(usize, usize, &str); 4] = [
    (1, 1, "1 client"),
    (1, WRITERS, "64 clients, rebased"),
    (2, WRITERS, "64 clients at 2 nodes, rebased"),
    (3, WRITERS, "64 clients at 3 nodes, rebased"),
];

/// How often heads of canvases are written.
#[derive(Default)]
struct Counts {
    heads: AtomicU64,
    conflicts: AtomicU64,
}

/// Documents of one node.
struct Counted {
    inner: Arc<dyn Documents>,
    counts: Arc<Counts>,
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
        self.inner.list(partition, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let mut written = batch.writes().iter().map(|(key, _)| key);
        let is_head = written.any(|key| key.id.ends_with("/head"));
        let made = self.inner.commit(batch).await;
        let counter = match &made {
            Ok(_) => &self.counts.heads,
            Err(_) => &self.counts.conflicts,
        };
        counter.fetch_add(is_head.into(), Ordering::Relaxed);
        made
    }
}

/// One document that all writers change.
struct Contended {
    documents: Arc<dyn Documents>,
    head: DocKey,
    value: Bytes,
}

#[async_trait]
impl Appender for Contended {
    async fn append(&self, _: usize, _: u64) -> Result<()> {
        loop {
            let found = self.documents.get(&self.head).await?;
            let batch = match found {
                Some(found) => Batch::new().expect_version(&self.head, found.version),
                None => Batch::new().expect_absent(&self.head),
            };
            let batch = batch.put(&self.head, self.value.clone());
            match self.documents.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Measures every load in interleaved rounds.
///
/// # Errors
/// When there is no emulator or no `redis-server`, or a commit fails.
pub(super) async fn measure() -> Result<Vec<Row>> {
    let server = RedisServer::start()?;
    let mut rows = Vec::new();
    for (at, (nodes, clients, load)) in LOADS.into_iter().enumerate() {
        eprintln!("canvas: {load}, {ROUNDS} rounds on Firestore");
        // The emulator's queries cost what all documents of a project cost.
        let project = Project::fresh()?;
        let counts = Arc::new(Counts::default());
        let mut houses = Vec::with_capacity(nodes);
        for _ in 0..nodes {
            houses.push(Arc::new(node(&project, &server, &counts).await?));
        }
        let canvases = vec![format!("cv_{at}"); clients];
        let desks = Desks::open(&houses, &canvases, Mode::Rebase).await?;
        counts.heads.store(0, Ordering::Relaxed);
        let bare = Contended::on(&project).await?;
        rows.extend(compare(clients, load, desks, bare, &counts, &houses).await?);
    }
    Ok(rows)
}

/// A node with connections of its own.
async fn node(project: &Project, server: &RedisServer, counts: &Arc<Counts>) -> Result<House> {
    let config = RedisConfig::new(server.url())?;
    let credentials = RedisCredentials::default();
    let redis = Redis::connect(&config, &credentials, Arc::new(SystemEntropy)).await?;
    let documents = Counted {
        inner: project.documents().await?,
        counts: Arc::clone(counts),
    };
    House::over(Engines {
        documents: Arc::new(documents),
        log: redis.events(),
        throttle: redis.throttle(),
    })
    .await
}

impl Contended {
    async fn on(project: &Project) -> Result<Self> {
        let partition = Partition::in_scope(&of_one_tenant().await?, "bench");
        Ok(Self {
            documents: project.documents().await?,
            head: DocKey::new(&partition, "contended"),
            value: Bytes::from(vec![b'x'; VALUE_BYTES]),
        })
    }
}

async fn compare(
    clients: usize,
    load: &str,
    ours: Desks,
    bare: Contended,
    counts: &Counts,
    nodes: &[Arc<House>],
) -> Result<[Row; 2]> {
    let (ours, bare): (Arc<dyn Appender>, Arc<dyn Appender>) = (Arc::new(ours), Arc::new(bare));
    let (mut our_side, mut bare_side) = (Side::new(), Side::new());
    let mut commits = 0;
    for round in 0..ROUNDS {
        for is_ours in [false, true] {
            let (appender, side) = if is_ours {
                (&ours, &mut our_side)
            } else {
                (&bare, &mut bare_side)
            };
            let started = Instant::now();
            let driven = drive(Arc::clone(appender), clients, round, ROUND).await?;
            side.enter(&driven, started.elapsed());
            commits += if is_ours { driven.acknowledged } else { 0 };
        }
    }
    let ratio = median_ratio(&our_side.rates, &bare_side.rates);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let refused: u64 = nodes.iter().map(|node| count(&node.contended)).sum();
    let (heads, conflicts) = (count(&counts.heads), count(&counts.conflicts));
    let mut row = our_side.row(SUBJECT, format!("one canvas on Firestore, {load}"));
    let per_commit = heads as f64 / commits as f64;
    row.detail = format!(
        "{}; {per_commit:.3} writes of the head per commit, {conflicts} lost to others, {refused} refused",
        row.detail
    );
    Ok([
        bare_side.row(SUBJECT, format!("bare: one document, {clients} writers")),
        row.compared(ratio, None),
    ])
}
