//! The store fails at every call in turn, before or after it did what it was asked.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use serde_json::json;
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};
use tenantry_gatechain::{AlwaysEnforce, FirearmRow, LEASE};

use crate::house::{Card, House, key};

/// An engine that ends at its `n`th call, as a process does that is killed: nothing
/// that is asked later reaches it.
struct Ending {
    inner: Arc<dyn Documents>,
    left: AtomicUsize,
    /// Whether the last call is done still, and only its answer lost.
    does_the_last: bool,
}

enum Call {
    Answered,
    Lost,
    Refused,
}

impl Ending {
    fn call(&self) -> Call {
        let order = Ordering::SeqCst;
        let left = self
            .left
            .fetch_update(order, order, |left| left.checked_sub(1));
        match left {
            Ok(left) if left > 1 => Call::Answered,
            Ok(1) if self.does_the_last => Call::Lost,
            _ => Call::Refused,
        }
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the process has ended".to_owned())
}

#[async_trait]
impl Documents for Ending {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        match self.call() {
            Call::Answered => self.inner.get(key).await,
            Call::Lost | Call::Refused => Err(ended()),
        }
    }
    async fn list(&self, of: &Partition, listing: &Listing) -> Result<Vec<Document>, StoreError> {
        match self.call() {
            Call::Answered => self.inner.list(of, listing).await,
            Call::Lost | Call::Refused => Err(ended()),
        }
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        match self.call() {
            Call::Answered => self.inner.commit(batch).await,
            Call::Lost => {
                let _ = self.inner.commit(batch).await;
                Err(ended().into())
            }
            Call::Refused => Err(ended().into()),
        }
    }
}

const PRICE: u64 = 10;
const CARDS: usize = 6;

/// Killed at every call, a process leaves a budget whose spent is what was written,
/// as soon as the leases have ended; and it never panics.
#[tokio::test]
async fn a_kill_at_any_call_leaves_books_that_balance() {
    let mut ends = 0;
    for does_the_last in [false, true] {
        for calls in 1.. {
            let house = House::new();
            let scope = house.tenant().await;
            house.budget(&scope, "b", 45, PRICE).await;
            let licence = json!({"kind": "requirement", "action": "*"});
            house.put::<FirearmRow>(&scope, "r", licence).await;
            let licence =
                json!({"kind": "licence", "action": "*", "subject": "role:viewer", "uses": 100});
            house.put::<FirearmRow>(&scope, "l", licence).await;
            let ending = Arc::new(Ending {
                inner: house.documents.clone(),
                left: AtomicUsize::new(calls),
                does_the_last,
            });
            let dying = House::on(house.world.clone(), ending.clone(), Arc::new(AlwaysEnforce));
            for card in 0..CARDS {
                let card = Card::new(format!("c_{card}"));
                let _ = dying.try_write(&scope, card).await;
                house.world.clock.advance(tenantry_gatechain::FRESH_MAX * 2);
                dying.gates.turn().await;
            }
            let survived = ending.left.load(Ordering::SeqCst) > 0;
            drop(dying);
            house.world.clock.advance(LEASE);
            let mut written = 0;
            for card in 0..CARDS {
                let key = key(&scope, &format!("c_{card}"));
                written += u64::from(house.documents.get(&key).await.unwrap().is_some());
            }
            let after = house.beside();
            assert_eq!(
                after.spending(&scope, "b").await,
                (written * PRICE, 0),
                "after {calls} calls, the last one done: {does_the_last}"
            );
            // All that is left can be spent, and not more.
            for n in written..4 {
                after
                    .write(&scope, Card::new(format!("rest_{n}")))
                    .await
                    .unwrap();
            }
            assert_eq!(
                after.answer(&scope, Card::new("over")).await,
                "budget_exceeded"
            );
            if survived {
                ends += 1;
                break;
            }
        }
    }
    assert_eq!(ends, 2);
}

#[tokio::test]
async fn a_store_that_does_not_answer_denies() {
    let house = House::new();
    let scope = house.tenant().await;
    let ending = Ending {
        inner: house.documents.clone(),
        left: AtomicUsize::new(0),
        does_the_last: false,
    };
    let cut_off = House::on(
        house.world.clone(),
        Arc::new(ending),
        Arc::new(AlwaysEnforce),
    );
    assert_eq!(
        cut_off.answer(&scope, Card::new("c_1")).await,
        "backend_unavailable"
    );
    let decisions = cut_off.decisions.all();
    assert_eq!(decisions.len(), 1);
    assert!(!decisions[0].allows());
}
