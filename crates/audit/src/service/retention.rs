//! Retention: records older than a policy says are removed, and what proves the others is kept.
//!
//! The bodies of the records go, and their entries of the index; the hashes of their
//! leaves stay in the tiles, so every later record keeps its proofs, and whoever has a
//! receipt of a removed record can verify it for ever. What goes is a prefix of
//! the log: up to the first record that is not old, or is an intent without an outcome,
//! or is in no signed epoch.
//!
//! The head says where the log begins before the records are removed, so records
//! that are missing **behind** that were not removed by retention. A stop in between
//! leaves records that nobody is shown; the next walk removes them.
//!
//! A walk over all heads, some in each round, does the work. So a round costs
//! the same with a million tenants, and a head is looked at about once an hour.
//!
//! **Invariant:** nothing of a tenant is removed while one of its logs is under legal hold.

use std::time::Duration;

use identity::{Env, TenantId, Timestamp};
use parking_lot::Mutex;
use store::{Batch, CommitError, Document, LIST_LIMIT_MAX, Listing, StoreError};

use super::{Audit, LogId, stored::StoredHead};
use crate::{
    Seq,
    index::{IndexError, Query},
};

/// Heads that one round looks at: a million in four hours and a half.
const HEADS_MAX: usize = 64;
const _: () = assert!(HEADS_MAX < LIST_LIMIT_MAX);
/// How long after the beginning of a walk the next one begins, if it is over.
const WALK_EVERY: Duration = Duration::from_secs(60 * 60);
/// Steps in which one visit deletes pages of an index; what is left waits.
const STEPS_MAX: usize = 8;

/// Where the walk over the heads is.
#[derive(Default)]
pub(super) struct Walk(Mutex<Option<Progress>>);

#[derive(Clone)]
struct Progress {
    began: Timestamp,
    /// The last head that was looked at; all were when the walk is over.
    after: Option<String>,
    over: bool,
}

impl Walk {
    /// Where to go on at `now`; `None` while nothing is due.
    fn due(&self, now: Timestamp) -> Option<Progress> {
        let at = self.0.lock().clone();
        let rests = at.as_ref().is_some_and(|at| {
            let since = now.unix_ms().abs_diff(at.began.unix_ms());
            at.over && u128::from(since) < WALK_EVERY.as_millis()
        });
        if rests {
            return None;
        }
        Some(at.filter(|at| !at.over).unwrap_or(Progress {
            began: now,
            after: None,
            over: false,
        }))
    }
}

impl Audit {
    /// Looks at some heads, and removes what need not be kept. Part of a round, so that no
    /// hold is put on meanwhile.
    pub(super) async fn retain(&self) {
        let Some(retention) = self.config.retention.filter(|_| self.frozen().is_none()) else {
            return;
        };
        let now = self.clock.now();
        if let Some(progress) = self.walk.due(now)
            && let Err(error) = self.walk_on(progress, retention.ends(now)).await
        {
            tracing::warn!(%error, "records are removed later");
        }
    }

    async fn walk_on(&self, mut progress: Progress, ends: Timestamp) -> Result<(), StoreError> {
        let listing = Listing {
            prefix: String::new(),
            after: progress.after.clone(),
            limit: HEADS_MAX,
        };
        let rows = self.documents.list(&self.layout.heads(), &listing).await?;
        let over = rows.len() < HEADS_MAX;
        for row in rows {
            if !self.stays().await {
                return Ok(());
            }
            match self.retain_in(&row, ends).await {
                Err(error @ (StoreError::Unavailable(_) | StoreError::ReadOnly(_))) => {
                    return Err(error);
                }
                Err(error) => tracing::error!(%error, slot = row.id, "a log keeps all records"),
                Ok(()) => {}
            }
            progress.after = Some(row.id);
            *self.walk.0.lock() = Some(progress.clone());
        }
        progress.over = over;
        *self.walk.0.lock() = Some(progress);
        Ok(())
    }

    /// Removes records of one log that are older than `ends`.
    async fn retain_in(&self, row: &Document, ends: Timestamp) -> Result<(), StoreError> {
        let mut head = StoredHead::decode(&row.value)?;
        let mut version = row.version;
        let first = self.first_kept(&head, ends).await?;
        let records = self.layout.records(&head.log);
        let stored = self.events.bounds(&records).await?;
        if first <= stored.oldest && !head.index.has_upkeep() {
            return Ok(());
        }
        if self.is_held(&head.log.tenant).await? {
            return Ok(());
        }
        if let Ok(first) = Seq::try_from(first) {
            head.index.drop_before(first);
        }
        for _ in 0..STEPS_MAX {
            let plan = self.index(&head.log, &head.index, &[]).await?;
            head.index = plan.next;
            let key = self.layout.head(head.slot);
            let batch = Batch::new()
                .expect_version(&key, version)
                .put(&key, head.encode()?);
            let puts = plan.puts.into_iter();
            let batch = puts.fold(batch, |batch, (key, page)| batch.put(&key, page));
            let batch = plan.deletes.iter().fold(batch, Batch::delete);
            version = match self.commit(batch).await {
                Ok(version) => version,
                // The log changed; it is looked at again by the next walk.
                Err(CommitError::Conflict(_)) => return Ok(()),
                Err(CommitError::Store(error)) => return Err(error),
            };
            self.events.trim(&records, head.oldest() - 1).await?;
            if !plan.more {
                break;
            }
        }
        metrics::counter!("tenantry_audit_removed_total")
            .increment(first.saturating_sub(stored.oldest));
        Ok(())
    }

    /// The first record that is to be kept: one more than the last when none is.
    async fn first_kept(&self, head: &StoredHead, ends: Timestamp) -> Result<u64, StoreError> {
        let pages = self.layout.index(&self.documents, &head.log);
        let query = Query {
            from: Some(ends),
            limit: 1,
            ..Query::default()
        };
        let found = match head.index.candidates(&pages, &query).await {
            Ok(found) => found,
            Err(IndexError::Store(error)) => return Err(error),
            // Nothing else changes an index during a round, so a page that is not there is lost.
            Err(error) => {
                tracing::error!(log = %head.log, %error, "an audit index cannot be used");
                if let Some(log) = self.logs.find(&head.log).await? {
                    log.lose_index();
                    self.logs.mark(&log);
                }
                return Ok(head.oldest());
            }
        };
        let young = found.seqs.first().copied();
        // Every record up to there was considered, and is old.
        let considered = found.next_after.map_or(1, |last| last.get() + 1);
        let told = self.publisher.next_epoch() - 1;
        let signed = head.said_in(told).map_or(0, |said| said.size);
        let kept = young.map_or(considered, Seq::get).min(signed + 1);
        let open = head.open.iter().copied().min();
        Ok(open.map_or(kept, |open| open.min(kept)).max(head.oldest()))
    }

    /// Whether a log of the tenant is under legal hold.
    async fn is_held(&self, tenant: &TenantId) -> Result<bool, StoreError> {
        for env in Env::ALL {
            let id = LogId {
                tenant: tenant.clone(),
                env,
            };
            if let Some(log) = self.logs.find(&id).await?
                && self.head_of(&log).await?.flags.legal_hold
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
