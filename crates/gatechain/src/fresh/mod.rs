//! A short memory of layers.
//!
//! A decision for one of many tenants waits for memory more than it computes. So a layer is found with one
//! look: places are spread over sets, and each set has its lock and its few layers side by side.
//!
//! **Invariants:**
//! - what it gives is younger than [`FRESH_MAX`], counted from before it was loaded;
//! - what it gives is not older than a change that was made or heard of here: a change
//!   takes it away before it is acknowledged, and what was being loaded meanwhile is not kept;
//! - it weighs [`MEMORY_BYTES_MAX`] at most beside its sets, however many tenants there are.

mod set;

use std::{
    hash::BuildHasher,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use foldhash::quality::RandomState;
use identity::{Env, TenantId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, broadcast};

use self::set::{Seen, Set};
use crate::Layer;

/// How old a layer may be: so long a change made on another node may stay unseen by a
/// decision. No write commits on what has changed: the fence sees to that.
pub const FRESH_MAX: Duration = Duration::from_secs(1);
/// What all remembered layers weigh at most, in bytes of their documents.
pub const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// They have room for 128 thousand layers, and take 8 MiB themselves.
const SETS: usize = 16 * 1024;
/// Loads that may be under way at once.
const TURNS: usize = 1024;
/// Changes that a slow listener may lag behind before it must take it that anything has changed.
const BACKLOG_MAX: usize = 1024;

/// Whose rows: what is remembered, and what a bus tells other nodes to forget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// The operators'.
    System,
    /// A tenant's, in one environment.
    Tenant(TenantId, Env),
}

/// Layers by place.
pub(crate) struct Fresh {
    sets: Box<[Mutex<Set>]>,
    /// What all layers in the sets weigh; it changes while the set is locked.
    weight: AtomicU64,
    /// The set that gives something up next when all weigh too much.
    hand: AtomicUsize,
    /// Whoever loads holds one of these, shared by all places: a collision costs a wait.
    turns: Box<[tokio::sync::Mutex<()>]>,
    hasher: RandomState,
    listeners: broadcast::Sender<Place>,
}

/// The state of things before a load.
pub(crate) struct Before {
    at: Timestamp,
    changes: u32,
}

/// A set, and what its layers weigh.
struct Weighed<'a> {
    set: parking_lot::MutexGuard<'a, Set>,
    weight: &'a AtomicU64,
}

impl Weighed<'_> {
    fn put(&mut self, seen: Seen) {
        let weight = seen.layer.weight();
        self.weight.fetch_add(weight, Ordering::Relaxed);
        let went = self.set.put(seen);
        self.gone(went);
    }

    fn gone(&self, went: Option<Seen>) {
        if let Some(went) = went {
            let weight = went.layer.weight();
            self.weight.fetch_sub(weight, Ordering::Relaxed);
        }
    }
}

impl Default for Fresh {
    fn default() -> Self {
        Self {
            sets: std::iter::repeat_with(Mutex::default).take(SETS).collect(),
            weight: AtomicU64::default(),
            hand: AtomicUsize::default(),
            turns: std::iter::repeat_with(tokio::sync::Mutex::default)
                .take(TURNS)
                .collect(),
            hasher: RandomState::default(),
            listeners: broadcast::channel(BACKLOG_MAX).0,
        }
    }
}

impl Fresh {
    /// What is remembered of `place`, if it still counts at `now`; otherwise load it
    /// and give it to [`Fresh::keep`] with what this returned.
    pub(crate) fn get(&self, place: &Place, now: Timestamp) -> Result<Layer, Before> {
        let (at, tag) = self.spot(place);
        let Some(mut set) = self.sets.get(at).map(Mutex::lock) else {
            return Err(Before {
                at: now,
                changes: 0,
            });
        };
        match set.find(tag, place) {
            // A clock that was set back makes an entry look young; then it counts no more.
            Some(seen) if seen.at <= now && now.since(seen.at) < FRESH_MAX => {
                seen.used = true;
                Ok(seen.layer.clone())
            }
            _ => Err(Before {
                at: now,
                changes: set.changes,
            }),
        }
    }

