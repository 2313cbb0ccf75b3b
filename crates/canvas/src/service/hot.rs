//! Canvases in memory: where each is, and whose turn it is to change it.
//!
//! **Invariant:** in a process one task at a time changes a canvas, for all who want it changed; others
//! read what it has last set. The store's head decides between processes. Another task tells of its
//! commits, one at a time too.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use store::{Cursor, StreamKey, Version};
use tokio::{sync::Mutex as Turns, time::Instant};

use super::lane::Lane;
use crate::{
    model::State,
    stored::{Head, StoredCommit},
};

/// Canvases in memory, at most, beside those in use.
const CANVASES_MAX: usize = 1024;
/// Bytes of their states, about.
const BYTES_MAX: usize = 512 * 1024 * 1024;
/// What a canvas costs beside the canonical form of its nodes, about, in bytes.
const OVERHEAD_BYTES: usize = 16 * 1024;
/// A node in memory is about so many times as large as its canonical form.
const IN_MEMORY: usize = 3;
/// The shelf is tidied once in so many uses.
const TIDY_EVERY: u64 = 64;
/// Commits that are kept in memory, with about as many bytes.
const RECENT_MAX: usize = 256;
const RECENT_BYTES_MAX: u64 = 512 * 1024;

/// Where a canvas is.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) head: Head,
    /// Of the head's document; `None` while there is none.
    pub(super) version: Option<Version>,
    pub(super) state: State,
    /// The last commits, up to the head.
    pub(super) recent: VecDeque<Arc<StoredCommit>>,
    /// The floor that the store knows; below it things may go.
    pub(super) stored_floor: u64,
}

impl Current {
    /// A canvas at `head`, whose document has this version.
    pub(super) fn new(head: Head, version: Option<Version>, state: State) -> Self {
        Self {
            stored_floor: head.floor,
            head,
            version,
            state,
            recent: VecDeque::new(),
        }
    }

    /// Takes note of a commit.
    pub(super) fn remember(&mut self, commit: Arc<StoredCommit>) {
        let bytes = commit.log_bytes;
        self.recent.push_back(commit);
        let old = |first: &Arc<StoredCommit>| first.log_bytes + RECENT_BYTES_MAX < bytes;
        while self.recent.len() > RECENT_MAX || self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
    }

    /// The commits after `rev`, if all of them are in memory.
    pub(super) fn recent_after(&self, rev: u64) -> Option<Vec<Arc<StoredCommit>>> {
        let missing = usize::try_from(self.head.rev.checked_sub(rev)?).ok()?;
        let skipped = self.recent.len().checked_sub(missing)?;
        Some(self.recent.iter().skip(skipped).cloned().collect())
    }

    /// The oldest revision whose state can be made. Revision 0 has no commit; it is kept as long as
    /// the first one is.
    pub(super) fn oldest(&self) -> u64 {
        match self.head.floor {
            1 => 0,
            floor => floor,
        }
    }
}

/// Up to where commits were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ToldTo {
    /// The last revision.
    pub(super) rev: u64,
    /// Where on the rail that is, if it is known.
    pub(super) cursor: Option<Cursor>,
}

/// What was told of a canvas, and who tells.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// Held by who tells, so that commits are told in order.
    pub(super) turn: Turns<()>,
    /// Whether a task is about to tell.
    pub(super) scheduled: AtomicBool,
    told: Mutex<ToldTo>,
}

impl Telling {
    pub(super) fn told(&self) -> ToldTo {
        *self.told.lock()
    }

    /// Takes note of a commit that was told.
    pub(super) fn note(&self, rev: u64, cursor: Option<Cursor>) {
        let mut told = self.told.lock();
        if rev > told.rev {
            *told = ToldTo { rev, cursor };
        }
    }

    /// Takes note of what a head says was told.
    pub(super) fn learn(&self, head: &Head) {
        let cursor = head.published_at.as_deref();
        self.note(head.published, cursor.and_then(|text| text.parse().ok()));
    }

    /// Writes down in a head what was told.
    pub(super) fn mark(&self, head: &mut Head) {
        let ToldTo { rev, cursor } = self.told();
        head.published = rev;
        head.published_at = cursor.map(|cursor| cursor.to_string());
    }
}

/// One canvas in memory.
#[derive(Debug, Default)]
pub(super) struct Hot {
    /// Held by who changes the canvas, or brings it into memory.
    pub(super) turn: Turns<()>,
    /// Changes that wait for that.
    pub(super) lane: Lane,
    pub(super) telling: Telling,
    current: Mutex<Option<Arc<Current>>>,
    /// Until then other nodes go first.
    gives_way: Mutex<Option<Instant>>,
    used: AtomicU64,
}

impl Hot {
    pub(super) fn current(&self) -> Option<Arc<Current>> {
        self.current.lock().clone()
    }

    pub(super) fn set(&self, current: &Arc<Current>) {
        *self.current.lock() = Some(Arc::clone(current));
    }

    /// What is in memory may not be what is stored.
    pub(super) fn forget(&self) {
        *self.current.lock() = None;
    }

    /// Lets other nodes go first until then.
    pub(super) fn give_way(&self, until: Instant) {
        *self.gives_way.lock() = Some(until);
    }

    /// Until when other nodes go first, if they do; asked once.
    pub(super) fn gives_way(&self) -> Option<Instant> {
        self.gives_way.lock().take()
    }

    /// Commits up to this head that were not told yet.
    pub(super) fn untold(&self, head: &Head) -> u64 {
        head.rev.saturating_sub(self.telling.told().rev)
    }

    fn bytes(&self) -> usize {
        let current = self.current.lock();
        let state = current.as_ref().map_or(0, |current| current.state.bytes());
        state * IN_MEMORY + OVERHEAD_BYTES
    }
}

/// All canvases in memory.
#[derive(Default)]
pub(super) struct Shelf {
    canvases: Mutex<HashMap<StreamKey, Arc<Hot>>>,
    uses: AtomicU64,
}

impl Shelf {
    pub(super) fn get(&self, key: &StreamKey) -> Arc<Hot> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut canvases = self.canvases.lock();
        if used.is_multiple_of(TIDY_EVERY) {
            tidy(&mut canvases);
        }
        let hot = canvases.entry(key.clone()).or_default();
        hot.used.store(used, Ordering::Relaxed);
        Arc::clone(hot)
    }
}

/// Drops those that were not used for the longest time, and are not in use, until all is within
/// three quarters of what it may be.
fn tidy(canvases: &mut HashMap<StreamKey, Arc<Hot>>) {
    let mut bytes: usize = canvases.values().map(|hot| hot.bytes()).sum();
    if canvases.len() <= CANVASES_MAX && bytes <= BYTES_MAX {
        return;
    }
    let mut idle: Vec<(u64, StreamKey, usize)> = canvases
        .iter()
        .filter(|(_, hot)| Arc::strong_count(hot) == 1)
        .map(|(key, hot)| (hot.used.load(Ordering::Relaxed), key.clone(), hot.bytes()))
        .collect();
    idle.sort_unstable();
    for (_, key, weight) in idle {
        if canvases.len() <= CANVASES_MAX / 4 * 3 && bytes <= BYTES_MAX / 4 * 3 {
            break;
        }
        canvases.remove(&key);
        // It may have grown since it was weighed.
        bytes = bytes.saturating_sub(weight);
    }
}
