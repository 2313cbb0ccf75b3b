//! Slices are lent, enlarged and given back.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use identity::Timestamp;
use smol_str::SmolStr;
use store::{Batch, CommitError, DocKey, StoreError, Version};
use tokio::time::timeout;

use super::{
    Account, BudgetRefused, Budgets, Claim, LEASE,
    counter::{Counter, Lent, Slice, Stored, read},
    pool::{Demand, Lane, Pool},
};
use crate::{CONTENTION_TRIES_MAX, id::random_id, stored};

/// Most slices that are lent of one counter, by all processes.
const SLICES_MAX: usize = 256;
/// Most slices that are lent at once, to those who wait.
const LENT_AT_ONCE_MAX: usize = 16;
/// Most slices that are taken back in one batch.
const TAKEN_BACK_MAX: usize = 64;
/// A busy borrower asks for so many times the cost at most.
const FACTOR_MAX: u64 = 64;
/// But for at most this part of what is left, so that near the limit nothing lies about.
const SHARE: u64 = 16;
/// Who borrows again within this time is busy.
const BUSY_WITHIN: Duration = Duration::from_secs(1);
/// How long one waits for others who pay from the same counter.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What one attempt to borrow came to.
enum Lending {
    Done(Lane),
    /// Others changed the counter, or something was taken back first.
    Again,
}

