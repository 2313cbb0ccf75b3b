//! A short memory of what the store said.
//!
//! **Invariants:**
//! - what it gives is at most [`FRESH_MAX`] old, counted from before it was loaded;
//! - what it gives is not older than a change that was told here: each entry
//!   carries the stamp of what it depends on, taken before it was loaded;
//! - when the store does not answer, the answer is an error.

use std::{hash::Hash, sync::Arc, time::Duration};

use identity::Timestamp;
use quick_cache::sync::Cache;

use crate::{ControlError, changes::Stamp, records::Core};

/// How old an answer may be. The contract allows five seconds until an open
/// stream ends, and streams ask every two.
pub const FRESH_MAX: Duration = Duration::from_secs(2);
/// How long the store may take.
const LOAD_MAX: Duration = Duration::from_secs(2);

/// A value that was true at `at`.
#[derive(Clone)]
struct Seen<V> {
    value: V,
    at: Timestamp,
    stamp: Stamp,
}

/// Values by key; the least used are forgotten first.
pub(crate) struct Fresh<K, V> {
    core: Arc<Core>,
    seen: Cache<K, Seen<V>>,
}

impl<K: Hash + Eq + Clone, V: Clone> Fresh<K, V> {
    pub(crate) fn new(core: Arc<Core>, entries_max: usize) -> Self {
        Self {
            core,
            seen: Cache::new(entries_max),
        }
    }

    /// The value of `key`, which depends on two subjects of [`Change`](crate::Change)s.
    ///
    /// What is remembered costs one look; `load` and its future exist only when it is needed.
    pub(crate) async fn get<F>(
        &self,
        key: &K,
        depends_on: (&impl Hash, &impl Hash),
        load: impl FnOnce() -> F,
    ) -> Result<V, ControlError>
    where
        F: Future<Output = Result<V, ControlError>>,
    {
        let now = self.core.now();
        if let Some(seen) = self.seen.get(key)
            && self.is_good(&seen, now)
        {
            return Ok(seen.value);
        }
        let stamp = self.core.changes.stamp(depends_on.0, depends_on.1);
        let value = Box::pin(bounded(load())).await?;
        let seen = Seen {
            value: value.clone(),
            at: now,
            stamp,
        };
        self.seen.insert(key.clone(), seen);
        Ok(value)
    }

    fn is_good(&self, seen: &Seen<V>, now: Timestamp) -> bool {
        // A clock that was set back makes an entry look young; then it counts no more.
        seen.at <= now && now.since(seen.at) <= FRESH_MAX && self.core.changes.holds(&seen.stamp)
    }
}

/// Waits for the store, not for long.
async fn bounded<V>(
    load: impl Future<Output = Result<V, ControlError>>,
) -> Result<V, ControlError> {
    metrics::counter!("tenantry_directory_loads_total").increment(1);
    tokio::time::timeout(LOAD_MAX, load)
        .await
        .unwrap_or_else(|_| {
            Err(ControlError::Unavailable(
                "the store takes too long".to_owned(),
            ))
        })
}
