//! Logs that begin at the same time.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use identity::Env;
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};

use super::{
    house::{House, event, put},
    vault::Vault,
};

/// Lets others go first before each call, so that all begin at once; counts commits.
struct Busy {
    vault: Arc<Vault>,
    commits: AtomicU64,
}

#[async_trait]
impl Documents for Busy {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        tokio::task::yield_now().await;
        self.vault.get(key).await
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.vault.list(partition, listing).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.vault.commit(batch).await
    }
}

#[tokio::test]
async fn logs_that_begin_at_once_get_their_slots_together() {
    const LOGS: usize = 500;
    let house = House::new();
    let busy = Arc::new(Busy {
        vault: Arc::clone(&house.vault),
        commits: AtomicU64::new(0),
    });
    let vault = Arc::clone(&house.vault);
    let audit = house.open_engine(busy.clone(), vault, house.spool()).await;
    let audit = audit.unwrap();
    let begun = |n| {
        let mut first = event(&format!("t_{n}"), Env::Dev, "u_1", n);
        // Without subjects there are no keys to store.
        first.actor = tenantry_audit::Actor::Anonymous;
        first.target = None;
        first.personal.clear();
        let audit = Arc::clone(&audit);
        tokio::spawn(async move { put(&audit, first).await })
    };
    let all: Vec<_> = (0..LOGS).map(begun).collect();
    for one in all {
        assert_eq!(one.await.unwrap(), 1);
    }
    let commits = busy.commits.load(Ordering::Relaxed);
    assert!(commits < 20, "{commits} commits for {LOGS} logs");
    audit.turn().await;
    for tenant in ["t_0", "t_250", "t_499"] {
        let scope = house.scope(tenant, Env::Dev).await;
        assert_eq!(house.sound(&audit, &scope).await.len(), 1);
    }
    assert_eq!(house.open().await.frozen(), None);
}