impl Budgets {
    /// Reserves `cost` of an account.
    pub(crate) async fn reserve(
        &self,
        account: &Account,
        cost: u64,
    ) -> Result<Claim, BudgetRefused> {
        let pool = self.pool(account)?;
        let turn = timeout(WAIT_MAX, Arc::clone(&pool.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let why = "too many pay from this budget at once";
            return Err(BudgetRefused::Unavailable(why.to_owned()));
        };
        let now = self.clock.now();
        let lane = match pool.take(cost, now) {
            Some(lane) => lane,
            None => {
                pool.waiting.fetch_add(1, Ordering::SeqCst);
                let borrowed = self.borrow(account, &pool, cost).await;
                pool.waiting.fetch_sub(1, Ordering::SeqCst);
                borrowed?
            }
        };
        Ok(Claim::new(pool, lane, cost, account.ends(now), turn))
    }

    async fn borrow(
        &self,
        account: &Account,
        pool: &Arc<Pool>,
        cost: u64,
    ) -> Result<Lane, BudgetRefused> {
        let mut demand = pool.demand.lock().await;
        for _ in 0..CONTENTION_TRIES_MAX {
            // Whoever held the lock before may have borrowed for us.
            if let Some(lane) = pool.take(cost, self.clock.now()) {
                return Ok(lane);
            }
            if let Lending::Done(lane) = self.lend(account, pool, &mut demand, cost).await? {
                return Ok(lane);
            }
        }
        let why = "too many concurrent changes of one budget";
        Err(BudgetRefused::Unavailable(why.to_owned()))
    }

    async fn lend(
        &self,
        account: &Account,
        pool: &Pool,
        demand: &mut Demand,
        cost: u64,
    ) -> Result<Lending, BudgetRefused> {
        let now = self.clock.now();
        let Stored { value, version } = self.counter(account).await?;
        let left = account.limit.saturating_sub(value.taken());
        let ended = value.ended(now);
        if !ended.is_empty() && (left < cost || value.slices.len() >= SLICES_MAX / 2) {
            self.take_back(account, value, version, &ended).await?;
            return Ok(Lending::Again);
        }
        if left < cost {
            let idle = pool.take_all();
            if idle.is_empty() {
                return Err(BudgetRefused::Exceeded { left });
            }
            self.give_back(account, &idle).await?;
            return Ok(Lending::Again);
        }
        demand.grow(now);
        let amount = cost.max((cost.saturating_mul(demand.factor)).min(left / SHARE));
        let grown = pool
            .take_any()
            .filter(|lane| value.slices.contains_key(&lane.id));
        let many = room_for(&value, left, amount, pool.waiting.load(Ordering::SeqCst));
        if many == 0 && grown.is_none() {
            let why = "too many slices of one budget are lent";
            return Err(BudgetRefused::Unavailable(why.to_owned()));
        }
        let terms = Terms { amount, many, now };
        self.hand_out(account, pool, value, version, grown, terms)
            .await
    }

    /// Writes the counter and the slices, and puts all but the first into the pool.
    async fn hand_out(
        &self,
        account: &Account,
        pool: &Pool,
        mut counter: Counter,
        version: Option<Version>,
        grown: Option<Lane>,
        terms: Terms,
    ) -> Result<Lending, BudgetRefused> {
        let (now, until) = (terms.now, terms.now.plus(LEASE));
        let mut batch = expect(Batch::new(), account, version);
        let fresh = terms.many - usize::from(grown.is_some() && terms.many > 0);
        let mut lanes: Vec<Lane> = Vec::with_capacity(terms.many.max(1));
        let before = grown.clone();
        if let Some(mut lane) = grown {
            batch = batch.expect_version(&lane.key, lane.version);
            lane.granted = lane.granted.saturating_add(terms.amount);
            lanes.push(Lane {
                until,
                used_at: now,
                ..lane
            });
        }
        for _ in 0..fresh {
            let id = random_id("", &*self.entropy);
            let key = account.slice(&id);
            batch = batch.expect_absent(&key);
            lanes.push(Lane {
                id,
                key,
                version: Version(0),
                granted: terms.amount,
                spent: 0,
                until,
                used_at: now,
            });
        }
        for lane in &lanes {
            let (granted, spent) = (lane.granted, lane.spent);
            counter
                .slices
                .insert(lane.id.clone(), Lent { granted, until });
            let slice = Slice { granted, spent };
            batch = stored::put(batch, &lane.key, &slice, account.ends(now))
                .map_err(|why| damaged(&why))?;
        }
        let batch = stored::put(batch, &account.key, &counter, account.ends(now));
        let batch = batch.map_err(|why| damaged(&why))?;
        let version = match self.commit(batch).await? {
            Ok(version) => version,
            Err(key) => {
                // A slice that is not as we know it is left to its lease.
                before
                    .into_iter()
                    .filter(|lane| lane.key != key)
                    .for_each(|lane| pool.put_back(lane));
                return Ok(Lending::Again);
            }
        };
        let mut lanes = lanes.into_iter().map(|lane| Lane { version, ..lane });
        let first = lanes.next().ok_or_else(|| damaged("no slice"))?;
        lanes.for_each(|lane| pool.put_back(lane));
        Ok(Lending::Done(first))
    }

    pub(super) async fn counter(&self, account: &Account) -> Result<Stored<Counter>, StoreError> {
        let stored = read(&*self.documents, &account.key).await?;
        Ok(stored.unwrap_or(Stored {
            value: Counter::default(),
            version: None,
        }))
    }

    /// Takes back slices whose lease has ended, or that are ours; `false` when others were first.
    async fn take_back(
        &self,
        account: &Account,
        mut counter: Counter,
        version: Option<Version>,
        ids: &[SmolStr],
    ) -> Result<bool, BudgetRefused> {
        let mut batch = expect(Batch::new(), account, version);
        for id in ids.iter().take(TAKEN_BACK_MAX) {
            let Some(lent) = counter.slices.get(id).copied() else {
                continue;
            };
            let key = account.slice(id);
            batch = match read::<Slice>(&*self.documents, &key).await? {
                Some(Stored {
                    value,
                    version: Some(version),
                }) => {
                    counter.take_back(id, value.spent);
                    batch.expect_version(&key, version).delete(&key)
                }
                // It cannot be; if it is, all of it counts as spent.
                _ => {
                    counter.take_back(id, lent.granted);
                    batch.expect_absent(&key)
                }
            };
        }
        let batch = stored::put(
            batch,
            &account.key,
            &counter,
            account.ends(self.clock.now()),
        );
        Ok(self
            .commit(batch.map_err(|why| damaged(&why))?)
            .await?
            .is_ok())
    }

    /// Gives back slices that nobody uses.
    pub(super) async fn give_back(
        &self,
        account: &Account,
        lanes: &[Lane],
    ) -> Result<(), BudgetRefused> {
        let ids: Vec<SmolStr> = lanes.iter().map(|lane| lane.id.clone()).collect();
        for some in ids.chunks(TAKEN_BACK_MAX) {
            for _ in 0..CONTENTION_TRIES_MAX {
                let Stored { value, version } = self.counter(account).await?;
                if self.take_back(account, value, version, some).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The document that is not as it was expected, when others were first.
    async fn commit(&self, batch: Batch) -> Result<Result<Version, DocKey>, BudgetRefused> {
        match self.documents.commit(batch).await {
            Ok(version) => Ok(Ok(version)),
            Err(CommitError::Conflict(key)) => Ok(Err(key)),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

struct Terms {
    amount: u64,
    many: usize,
    now: Timestamp,
}

impl Demand {
    fn grow(&mut self, now: Timestamp) {
        let busy = self.last.is_some_and(|last| now.since(last) < BUSY_WITHIN);
        self.factor = if busy {
            (self.factor * 2).min(FACTOR_MAX)
        } else {
            1
        };
        self.last = Some(now);
    }
}

/// How many slices of `amount` are lent to `waiting` borrowers.
fn room_for(counter: &Counter, left: u64, amount: u64, waiting: usize) -> usize {
    let places = SLICES_MAX.saturating_sub(counter.slices.len());
    let paid = usize::try_from(left / amount.max(1)).unwrap_or(usize::MAX);
    waiting.clamp(1, LENT_AT_ONCE_MAX).min(places).min(paid)
}

fn expect(batch: Batch, account: &Account, version: Option<Version>) -> Batch {
    match version {
        Some(version) => batch.expect_version(&account.key, version),
        None => batch.expect_absent(&account.key),
    }
}

fn damaged(why: &str) -> BudgetRefused {
    tracing::error!(why, "a budget's counter cannot be written");
    BudgetRefused::Damaged
}
