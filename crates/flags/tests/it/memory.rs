//! What is remembered: for how long, how much, and not past a change.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use identity::Precondition;
use parking_lot::Mutex;
use serde_json::json;
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};
use tenantry_flags::{
    Context,
    LayerName::{System, Tenant},
};
use testkit::MemoryDocuments;

use super::{
    node::{Node, over},
    rules::definition,
};

const HALF: Duration = Duration::from_millis(500);

/// Documents that count what they are asked, `get G` and `list L`.
struct Counted {
    inner: MemoryDocuments,
    asked: Mutex<(u32, u32)>,
}

impl Counted {
    fn since(&self) -> (u32, u32) {
        std::mem::take(&mut self.asked.lock())
    }
}

#[async_trait]
impl Documents for Counted {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.asked.lock().0 += 1;
        tokio::task::yield_now().await;
        self.inner.get(key).await
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.asked.lock().1 += 1;
        tokio::task::yield_now().await;
        self.inner.list(partition, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.inner.commit(batch).await
    }
}

#[tokio::test]
async fn the_store_is_asked_seldom_and_for_little() {
    let node = Node::new().await;
    let counted = Arc::new(Counted {
        inner: MemoryDocuments::new(node.world.clock.clone()),
        asked: Mutex::default(),
    });
    let flags = over(&node.world, counted.clone());
    let (any, on) = (Precondition::Any, definition(&json!({})));
    flags
        .put(&node.admin, Tenant, &"f".parse().unwrap(), &on, &any)
        .await
        .unwrap();
    counted.since();
    let ask = || async {
        let nobody = Context::new();
        let answer = flags.evaluate(&node.admin, "f", &nobody).await;
        assert!(answer.unwrap().is_on());
    };
    ask().await;
    assert_eq!(counted.since(), (0, 2), "both layers are loaded");
    ask().await;
    assert_eq!(counted.since(), (0, 0), "and then remembered");
    node.world.clock.advance(HALF);
    futures_of(20, &ask).await;
    assert_eq!(counted.since(), (2, 0), "one of many compares the heads");
    node.world.clock.advance(HALF * 2);
    futures_of(20, &ask).await;
    assert_eq!(counted.since(), (2, 0), "also when all have to wait for it");
}

async fn futures_of<F: Future<Output = ()>>(count: usize, make: &impl Fn() -> F) {
    let mut all: Vec<_> = (0..count).map(|_| Box::pin(make())).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

#[tokio::test]
async fn another_node_sees_a_change_within_a_second() {
    let node = Node::new().await;
    let other = node.another();
    node.put(Tenant, "f", &json!({})).await;
    let there = || async {
        let seen = other.evaluate(&node.admin, "f", &Context::new()).await;
        seen.unwrap().is_on()
    };
    assert!(there().await);
    node.put(Tenant, "f", &json!({"enabled": false})).await;
    node.put(System, "f", &json!({"mode": "locked", "enabled": false}))
        .await;
    assert!(!node.is_on("f").await, "here it is seen at once");
    node.world.clock.advance(HALF * 2);
    assert!(!there().await);
}
