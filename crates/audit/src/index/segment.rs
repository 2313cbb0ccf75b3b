//! Segments: what the state remembers of runs that are stored as pages.

use super::{entry::Key, state::TAIL_ENTRIES_MAX};

/// Merging this many segments of one level gives one of the next: 2^3.
const FAN_IN_BITS: u32 = 3;

/// An immutable run of entries about consecutive records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// Begins the names of its pages; never given twice.
    pub(super) id: u64,
    /// The first record.
    pub(super) first: u64,
    /// The last record.
    pub(super) last: u64,
    /// How many entries it has.
    pub(super) entries: u64,
    /// The earliest time of its records, in milliseconds.
    pub(super) earliest: u64,
    /// The latest time.
    pub(super) latest: u64,
}

impl Segment {
    /// How often eightfold it is larger than a tail.
    pub(super) fn level(&self) -> u32 {
        let tails = self.entries / TAIL_ENTRIES_MAX as u64;
        tails.checked_ilog2().unwrap_or(0) / FAN_IN_BITS
    }
}

/// A merge that has begun: readers still use its sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merge {
    /// The segments that become one, two at least.
    pub(super) sources: Vec<Segment>,
    /// The id of that one.
    pub(super) into: u64,
    /// The last key of its pages so far.
    pub(super) written: Option<Key>,
    /// How many entries it has so far.
    pub(super) entries: u64,
}

/// A place in the order of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    Still(Segment),
    Merging(Merge),
}

impl Slot {
    pub(super) fn segments(&self) -> &[Segment] {
        match self {
            Self::Still(segment) => std::slice::from_ref(segment),
            Self::Merging(merge) => &merge.sources,
        }
    }

    /// The last record, 0 for a slot without segments.
    pub(super) fn last(&self) -> u64 {
        self.segments().last().map_or(0, |segment| segment.last)
    }

    /// The ids of all segments that have pages.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        let into = match self {
            Self::Still(_) => None,
            Self::Merging(merge) => Some(merge.into),
        };
        self.segments().iter().map(|segment| segment.id).chain(into)
    }
}
