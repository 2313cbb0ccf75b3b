//! A short memory of what the store said.
//!
//! **Invariants:**
//! - what it gives is at most [`FRESH_MAX`] old, counted from before it was loaded;
//! - what it gives is not older than a change that was told here: each entry
//!   carries the stamp of what it depends on, taken before it was loaded;
//! - when the store does not answer, the answer is an error;
//! - a value is loaded once at a time: a thousand who ask together are one load, else a store
//!   that is slow for a moment would be kept slow by those who come again.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use identity::Timestamp;
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use crate::{Change, ControlError, changes::Stamp, records::Core};

/// How old an answer may be. The contract allows five seconds until an open
/// stream ends, and streams ask every two.
pub const FRESH_MAX: Duration = Duration::from_secs(2);
/// How long the store may take.
const LOAD_MAX: Duration = Duration::from_secs(2);

/// A value that was true at `at`.
#[derive(Clone)]
struct Seen<V, const N: usize> {
    value: V,
    at: Timestamp,
    stamp: Stamp<N>,
}

/// Values by key; the least used are forgotten first.
pub(crate) struct Fresh<K, V, const N: usize> {
    core: Arc<Core>,
    seen: Cache<K, Seen<V, N>>,
    /// Held by whoever loads a key, for as long as somebody does or waits.
    turns: Mutex<HashMap<K, Arc<Turn>>>,
    ended_by: fn(&K) -> [Change; N],
}

type Turn = tokio::sync::Mutex<()>;

/// One's place among those who load a key; the last one clears it away.
struct Place<'a, K: Hash + Eq> {
    turns: &'a Mutex<HashMap<K, Arc<Turn>>>,
    key: &'a K,
    turn: Arc<Turn>,
}

impl<K: Hash + Eq> Drop for Place<'_, K> {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        // The table's and this one's.
        if Arc::strong_count(&self.turn) == 2 {
            turns.remove(self.key);
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone, const N: usize> Fresh<K, V, N> {
    /// `ended_by` names the changes after which a key's value counts no more.
    pub(crate) fn new(
        core: Arc<Core>,
        entries_max: usize,
        ended_by: fn(&K) -> [Change; N],
    ) -> Self {
        Self {
            core,
            seen: Cache::new(entries_max),
            turns: Mutex::default(),
            ended_by,
        }
    }

    /// The value of `key` at the moment `now`.
    ///
    /// What is remembered costs one look; `load` and its future exist only when it is needed.
    pub(crate) async fn get<F>(
        &self,
        key: &K,
        now: Timestamp,
        load: impl FnOnce() -> F,
    ) -> Result<V, ControlError>
    where
        F: Future<Output = Result<V, ControlError>>,
    {
        if let Some(value) = self.remembered(key, now) {
            return Ok(value);
        }
        let place = self.place(key);
        let turn = tokio::time::timeout(LOAD_MAX, place.turn.lock()).await;
        let _turn = turn.map_err(|_| too_long())?;
        if let Some(value) = self.remembered(key, now) {
            return Ok(value);
        }
        let stamp = self.core.changes.stamp(&(self.ended_by)(key));
        let value = Box::pin(bounded(load())).await?;
        let seen = Seen {
            value: value.clone(),
            at: now,
            stamp,
        };
        self.seen.insert(key.clone(), seen);
        Ok(value)
    }

    fn remembered(&self, key: &K, now: Timestamp) -> Option<V> {
        let seen = self.seen.get(key)?;
        self.is_good(&seen, now).then_some(seen.value)
    }

    fn place<'a>(&'a self, key: &'a K) -> Place<'a, K> {
        let mut turns = self.turns.lock();
        let turn = Arc::clone(turns.entry(key.clone()).or_default());
        Place {
            turns: &self.turns,
            key,
            turn,
        }
    }

    fn is_good(&self, seen: &Seen<V, N>, now: Timestamp) -> bool {
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
        .unwrap_or_else(|_| Err(too_long()))
}

fn too_long() -> ControlError {
    ControlError::Unavailable("the store takes too long".to_owned())
}
