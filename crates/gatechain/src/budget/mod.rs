//! Budgets at work: what is spent, and what is lent out to be spent.
//!
//! A budget has one counter per tenant and window. It is not written for every
//! request: a process borrows *slices* of it. A write that costs something
//! rewrites the slice it pays from, in its own batch, so nothing is spent
//! without a write and nothing is written without being paid for. Slices end
//! with their lease; whoever comes next takes back what was left of them.
//!
//! **Invariants:**
//! - spent, and the slices that are lent out, are together never above the limit
//!   when a slice is lent;
//! - a slice pays for one write at a time, and never for more than it holds;
//! - after any stop, spent is what was written, as soon as the leases have ended.

mod claim;
mod counter;
mod lend;
mod pool;
mod view;

use std::{collections::HashMap, sync::Arc, time::Duration};

use identity::{Clock, Entropy, Timestamp};
use parking_lot::Mutex;
use store::{BATCH_STEPS_MAX, Batch, DocKey, Documents, Listing, Partition, StoreError};

pub(crate) use claim::Claim;
pub use view::Spending;

use pool::Pool;

use crate::{
    Level,
    rows::{BudgetRow, Window},
};

/// How long a slice may be used after it was lent or enlarged.
pub const LEASE: Duration = Duration::from_secs(30);
/// A slice whose lease ends sooner than this pays for nothing more.
const LEASE_LEFT_MIN: Duration = Duration::from_secs(10);
/// How long what is counted in a window is kept after it was last written.
const WINDOW_KEPT: Duration = Duration::from_secs(62 * 86_400);
/// A slice that was not used for this long is given back.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// Counters that this process borrows from at once.
const POOLS_MAX: usize = 64 * 1024;

/// Why a budget does not pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BudgetRefused {
    /// It does not hold the cost.
    Exceeded {
        /// What it holds still.
        left: u64,
    },
    /// What was counted cannot be read.
    Damaged,
    /// The store does not answer, or too many borrow at once.
    Unavailable(String),
}

impl From<StoreError> for BudgetRefused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(why) => {
                tracing::error!(why, "a budget's counter cannot be read");
                Self::Damaged
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// Where one budget of one tenant is counted in one window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    /// The counter's document; slices have it as a prefix.
    key: DocKey,
    /// Whether what is counted ends some time after its window.
    passes: bool,
    limit: u64,
}

impl Account {
    /// The account of `row` in the tenant's partition of counters.
    pub(crate) fn of(partition: &Partition, level: Level, row: &BudgetRow, now: Timestamp) -> Self {
        let id = format!(
            "{}.{}/{}",
            level.as_str(),
            row.counter,
            row.window.name(now)
        );
        Self {
            key: DocKey::new(partition, id),
            passes: row.window != Window::Total,
            limit: row.limit_micros,
        }
    }

    fn slice(&self, id: &str) -> DocKey {
        DocKey::new(&self.key.partition, format!("{}/{id}", self.key.id))
    }

    fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        self.passes.then(|| now.plus(WINDOW_KEPT))
    }
}

/// The budgets of all tenants, as far as this process spends from them.
pub(crate) struct Budgets {
    documents: Arc<dyn Documents>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pools: Mutex<HashMap<Account, Arc<Pool>>>,
}

impl Budgets {
    pub(crate) fn new(
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            documents,
            clock,
            entropy,
            pools: Mutex::default(),
        }
    }

    fn pool(&self, account: &Account) -> Result<Arc<Pool>, BudgetRefused> {
        let mut pools = self.pools.lock();
        if let Some(pool) = pools.get(account) {
            return Ok(Arc::clone(pool));
        }
        if pools.len() >= POOLS_MAX {
            pools.retain(|_, pool| !pool.is_deserted());
        }
        if pools.len() >= POOLS_MAX {
            let why = "too many budgets are spent from at once";
            return Err(BudgetRefused::Unavailable(why.to_owned()));
        }
        let pool = Arc::new(Pool::default());
        pools.insert(account.clone(), Arc::clone(&pool));
        Ok(pool)
    }

    /// Deletes what was counted for a budget that is no more, as far as it can: what is
    /// left over counts for nothing, because a new row has a new counter.
    pub(crate) async fn forget(&self, partition: &Partition, level: Level, row: &BudgetRow) {
        let listing = Listing {
            prefix: format!("{}.{}/", level.as_str(), row.counter),
            after: None,
            limit: BATCH_STEPS_MAX,
        };
        let Ok(documents) = self.documents.list(partition, &listing).await else {
            return;
        };
        let batch = documents.iter().fold(Batch::new(), |batch, document| {
            batch.delete(&DocKey::new(partition, document.id.as_str()))
        });
        if let Err(error) = self.documents.commit(batch).await {
            tracing::warn!(%error, "what was counted for a deleted budget is left over");
        }
    }

    /// Gives back what was not used lately; call it about once a second.
    pub(crate) async fn tend(&self) {
        self.give_idle_back(IDLE_MAX).await;
    }

    /// Gives back all that nobody uses.
    pub(crate) async fn give_all_back(&self) {
        self.give_idle_back(Duration::ZERO).await;
    }

    async fn give_idle_back(&self, idle_max: Duration) {
        let pools: Vec<(Account, Arc<Pool>)> = {
            let mut pools = self.pools.lock();
            pools.retain(|_, pool| !pool.is_deserted());
            let pools = pools.iter();
            pools
                .map(|(account, pool)| (account.clone(), Arc::clone(pool)))
                .collect()
        };
        for (account, pool) in pools {
            let idle = pool.take_idle_since(self.clock.now(), idle_max);
            if !idle.is_empty() && self.give_back(&account, &idle).await.is_err() {
                // Their leases end; then whoever comes next takes them back.
                tracing::debug!(
                    counter = account.key.id,
                    "idle slices could not be given back"
                );
            }
        }
    }
}
