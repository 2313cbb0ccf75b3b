//! Changes that wait for the same canvas, and are made durable together.

mod engines;
mod line;
mod members;
mod trouble;

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use identity::Scope;
use realtime::CanvasKey;
use serde_json::{Value, json};
use store::{
    Batch, CommitError, DocKey, Document, Documents, EventLog, Listing, Partition, Read,
    StoreError, Version,
};
use tenantry_canvas::{Applied, CanvasError, CanvasService, CommandBatch, Mode};
use testkit::{MemoryDocuments, MemoryEventLog, World};
use tokio::sync::Semaphore;

use crate::{
    house::{Ground, batch, canvas},
    oracle::{Oracle, commit_hash},
};

/// Documents that say how often heads are written, and fail or wait when told to.
pub(crate) struct Watched {
    inner: Arc<dyn Documents>,
    /// Writes of heads that were done, and those for which another node was faster.
    heads: AtomicUsize,
    lost: AtomicUsize,
    lists: AtomicUsize,
    /// So many calls are answered before one fails, once; `u32::MAX`: none fails.
    fails_after: AtomicU32,
    /// So many commits are answered before the answer of one is lost, once.
    loses_after: AtomicU32,
    /// Commits that may go on.
    gate: Semaphore,
}

fn is_due(counter: &AtomicU32) -> bool {
    let order = Ordering::SeqCst;
    let counted = counter.fetch_update(order, order, |left| match left {
        u32::MAX => None,
        0 => Some(u32::MAX),
        left => Some(left - 1),
    });
    counted == Ok(0)
}

fn away() -> StoreError {
    StoreError::Unavailable("made to fail".to_owned())
}

impl Watched {
    fn over(inner: Arc<dyn Documents>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            heads: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            fails_after: AtomicU32::new(u32::MAX),
            loses_after: AtomicU32::new(u32::MAX),
            gate: Semaphore::new(1 << 20),
        })
    }

    fn heads(&self) -> usize {
        self.heads.load(Ordering::SeqCst)
    }

    fn fail_after(&self, calls: u32) {
        self.fails_after.store(calls, Ordering::SeqCst);
    }

    /// Whether a failure was asked for that has not come.
    fn is_to_fail(&self) -> bool {
        self.fails_after.load(Ordering::SeqCst) != u32::MAX
    }

    fn lose_after(&self, commits: u32) {
        self.loses_after.store(commits, Ordering::SeqCst);
    }

    /// No commit goes on until [`Watched::open`].
    async fn shut(&self) {
        self.gate.acquire_many(1 << 20).await.unwrap().forget();
    }

    fn open(&self) {
        self.gate.add_permits(1 << 20);
    }

    fn reach(&self) -> Result<&dyn Documents, StoreError> {
        if is_due(&self.fails_after) {
            return Err(away());
        }
        Ok(&*self.inner)
    }
}

#[async_trait::async_trait]
impl Documents for Watched {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        // As a call over a network, it lets others go on.
        tokio::task::yield_now().await;
        self.reach()?.get(key).await
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.reach()?.list(partition, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let _pass = self.gate.acquire().await.unwrap();
        let mut written = batch.writes().iter().map(|(key, _)| key);
        if !written.any(|key| key.id.ends_with("/head")) {
            return self.reach()?.commit(batch).await;
        }
        tokio::task::yield_now().await;
        let made = self.reach()?.commit(batch).await;
        let counter = if made.is_ok() {
            &self.heads
        } else {
            &self.lost
        };
        counter.fetch_add(1, Ordering::SeqCst);
        if is_due(&self.loses_after) {
            return Err(away().into());
        }
        made
    }
}

/// One canvas on one node, over documents that are watched.
struct Place {
    ground: Ground,
    documents: Arc<Watched>,
    service: CanvasService,
    scope: Scope,
    key: CanvasKey,
}

impl Place {
    async fn memory() -> Self {
        let world = World::new();
        let documents = Arc::new(MemoryDocuments::new(world.clock.clone()));
        Self::over(documents, Arc::new(MemoryEventLog::default()), world).await
    }

    async fn over(inner: Arc<dyn Documents>, log: Arc<dyn EventLog>, world: World) -> Self {
        let documents = Watched::over(inner);
        let ground = Ground::over(documents.clone(), log, world);
        let service = ground.start();
        let scope = ground.scope("u_1").await;
        let key = canvas(&service, &scope, "cv_1").await;
        Self {
            ground,
            documents,
            service,
            scope,
            key,
        }
    }

    async fn send(&self, batch: &CommandBatch) -> Result<Applied, CanvasError> {
        self.service.submit(&self.scope, &self.key, batch).await
    }

    /// Sends all of them at once; they wait in this order.
    async fn send_all(&self, batches: &[CommandBatch]) -> Vec<Result<Applied, CanvasError>> {
        join_all(batches.iter().map(|batch| self.send(batch))).await
    }

    async fn rev(&self) -> u64 {
        self.service.view(&self.key).await.unwrap().rev
    }

    /// The log, which is one chain that makes the canvas, and was told in order and once.
    async fn log(&self) -> Vec<Value> {
        let view = self.service.view(&self.key).await.unwrap();
        let page = self.service.commits(&self.key, 0, 1000).await.unwrap();
        let log: Vec<Value> = page
            .items
            .iter()
            .map(|commit| serde_json::to_value(commit).unwrap())
            .collect();
        let (mut prev, mut oracle) = ("0".repeat(64), Oracle::default());
        for (at, commit) in log.iter().enumerate() {
            assert_eq!(commit["rev"], at + 1);
            assert_eq!(commit["prev_hash"], prev.as_str());
            assert_eq!(commit["commit_hash"], commit_hash(commit).as_str());
            if commit["restores"].is_null() {
                oracle.apply(commit);
                assert_eq!(commit["state_hash"], oracle.hash().as_str());
            }
            prev = commit["commit_hash"].as_str().unwrap().to_owned();
        }
        assert_eq!(view.rev, log.len() as u64);
        self.service.settle(&self.key).await.unwrap();
        let told = self.ground.log.read(self.key.stream(), None, 1000).await;
        let Ok(Read::Page { events, .. }) = told else {
            panic!("{told:?}")
        };
        let told = events.iter().map(|event| {
            let event: Value = serde_json::from_slice(&event.body).unwrap();
            event["data"]["rev"].as_u64().unwrap()
        });
        assert_eq!(told.collect::<Vec<_>>(), (1..=view.rev).collect::<Vec<_>>());
        log
    }

    /// That `answer` says of `batch` what the log says.
    fn check(log: &[Value], batch: &str, answer: &Applied) {
        let commit = &log[usize::try_from(answer.rev).unwrap() - 1];
        assert_eq!(commit["batch_id"], batch);
        assert_eq!(commit["state_hash"], answer.state_hash.to_string());
        assert_eq!(commit["epoch"], answer.epoch);
        assert_eq!(commit["commands"], json!(answer.effective));
        assert_eq!(commit["rebased_over"], json!(answer.rebased_over));
    }
}

fn make(node: &str) -> (&'static str, Value) {
    ("node.create", json!({"node": node, "type": "t"}))
}

fn set(node: &str, value: u64) -> (&'static str, Value) {
    ("node.update", json!({"node": node, "set": {"x": value}}))
}

/// Batches of one node each, all made for the revision `base`.
fn nodes(prefix: &str, count: usize, base: u64) -> Vec<CommandBatch> {
    let one = |n| {
        let name = format!("{prefix}{n}");
        batch(&name, base, Mode::Rebase, &[make(&name)])
    };
    (0..count).map(one).collect()
}
