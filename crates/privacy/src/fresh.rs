//! A short memory of what the levels say.
//!
//! **Invariants:**
//! - what it gives is younger than [`FRESH_MAX`], counted from before it was loaded;
//! - what it gives is not older than a change that was made or heard of here: each entry
//!   carries the count of changes, taken before it was loaded, and a change
//!   moves that count before it is acknowledged.

use std::{
    hash::{BuildHasher, Hash},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use identity::Timestamp;
use quick_cache::{DefaultHashBuilder, sync::Cache};
use tokio::sync::broadcast;

/// How old an answer may be: so long a change made on another node may stay unseen.
pub const FRESH_MAX: Duration = Duration::from_secs(1);
/// Levels that are remembered; the least used are forgotten first.
const ENTRIES_MAX: usize = 64 * 1024;
/// Counts of changes, shared by all keys: a collision costs a load, never truth.
const COUNTERS: usize = 1024;
/// Changes that a slow listener may lag behind before it must take it that anything has changed.
const BACKLOG_MAX: usize = 1024;

/// What `key` was at `at`, when `changes` had been counted.
#[derive(Clone)]
struct Seen<V> {
    value: V,
    at: Timestamp,
    changes: u64,
}

/// Values by key.
pub(crate) struct Fresh<K, V> {
    seen: Cache<K, Seen<V>>,
    counters: Box<[AtomicU64]>,
    hasher: DefaultHashBuilder,
    listeners: broadcast::Sender<K>,
}

/// The state of things before a load.
pub(crate) struct Before {
    at: Timestamp,
    changes: u64,
}

impl<K: Hash + Eq + Clone, V: Copy> Fresh<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            seen: Cache::new(ENTRIES_MAX),
            counters: std::iter::repeat_with(AtomicU64::default)
                .take(COUNTERS)
                .collect(),
            hasher: DefaultHashBuilder::default(),
            listeners: broadcast::channel(BACKLOG_MAX).0,
        }
    }

    /// What is remembered of `key`, if it still counts at `now`; otherwise load it
    /// and give it to [`Fresh::keep`] with what this returned.
    pub(crate) fn get(&self, key: &K, now: Timestamp) -> Result<V, Before> {
        let before = Before {
            at: now,
            changes: self
                .counter(key)
                .map_or(0, |counter| counter.load(Ordering::SeqCst)),
        };
        match self.seen.get(key) {
            Some(seen) if seen.holds(&before) => Ok(seen.value),
            _ => Err(before),
        }
    }

    /// Remembers what was loaded after `before`.
    pub(crate) fn keep(&self, key: &K, value: V, before: &Before) {
        let seen = Seen {
            value,
            at: before.at,
            changes: before.changes,
        };
        self.seen.insert(key.clone(), seen);
    }

    /// Forgets `key`: it has changed.
    pub(crate) fn forget(&self, key: &K) {
        if let Some(counter) = self.counter(key) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The changes that are made here from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<K> {
        self.listeners.subscribe()
    }

    /// Forgets `key` and tells that it has changed, when the returned value is dropped: after a
    /// commit, however it ended.
    pub(crate) fn forget_afterwards<'a>(&'a self, key: &'a K) -> ForgetOnDrop<'a, K, V> {
        ForgetOnDrop(self, key)
    }

    /// Always there: the index is below the number of counters.
    fn counter(&self, key: &K) -> Option<&AtomicU64> {
        let at = self.hasher.hash_one(key) % COUNTERS as u64;
        self.counters.get(usize::try_from(at).unwrap_or_default())
    }
}

impl<V> Seen<V> {
    fn holds(&self, now: &Before) -> bool {
        // A clock that was set back makes an entry look young; then it counts no more.
        self.changes == now.changes && self.at <= now.at && now.at.since(self.at) < FRESH_MAX
    }
}

/// Counts and tells a change when it is dropped.
pub(crate) struct ForgetOnDrop<'a, K: Hash + Eq + Clone, V: Copy>(&'a Fresh<K, V>, &'a K);

impl<K: Hash + Eq + Clone, V: Copy> Drop for ForgetOnDrop<'_, K, V> {
    fn drop(&mut self) {
        self.0.forget(self.1);
        // Nobody has to listen.
        let _ = self.0.listeners.send(self.1.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_ms(43_200_000);

    type Numbers = Fresh<&'static str, u8>;

    fn loaded(fresh: &Numbers, key: &'static str, value: u8) {
        let before = fresh.get(&key, NOON).expect_err("nothing is remembered");
        fresh.keep(&key, value, &before);
    }

    #[test]
    fn it_remembers_for_less_than_its_bound_and_not_into_the_past() {
        let fresh = Numbers::new();
        loaded(&fresh, "a", 1);
        let end = NOON.plus(FRESH_MAX);
        let last = Timestamp::from_unix_ms(end.unix_ms() - 1);
        assert_eq!(fresh.get(&"a", NOON).ok(), Some(1));
        assert_eq!(fresh.get(&"a", last).ok(), Some(1));
        assert_eq!(fresh.get(&"a", end).ok(), None);
        let set_back = Timestamp::from_unix_ms(NOON.unix_ms() - 1);
        assert_eq!(fresh.get(&"a", set_back).ok(), None);
    }

    #[test]
    fn a_load_that_began_before_a_change_is_worth_nothing_when_it_arrives() {
        let fresh = Numbers::new();
        let before = fresh.get(&"a", NOON).expect_err("nothing is remembered");
        drop(fresh.forget_afterwards(&"a"));
        fresh.keep(&"a", 1, &before);
        assert_eq!(fresh.get(&"a", NOON).ok(), None);
        loaded(&fresh, "a", 2);
        assert_eq!(fresh.get(&"a", NOON).ok(), Some(2));
    }

    #[test]
    fn nothing_that_was_remembered_counts_when_something_was_missed() {
        let fresh = Numbers::new();
        loaded(&fresh, "a", 1);
        fresh.forget_all();
        assert_eq!(fresh.get(&"a", NOON).ok(), None);
    }
}
