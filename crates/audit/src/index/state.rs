//! The state of an index: its tail, and what it knows of its segments.

use super::{
    IndexError,
    run::Run,
    segment::{Segment, Slot},
    wire,
};
use crate::Seq;

/// Most entries of the tail, which stands in the head document: about 2 KiB.
pub const TAIL_ENTRIES_MAX: usize = 256;
/// From this many segments and ids of garbage on, nothing is added until upkeep is done.
pub(super) const BACKLOG_MAX: usize = 1024;

/// All that a writer or a reader needs of a log's index, beside its pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// In the order of their records, without gaps.
    pub(super) slots: Vec<Slot>,
    /// Ids of segments whose pages are still to be deleted.
    pub(super) garbage: Vec<u64>,
    /// The id of the next segment.
    pub(super) next_id: u64,
    /// The first record that a query may return.
    pub(super) floor: u64,
    /// The first record of the tail.
    pub(super) tail_first: u64,
    /// The last record, one less than `tail_first` when the tail is empty.
    pub(super) last: u64,
    /// The entries about the newest records.
    pub(super) tail: Run,
}

impl Index {
    /// The index of a log without records.
    #[must_use]
    pub fn new() -> Self {
        let first = Seq::FIRST;
        Self {
            slots: Vec::new(),
            garbage: Vec::new(),
            next_id: 0,
            floor: first.get(),
            tail_first: first.get(),
            last: first.index(),
            tail: Run::default(),
        }
    }

    /// The first record that a query may return, one after the last when there is none.
    #[must_use]
    pub const fn oldest(&self) -> u64 {
        self.floor
    }

    /// This index without its records and pages, to be built anew from [`Index::oldest`] on.
    #[must_use]
    pub fn renewed(&self) -> Self {
        let ids = self.slots.iter().flat_map(Slot::ids);
        let before = self.floor - 1;
        Self {
            slots: Vec::new(),
            garbage: self.garbage.iter().copied().chain(ids).collect(),
            next_id: self.next_id,
            floor: self.floor,
            tail_first: self.floor,
            last: before,
            tail: Run::default(),
        }
    }

    /// The last record that is indexed; those after it are found by reading them.
    #[must_use]
    pub fn last(&self) -> Option<Seq> {
        Seq::try_from(self.last).ok()
    }

    /// The bytes to store, in the head document.
    ///
    /// They have no checksum of their own: the document that holds them has one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads stored bytes, all of them.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        wire::decode(bytes)
    }

    /// Forgets the records before `first`, at most all that there are. Segments wholly
    /// before it become garbage, which [`Index::advance`] deletes bit by bit.
    pub fn drop_before(&mut self, first: Seq) {
        self.floor = self.floor.max(first.get().min(self.last + 1));
        let kept = self.slots.partition_point(|slot| slot.last() < self.floor);
        let dropped = self.slots.drain(..kept);
        self.garbage
            .extend(dropped.flat_map(|slot| slot.ids().collect::<Vec<_>>()));
        self.tail.drop_before(self.floor);
    }

    /// All segments that readers use, in the order of their records.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.slots.iter().flat_map(Slot::segments)
    }

    /// What upkeep has yet to reduce.
    pub(super) fn backlog(&self) -> usize {
        self.segments().count() + self.garbage.len()
    }

    pub(super) const fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}
