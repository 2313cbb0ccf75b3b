//! Copies of the system's fence, for tenants whose writes are committed in another database.
//!
//! A batch is on one engine, so a write elsewhere cannot expect the system's fence. It expects the copy beside
//! it instead, which names the state of the fence that was copied. Whoever decides checks that this is the state
//! that was decided on, and whoever changes the system's rows is answered when no copy names an older one.
//!
//! **Invariant:** a copy never goes back. It is read first, then the fence, and it is rewritten only if it
//! is still as it was read: had a later change been copied meanwhile, it would not be.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, DocKey, Document, Documents, StoreError, Version};
use tokio::time::timeout;

use super::{Core, GateChain, Home, LOAD_MAX, change::Change};
use crate::{
    CONTENTION_TRIES_MAX, GateError,
    databases::{Database, FenceCopy, Seen},
    fresh::Place,
    layer::{databases_key, fence_key},
    stored,
};

/// How long a change waits for one database.
const SPREAD_MAX: Duration = Duration::from_secs(5);
/// A database that is dead and that no row has named for so long is in nobody's way: rows are remembered
/// for two seconds, and no write is under way for longer than twelve.
const UNNAMED_MIN: Duration = Duration::from_secs(60);

/// A copy, as it is stored: which state of the fence it stands for.
#[derive(Serialize, Deserialize)]
struct Mirror {
    fence: u64,
}

impl GateChain {
    /// Each database by itself, everyone's first, if there are others in which tenants are, or have been.
    ///
    /// # Errors
    /// [`StoreError`] when they are not known.
    pub async fn databases(&self) -> Result<Vec<Arc<dyn Documents>>, StoreError> {
        let core = &self.core;
        let known = core.registered().await?;
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let mut each = vec![core.databases.everyones().await?];
        for database in &known {
            each.push(core.databases.documents(database)?);
        }
        Ok(each)
    }
}

impl Core {
    /// Where the writes of a home are, if that is not everyone's database.
    pub(super) async fn elsewhere(
        &self,
        home: &Home,
    ) -> Result<Option<Arc<FenceCopy>>, StoreError> {
        let Place::Tenant(tenant, _) = &home.own else {
            return Ok(None);
        };
        let database = self.databases.of(tenant).await?;
        Ok(database.map(|database| self.copies.of(database, &self.copies_at)))
    }

    /// Looks at a copy that was `before`, which is not that of the `known` fence, and advances it if it is behind.
    pub(super) async fn catch_up(
        &self,
        copy: &FenceCopy,
        before: Option<Seen>,
        known: Option<Version>,
    ) -> Result<(), StoreError> {
        let caught_up = async {
            let _turn = copy.turn.lock().await;
            let seen = match copy.seen() {
                // Somebody did meanwhile.
                Some(seen) if Some(seen) != before => seen,
                _ => self.advance(copy).await?,
            };
            copy.keep(seen);
            if Some(seen.fence) != known {
                self.fresh.forget(&Place::System);
            }
            Ok(())
        };
        let late = |_| StoreError::Unavailable("the copy of the fence takes too long".to_owned());
        timeout(LOAD_MAX, caught_up).await.map_err(late)?
    }

    /// Makes a copy that of the fence as it is.
    async fn advance(&self, copy: &FenceCopy) -> Result<Seen, StoreError> {
        let there = self.databases.documents(&copy.database)?;
        for _ in 0..CONTENTION_TRIES_MAX {
            // In this order: see above.
            let read = there.get(&copy.key).await?;
            if !self.registered().await?.contains(&copy.database) {
                self.register(&copy.database).await?;
                continue;
            }
            let Some(fence) = self.documents.get(&fence_key(&self.system_rows)).await? else {
                continue;
            };
            let fence = fence.version;
            let version = match &read {
                Some(document) if mirrored(&copy.key, document) == Some(fence) => document.version,
                read => {
                    let batch = match read {
                        Some(document) => Batch::new().expect_version(&copy.key, document.version),
                        None => Batch::new().expect_absent(&copy.key),
                    };
                    let batch = stored::put(batch, &copy.key, &Mirror { fence: fence.0 }, None);
                    match there.commit(batch.map_err(StoreError::Corrupt)?).await {
                        Ok(version) => version,
                        Err(CommitError::Conflict(_)) => continue,
                        Err(CommitError::Store(error)) => return Err(error),
                    }
                }
            };
            return Ok(Seen { version, fence });
        }
        Err(contended())
    }

