//! A short memory of layers.
//!
//! **Invariants:**
//! - what it gives is younger than [`FRESH_MAX`], counted from before it was loaded;
//! - what it gives is not older than a change that was made or heard of here:
//!   each entry carries the count of changes, taken before it was loaded, and a
//!   change moves that count before it is acknowledged;
//! - it weighs [`MEMORY_BYTES_MAX`] at most, however many tenants there are.

use std::{
    hash::BuildHasher,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use identity::{Env, TenantId, Timestamp};
use quick_cache::{DefaultHashBuilder, Weighter, sync::Cache};
use tokio::sync::{Mutex, MutexGuard};

use crate::Layer;

/// How old a layer may be: so long a change made on another node may stay unseen by a
/// decision. No write commits on what has changed: the fence sees to that.
pub const FRESH_MAX: Duration = Duration::from_secs(1);
/// What all remembered layers weigh at most, in bytes of their documents.
pub const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Layers that are expected to be remembered: those without rows.
const ENTRIES: usize = 128 * 1024;
/// Counts of changes, shared by all layers: a collision costs a load, never truth.
const COUNTERS: usize = 4096;
/// Loads that may be under way at once.
const TURNS: usize = 1024;

/// Which layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    System,
    Tenant(TenantId, Env),
}

#[derive(Clone)]
struct Seen {
    layer: Layer,
    at: Timestamp,
    changes: u64,
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Place, Seen> for ByWeight {
    fn weight(&self, _: &Place, seen: &Seen) -> u64 {
        seen.layer.weight.max(1)
    }
}

/// Layers by place.
pub(crate) struct Fresh {
    seen: Cache<Place, Seen, ByWeight>,
    /// Whoever loads holds one of these, shared by all places: a collision costs a wait.
    turns: Box<[Mutex<()>]>,
    counters: Box<[AtomicU64]>,
    hasher: DefaultHashBuilder,
}

/// The state of things before a load.
pub(crate) struct Before {
    at: Timestamp,
    changes: u64,
}

impl Default for Fresh {
    fn default() -> Self {
        Self {
            seen: Cache::with_weighter(ENTRIES, MEMORY_BYTES_MAX, ByWeight),
            counters: std::iter::repeat_with(AtomicU64::default)
                .take(COUNTERS)
                .collect(),
            turns: std::iter::repeat_with(Mutex::default).take(TURNS).collect(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Fresh {
    /// What is remembered of `place`, if it still counts at `now`; otherwise load it
    /// and give it to [`Fresh::keep`] with what this returned.
    pub(crate) fn get(&self, place: &Place, now: Timestamp) -> Result<Layer, Before> {
        let changes = self
            .counter(place)
            .map_or(0, |counter| counter.load(Ordering::SeqCst));
        match self.seen.get(place) {
            // A clock that was set back makes an entry look young; then it counts no more.
            Some(seen)
                if seen.changes == changes && seen.at <= now && now.since(seen.at) < FRESH_MAX =>
            {
                Ok(seen.layer)
            }
            _ => Err(Before { at: now, changes }),
        }
    }

    /// Waits until nobody else loads `place`.
    pub(crate) async fn turn(&self, place: &Place) -> Option<MutexGuard<'_, ()>> {
        match self.turns.get(self.index(place, TURNS)) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    /// Remembers what was loaded after `before`.
    pub(crate) fn keep(&self, place: &Place, layer: &Layer, before: &Before) {
        let seen = Seen {
            layer: layer.clone(),
            at: before.at,
            changes: before.changes,
        };
        self.seen.insert(place.clone(), seen);
    }

    /// Forgets `place`: it has changed.
    pub(crate) fn forget(&self, place: &Place) {
        if let Some(counter) = self.counter(place) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Forgets `place` when the returned value is dropped: after a commit, however it ended.
    pub(crate) fn forget_afterwards<'a>(&'a self, place: &'a Place) -> ForgetOnDrop<'a> {
        ForgetOnDrop(self, place)
    }

    /// Always there: the index is below the number of counters.
    fn counter(&self, place: &Place) -> Option<&AtomicU64> {
        self.counters.get(self.index(place, COUNTERS))
    }

    fn index(&self, place: &Place, of: usize) -> usize {
        let at = self.hasher.hash_one(place) % of as u64;
        usize::try_from(at).unwrap_or_default()
    }
}

/// Counts a change when it is dropped.
pub(crate) struct ForgetOnDrop<'a>(&'a Fresh, &'a Place);

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_ms(43_200_000);

    #[test]
    fn it_remembers_for_less_than_its_bound_and_not_into_the_past() {
        let fresh = Fresh::default();
        let before = fresh.get(&Place::System, NOON).unwrap_err();
        fresh.keep(&Place::System, &Layer::default(), &before);
        let is_good = |ms| {
            let now = Timestamp::from_unix_ms(NOON.unix_ms() + ms);
            fresh.get(&Place::System, now).is_ok()
        };
        assert!(is_good(0) && is_good(999));
        assert!(!is_good(1000) && !is_good(-1));
    }

    #[test]
    fn a_load_that_began_before_a_change_is_worth_nothing_when_it_arrives() {
        let fresh = Fresh::default();
        let before = fresh.get(&Place::System, NOON).unwrap_err();
        fresh.forget(&Place::System);
        fresh.keep(&Place::System, &Layer::default(), &before);
        assert!(fresh.get(&Place::System, NOON).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded_by_weight() {
        let fresh = Fresh::default();
        let weight = MEMORY_BYTES_MAX / 64;
        let heavy = Layer {
            weight,
            ..Layer::default()
        };
        for tenant in 0..1000 {
            let tenant = format!("t_{tenant}").parse().unwrap();
            let place = Place::Tenant(tenant, Env::Dev);
            let before = Before {
                at: NOON,
                changes: 0,
            };
            fresh.keep(&place, &heavy, &before);
        }
        assert!(fresh.seen.weight() <= MEMORY_BYTES_MAX);
    }
}
