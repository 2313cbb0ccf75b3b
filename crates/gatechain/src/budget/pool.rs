//! The slices that this process holds of one counter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use identity::Timestamp;
use parking_lot::Mutex;
use smol_str::SmolStr;
use store::{DocKey, Version};
use tokio::sync::Semaphore;

use super::LEASE_LEFT_MIN;

/// Writes that may be paid for from one counter at once, by this process.
pub(super) const LANES_MAX: usize = 64;

/// A slice in our hands; only who holds it pays from it.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) id: SmolStr,
    pub(super) key: DocKey,
    pub(super) version: Version,
    pub(super) granted: u64,
    pub(super) spent: u64,
    pub(super) until: Timestamp,
    pub(super) used_at: Timestamp,
}

impl Lane {
    pub(super) fn left(&self) -> u64 {
        self.granted.saturating_sub(self.spent)
    }

    fn pays(&self, cost: u64, now: Timestamp) -> bool {
        self.left() >= cost && self.until > now.plus(LEASE_LEFT_MIN)
    }
}

/// How much is borrowed at once: more, when it is borrowed often.
#[derive(Debug, Default)]
pub(super) struct Demand {
    pub(super) last: Option<Timestamp>,
    pub(super) factor: u64,
}

pub(super) struct Pool {
    idle: Mutex<Vec<Lane>>,
    /// Held while slices are borrowed, so that one asks for all who wait.
    pub(super) demand: tokio::sync::Mutex<Demand>,
    pub(super) waiting: AtomicUsize,
    pub(super) turns: Arc<Semaphore>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
            demand: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(LANES_MAX)),
        }
    }
}

impl Pool {
    /// A slice that pays `cost`.
    pub(super) fn take(&self, cost: u64, now: Timestamp) -> Option<Lane> {
        let mut idle = self.idle.lock();
        let at = idle.iter().position(|lane| lane.pays(cost, now))?;
        Some(idle.swap_remove(at))
    }

    /// Any slice, to be enlarged.
    pub(super) fn take_any(&self) -> Option<Lane> {
        self.idle.lock().pop()
    }

    /// All slices that nobody uses.
    pub(super) fn take_all(&self) -> Vec<Lane> {
        std::mem::take(&mut *self.idle.lock())
    }

    pub(super) fn take_idle_since(&self, now: Timestamp, idle_max: Duration) -> Vec<Lane> {
        let mut idle = self.idle.lock();
        let (old, young) = std::mem::take(&mut *idle)
            .into_iter()
            .partition(|lane| now.since(lane.used_at) >= idle_max || now < lane.used_at);
        *idle = young;
        old
    }

    pub(super) fn put_back(&self, lane: Lane) {
        self.idle.lock().push(lane);
    }

    /// The ids of idle slices.
    pub(super) fn idle_ids(&self) -> Vec<SmolStr> {
        let idle = self.idle.lock();
        idle.iter().map(|lane| lane.id.clone()).collect()
    }

    /// Whether nobody has or wants a slice of it.
    pub(super) fn is_deserted(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
            && self.waiting.load(Ordering::SeqCst) == 0
            && self.idle.lock().is_empty()
    }
}