    /// Waits until nobody else loads `place`.
    pub(crate) async fn turn(&self, place: &Place) -> Option<MutexGuard<'_, ()>> {
        let (at, _) = self.spot(place);
        match self.turns.get(at % TURNS) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    /// Remembers what was loaded after `before`.
    pub(crate) fn keep(&self, place: &Place, layer: &Layer, before: &Before) {
        let (at, tag) = self.spot(place);
        let Some(mut weighed) = self.weighed(at) else {
            return;
        };
        if weighed.set.changes != before.changes {
            return;
        }
        weighed.put(Seen {
            tag,
            used: false,
            at: before.at,
            layer: layer.clone(),
            place: place.clone(),
        });
        drop(weighed);
        while self.weight.load(Ordering::Relaxed) > MEMORY_BYTES_MAX {
            self.give_up_one();
        }
    }

    fn give_up_one(&self) {
        let at = self.hand.fetch_add(1, Ordering::Relaxed) % SETS;
        if let Some(mut weighed) = self.weighed(at) {
            let went = weighed.set.take_unused();
            weighed.gone(went);
        }
    }

    /// Forgets `place`: it has changed.
    pub(crate) fn forget(&self, place: &Place) {
        let (at, tag) = self.spot(place);
        if let Some(mut weighed) = self.weighed(at) {
            weighed.set.changes = weighed.set.changes.wrapping_add(1);
            let went = weighed.set.take(tag, place);
            weighed.gone(went);
        }
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        for at in 0..SETS {
            if let Some(mut weighed) = self.weighed(at) {
                weighed.set.changes = weighed.set.changes.wrapping_add(1);
                let went = weighed.set.take_all();
                went.into_iter().for_each(|went| weighed.gone(went));
            }
        }
    }

    /// The changes that are made here from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Place> {
        self.listeners.subscribe()
    }

    /// Forgets `place` and tells that it has changed, when the returned value is dropped: after a
    /// commit, however it ended.
    pub(crate) fn forget_afterwards<'a>(&'a self, place: &'a Place) -> ForgetOnDrop<'a> {
        ForgetOnDrop(self, place)
    }

    /// Always there: the index is below the number of sets.
    fn weighed(&self, at: usize) -> Option<Weighed<'_>> {
        let set = self.sets.get(at)?.lock();
        let weight = &self.weight;
        Some(Weighed { set, weight })
    }

    /// The set of a place, and its tag there.
    fn spot(&self, place: &Place) -> (usize, u32) {
        let hash = self.hasher.hash_one(place);
        let set = usize::try_from(hash % SETS as u64).unwrap_or_default();
        (set, u32::try_from(hash >> 32).unwrap_or_default())
    }
}

/// Forgets a place and tells of it when it is dropped.
pub(crate) struct ForgetOnDrop<'a>(&'a Fresh, &'a Place);

impl Drop for ForgetOnDrop<'_> {
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
    fn nothing_that_was_remembered_counts_when_something_was_missed() {
        let fresh = Fresh::default();
        let before = fresh.get(&Place::System, NOON).unwrap_err();
        let during = fresh.get(&Place::System, NOON).unwrap_err();
        fresh.keep(&Place::System, &Layer::default(), &before);
        fresh.forget_all();
        assert!(fresh.get(&Place::System, NOON).is_err());
        fresh.keep(&Place::System, &Layer::default(), &during);
        assert!(fresh.get(&Place::System, NOON).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded_by_weight() {
        let fresh = Fresh::default();
        let one = Layer::default().weight();
        let places = usize::try_from(MEMORY_BYTES_MAX / one).unwrap() + 20_000;
        let mut there = 0;
        let place = |tenant| Place::Tenant(format!("t_{tenant}").parse().unwrap(), Env::Dev);
        for tenant in 0..places {
            let before = fresh.get(&place(tenant), NOON).err().unwrap();
            fresh.keep(&place(tenant), &Layer::default(), &before);
        }
        for tenant in 0..places {
            there += u64::from(fresh.get(&place(tenant), NOON).is_ok());
        }
        assert_eq!(fresh.weight.load(Ordering::Relaxed), there * one);
        assert!(there * one <= MEMORY_BYTES_MAX && there > 60_000, "{there}");
        for tenant in 0..places {
            fresh.forget(&place(tenant));
        }
        assert_eq!(fresh.weight.load(Ordering::Relaxed), 0);
    }
}
