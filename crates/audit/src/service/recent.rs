//! What was appended here and is not in its tree yet, so that it need not be read back.
//!
//! The tree then holds what was acknowledged, and whoever reads a record checks what is
//! stored against the tree. What is not held here is read from the log, so holding is
//! bounded, and a record that another process appended, or that this one appended
//! before it stopped, is integrated all the same.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use identity::Timestamp;
use parking_lot::Mutex;
use store::READ_EVENTS_MAX;

use super::terms::terms;
use crate::{Hash, Leaf, Phase, Record, Seq, index::IndexEvent, index::Term, seal::InvalidSealed};

/// Records that are held at the same time, of all logs: about half a KiB each.
const HELD_MAX: usize = 64 * 1024;

/// What integration needs of a record.
pub(super) struct Found {
    pub(super) hash: Hash,
    pub(super) phase: Phase,
    time: Timestamp,
    terms: Vec<Term>,
}

impl Found {
    /// Of a record, what its leaf says, and the leaf's hash.
    pub(super) fn of(record: &Record, leaf: &Leaf, hash: Hash) -> Result<Self, InvalidSealed> {
        Ok(Self {
            hash,
            phase: leaf.phase.clone(),
            time: leaf.time,
            terms: terms(record, leaf)?,
        })
    }

    /// What the index takes of it, at its place.
    pub(super) fn event(&self, seq: Seq) -> IndexEvent {
        IndexEvent {
            seq,
            time: self.time,
            terms: self.terms.clone(),
        }
    }
}

/// The records of one log that are held.
#[derive(Default)]
pub(super) struct Recent {
    by_seq: Mutex<BTreeMap<u64, Arc<Found>>>,
    /// How many all logs hold.
    held: Arc<AtomicUsize>,
}

impl Recent {
    /// None yet; `held` counts those of all logs.
    pub(super) fn new(held: &Arc<AtomicUsize>) -> Self {
        Self {
            by_seq: Mutex::default(),
            held: Arc::clone(held),
        }
    }

    /// Holds a record that was appended at `seq`, if there is room.
    pub(super) fn hold(&self, seq: u64, found: Found) {
        let mut by_seq = self.by_seq.lock();
        let room = by_seq.len() < READ_EVENTS_MAX && self.held.load(Ordering::Relaxed) < HELD_MAX;
        if room && by_seq.insert(seq, Arc::new(found)).is_none() {
            self.held.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that follow the seq `after` without a gap.
    pub(super) fn after(&self, after: u64) -> Vec<Arc<Found>> {
        let by_seq = self.by_seq.lock();
        let next = by_seq.range(after + 1..).zip(after + 1..);
        next.take_while(|((seq, _), expected)| *seq == expected)
            .map(|((_, found), _)| Arc::clone(found))
            .collect()
    }

    /// Lets go of all: they may not be what is stored.
    pub(super) fn forget(&self) {
        let gone = std::mem::take(&mut *self.by_seq.lock()).len();
        self.held.fetch_sub(gone, Ordering::Relaxed);
    }

    /// Lets go of what the tree has, now that it has `size` records.
    pub(super) fn let_go(&self, size: u64) {
        let mut by_seq = self.by_seq.lock();
        let kept = by_seq.split_off(&(size + 1));
        let gone = std::mem::replace(&mut *by_seq, kept).len();
        self.held.fetch_sub(gone, Ordering::Relaxed);
    }
}

impl Drop for Recent {
    fn drop(&mut self) {
        self.held
            .fetch_sub(self.by_seq.get_mut().len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            hash: Hash::of(&[b"x"]),
            phase: Phase::Intent,
            time: Timestamp::from_unix_ms(0),
            terms: Vec::new(),
        }
    }

    #[test]
    fn a_run_ends_at_the_first_record_that_is_not_held() {
        let recent = Recent::default();
        for seq in [4, 2, 3, 6] {
            recent.hold(seq, found());
        }
        assert_eq!(recent.after(1).len(), 3);
        assert_eq!(recent.after(3).len(), 1);
        assert_eq!(recent.after(0).len(), 0);
        recent.let_go(3);
        assert_eq!(recent.after(1).len(), 0);
        assert_eq!(recent.after(3).len(), 1);
    }

    #[test]
    fn what_is_held_is_bounded_in_one_log_and_in_all() {
        let held = Arc::new(AtomicUsize::new(0));
        let logs: Vec<Recent> = (0..80).map(|_| Recent::new(&held)).collect();
        for log in &logs {
            (1..=2000).for_each(|seq| log.hold(seq, found()));
            assert!(log.after(0).len() <= READ_EVENTS_MAX);
        }
        assert_eq!(held.load(Ordering::Relaxed), HELD_MAX);
        logs.iter().for_each(|log| log.let_go(500));
        assert!(held.load(Ordering::Relaxed) <= HELD_MAX / 2);
        drop(logs);
        assert_eq!(held.load(Ordering::Relaxed), 0);
    }
}
