//! Changes, told at once to those who cached what they change.
//!
//! A cache remembers with each entry the [`Stamp`] of what the entry depends
//! on, taken **before** it was loaded. Telling a change moves the stamps, so an
//! entry that was being loaded meanwhile is stale when it arrives. Stamps are
//! counters shared by many subjects: a collision costs a reload, never truth.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
};

use identity::{SessionId, TenantId, UserId};
use tokio::sync::broadcast;

use crate::RouteOwner;

/// Counters shared by all subjects; a power of two.
const COUNTERS: usize = 8 * 1024;
/// Changes that a slow listener may lag behind before it must reload everything.
const BACKLOG_MAX: usize = 1024;

/// What has changed; what is cached of it counts no more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// A user's membership in a tenant.
    Member(TenantId, UserId),
    /// A tenant, or one of its projects, surfaces or apps.
    Tenant(TenantId),
    /// A session has ended.
    Session(SessionId),
    /// Rows of the routing registry: those of a tenant, or of everyone.
    Routes(RouteOwner),
}

/// The state of the counters of the `N` changes that would end something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp<const N: usize> {
    counters: [usize; N],
    sum: u64,
}

/// Spreads changes: to the caches of this process at once, and to listeners
/// such as open streams, or a bus that feeds other nodes.
pub struct Invalidations {
    counters: Box<[AtomicU64]>,
    hasher: RandomState,
    listeners: broadcast::Sender<Change>,
}

impl Default for Invalidations {
    fn default() -> Self {
        Self {
            counters: std::iter::repeat_with(AtomicU64::default)
                .take(COUNTERS)
                .collect(),
            hasher: RandomState::new(),
            listeners: broadcast::channel(BACKLOG_MAX).0,
        }
    }
}

impl Invalidations {
    /// Every change made in this process from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.listeners.subscribe()
    }

    /// Takes a change that another node made; it is not told on.
    pub fn heard(&self, change: &Change) {
        if let Some(counter) = self.counters.get(self.counter(change)) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Takes it that anything may have changed, because something told elsewhere was missed here.
    pub fn missed(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Tells `changes` when the returned value is dropped: after a commit, however it ends.
    pub(crate) fn tell_afterwards(self: &Arc<Self>, changes: Vec<Change>) -> TellOnDrop {
        TellOnDrop(Arc::clone(self), changes)
    }

    /// The stamp of something that each of `changes` would end.
    pub(crate) fn stamp<const N: usize>(&self, changes: &[Change; N]) -> Stamp<N> {
        let counters = changes.each_ref().map(|change| self.counter(change));
        Stamp {
            counters,
            sum: self.sum(counters),
        }
    }

    /// Whether nothing was told since the stamp was taken.
    pub(crate) fn holds<const N: usize>(&self, stamp: &Stamp<N>) -> bool {
        // Counters only rise, so an equal sum means that each is equal.
        self.sum(stamp.counters) == stamp.sum
    }

    fn counter(&self, change: &Change) -> usize {
        usize::try_from(self.hasher.hash_one(change) % COUNTERS as u64).unwrap_or_default()
    }

    fn sum<const N: usize>(&self, counters: [usize; N]) -> u64 {
        let read = |at| {
            self.counters
                .get(at)
                .map_or(0, |counter: &AtomicU64| counter.load(Ordering::SeqCst))
        };
        counters.into_iter().map(read).sum()
    }
}

/// Tells its changes when it is dropped.
pub(crate) struct TellOnDrop(Arc<Invalidations>, Vec<Change>);

impl Drop for TellOnDrop {
    fn drop(&mut self) {
        for change in self.1.drain(..) {
            self.0.heard(&change);
            // Nobody has to listen.
            let _ = self.0.listeners.send(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_ends_with_each_of_its_changes() {
        let changes = Arc::new(Invalidations::default());
        let tenant: TenantId = "t_a".parse().unwrap();
        let user: UserId = "u_a".parse().unwrap();
        let all = [Change::Tenant(tenant.clone()), Change::Member(tenant, user)];
        for change in all.clone() {
            let stamp = changes.stamp(&all);
            assert!(changes.holds(&stamp));
            drop(changes.tell_afterwards(vec![change]));
            assert!(!changes.holds(&stamp));
        }
    }

    #[test]
    fn every_stamp_ends_when_something_was_missed() {
        let changes = Invalidations::default();
        let stamps: Vec<_> = (0..100)
            .map(|n| changes.stamp(&[Change::Session(format!("se_{n}").parse().unwrap())]))
            .collect();
        changes.missed();
        assert!(stamps.iter().all(|stamp| !changes.holds(stamp)));
    }

    #[test]
    fn listeners_hear_what_was_told_here_alone() {
        let changes = Arc::new(Invalidations::default());
        let mut listener = changes.listen();
        let ended = Change::Session("se_1".parse().unwrap());
        changes.heard(&ended);
        assert!(listener.try_recv().is_err());
        drop(changes.tell_afterwards(vec![ended.clone()]));
        assert_eq!(listener.try_recv().unwrap(), ended);
    }
}
