//! What a segment is made of: postings, and marks of time, in one order.

use identity::Timestamp;

/// The mark of a rise: from the record `seq` on there are times as late as `at`, before it none.
pub(super) const RISE: u64 = 0;
/// The mark of a fall: from the record `seq` on there is no time before `at`.
pub(super) const FALL: u64 = 1;
/// The lowest hash of a term.
pub(super) const TERM_FIRST: u64 = 2;
/// The highest hash of a term: 48 bits.
pub(super) const TERM_MAX: u64 = (1 << 48) - 1;

/// Where an entry stands: by term, then by seq; marks, which have no term, by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The hash of the term, or [`RISE`] or [`FALL`].
    pub(super) term: u64,
    /// The seq of a posting; the time of a mark, in milliseconds.
    pub(super) at: u64,
}

impl Key {
    /// Before every entry.
    pub(super) const MIN: Self = Self { term: 0, at: 0 };
    /// After every entry: no seq and no time is so large.
    pub(super) const MAX: Self = Self {
        term: TERM_MAX,
        at: u64::MAX,
    };

    /// The key after this one.
    pub(super) const fn next(self) -> Self {
        match self.at.checked_add(1) {
            Some(at) => Self { at, ..self },
            None => Self {
                term: self.term + 1,
                at: 0,
            },
        }
    }

    /// The key before this one, `None` for the first.
    pub(super) fn previous(self) -> Option<Self> {
        match self.at.checked_sub(1) {
            Some(at) => Some(Self { at, ..self }),
            None => Some(Self {
                term: self.term.checked_sub(1)?,
                at: u64::MAX,
            }),
        }
    }
}

/// One entry of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// The record; equal to the `at` of a posting.
    pub(super) seq: u64,
}

impl Entry {
    pub(super) const fn posting(term: u64, seq: u64) -> Self {
        let key = Key { term, at: seq };
        Self { key, seq }
    }

    pub(super) const fn is_mark(&self) -> bool {
        is_mark(self.key.term)
    }
}

pub(super) const fn is_mark(term: u64) -> bool {
    term < TERM_FIRST
}

/// The first entry at `key` or after it.
pub(super) fn first_at(entries: &[Entry], key: Key) -> Option<Entry> {
    let at = entries.partition_point(|entry| entry.key < key);
    entries.get(at).copied()
}

/// A time as marks hold it, in milliseconds. What is before 1970 counts as 1970,
/// which keeps the order of times and so leaves nothing out.
pub(super) fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.unix_ms()).unwrap_or(0)
}