    /// The databases that changes of the system's rows know of.
    async fn registered(&self) -> Result<Vec<Database>, StoreError> {
        let key = databases_key(&self.system_rows);
        let Some(document) = self.documents.get(&key).await? else {
            return Ok(Vec::new());
        };
        let known = super::change::known(&key, &document);
        known.map_err(|why| StoreError::Corrupt(format!("{}: {why}", key.id)))
    }

    /// Lets changes of the system's rows know of a database, before anything is written there.
    async fn register(&self, database: &Database) -> Result<(), StoreError> {
        let home = Home::of_system(&self.system_rows);
        let unavailable = |error: GateError| StoreError::Unavailable(error.to_string());
        for _ in 0..CONTENTION_TRIES_MAX {
            let mut change = Change::begin(self, &home).await.map_err(unavailable)?;
            change.register(self, database).await.map_err(unavailable)?;
            if change
                .commit_here(self)
                .await
                .map_err(unavailable)?
                .is_some()
            {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// Makes the copies in all `databases` those of the fence as it is, or of a later state.
    ///
    /// # Errors
    /// [`GateError::Pending`] with those that were not reached; [`Core::spread_pending`] tries them again.
    pub(super) async fn spread(&self, databases: Vec<Database>) -> Result<(), GateError> {
        let each = databases.into_iter().map(|database| self.reach(database));
        let missed: Vec<Database> = join_all(each).await.into_iter().flatten().collect();
        self.pending.lock().clone_from(&missed);
        let left = self.still_used(missed).await;
        match left.is_empty() {
            true => Ok(()),
            false => Err(GateError::Pending(left)),
        }
    }

    /// Tries those again that a change of this process has not reached.
    pub(super) async fn spread_pending(&self) {
        let missed = std::mem::take(&mut *self.pending.lock());
        if !missed.is_empty() {
            // Who is still not reached is pending again.
            let _ = self.spread(missed).await;
        }
    }

    /// Makes the copy in `database` that of the fence as it is; gives the database back if it is not reached.
    async fn reach(&self, database: Database) -> Option<Database> {
        let copy = self.copies.of(database, &self.copies_at);
        let why = match timeout(SPREAD_MAX, self.advance(&copy)).await {
            Ok(Ok(seen)) => {
                copy.keep(seen);
                return None;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        let database = &copy.database;
        tracing::warn!(database = %database.id, why, "a change of the gates has not reached it");
        Some(database.clone())
    }

    /// Leaves those out that no row has named for a while: nobody writes there any more.
    async fn still_used(&self, missed: Vec<Database>) -> Vec<Database> {
        if missed.is_empty() {
            return missed;
        }
        let Ok(named) = self.databases.named().await else {
            return missed;
        };
        let now = self.clock.now();
        let mut unnamed = self.unnamed.lock();
        unnamed.retain(|(id, _)| named.iter().all(|database| database.id != *id));
        let is_used = |database: &Database| {
            if named.iter().any(|named| named.id == database.id) {
                return true;
            }
            if let Some((_, since)) = unnamed.iter().find(|(id, _)| *id == database.id) {
                return now.since(*since) < UNNAMED_MIN;
            }
            unnamed.push((database.id.clone(), now));
            true
        };
        missed.into_iter().filter(is_used).collect()
    }
}

/// The state of the fence that a copy stands for; of a damaged one it is not known.
fn mirrored(key: &DocKey, document: &Document) -> Option<Version> {
    let mirror: Mirror = stored::open(key, &document.value).ok()?;
    Some(Version(mirror.fence))
}

fn contended() -> StoreError {
    StoreError::Unavailable("too many concurrent changes of the system's rows".to_owned())
}
