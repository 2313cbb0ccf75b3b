//! An answer of the store that reaches its caller late, when others have gone on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use identity::{Env, Recorded};
use store::{
    AppendError, Appended, Bounds, Cursor, EventLog, NewEvent, Read, StoreError, StreamKey, Tail,
};
use tokio::sync::Semaphore;

use super::{
    house::{House, event, numbers, put},
    vault::Vault,
};

/// Appends at once, and answers when it may.
struct Late {
    inner: Arc<Vault>,
    holds_next: AtomicBool,
    appended: Semaphore,
    may_answer: Semaphore,
}

#[async_trait]
impl EventLog for Late {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        let appended = self.inner.append(stream, event).await;
        if self.holds_next.swap(false, Ordering::SeqCst) {
            self.appended.add_permits(1);
            self.may_answer.acquire().await.unwrap().forget();
        }
        appended
    }
    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.inner.read(stream, after, limit).await
    }
    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.inner.bounds(stream).await
    }
    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        self.inner.tail(stream, after).await
    }
    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        self.inner.trim(stream, up_to).await
    }
}

#[tokio::test]
async fn a_record_that_is_in_its_tree_before_its_caller_knows_is_in_order() {
    let house = House::new();
    let late = Arc::new(Late {
        inner: Arc::clone(&house.vault),
        holds_next: AtomicBool::new(false),
        appended: Semaphore::new(0),
        may_answer: Semaphore::new(0),
    });
    let opened = house.open_engine(house.vault.clone(), late.clone(), house.spool());
    let audit = opened.await.unwrap();
    let scope = house.scope("t_a", Env::Dev).await;
    put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
    audit.turn().await;

    late.holds_next.store(true, Ordering::SeqCst);
    let waiting = tokio::spawn({
        let audit = Arc::clone(&audit);
        async move { audit.record(event("t_a", Env::Dev, "u_1", 1)).await }
    });
    late.appended.acquire().await.unwrap().forget();
    // The next one is held in memory, the one before it has to be read.
    put(&audit, event("t_a", Env::Dev, "u_1", 2)).await;
    audit.turn().await;
    assert_eq!(numbers(&house.sound(&audit, &scope).await), [0, 1, 2]);

    late.may_answer.add_permits(1);
    let recorded = waiting.await.unwrap();
    assert_eq!(recorded, Ok(Recorded::Durable { seq: 2 }));
    put(&audit, event("t_a", Env::Dev, "u_1", 3)).await;
    audit.turn().await;
    assert_eq!(numbers(&house.sound(&audit, &scope).await), [0, 1, 2, 3]);
}
