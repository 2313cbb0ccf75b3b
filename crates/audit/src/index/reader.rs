//! Looking up entries of one part of an index, page by page.

use std::{collections::HashMap, ops::RangeInclusive};

use super::{
    Index, IndexError, Pages,
    entry::{Entry, FALL, Key, RISE, first_at},
    page::Page,
    segment::Segment,
};

/// Pages that are held of a segment: about one per term, and one for its marks.
const PAGES_HELD_MAX: usize = 16;

/// Why a lookup gave no answer.
pub(super) enum Stop {
    /// The call has read as many pages as it may.
    Spent,
    /// Reading failed.
    Failed(IndexError),
}

impl From<IndexError> for Stop {
    fn from(error: IndexError) -> Self {
        Self::Failed(error)
    }
}

/// Pages that may still be read.
pub(super) struct Allowance<'a> {
    pub(super) pages: &'a Pages,
    pub(super) reads: usize,
}

impl Allowance<'_> {
    async fn read(&mut self, segment: &Segment, key: Key) -> Result<Page, Stop> {
        self.reads = self.reads.checked_sub(1).ok_or(Stop::Spent)?;
        let found = self.pages.read(segment, key, 1).await?;
        Ok(found.into_iter().next().ok_or(IndexError::Stale)?)
    }
}

/// A segment, or the tail: what a query looks at one after the other.
pub(super) struct Part<'a> {
    /// Its records.
    pub(super) seqs: RangeInclusive<u64>,
    times: RangeInclusive<u64>,
    /// `None` for the tail, which is held whole.
    segment: Option<&'a Segment>,
    held: Vec<Page>,
    /// What was found last of each term.
    found: HashMap<u64, Option<u64>>,
}

impl<'a> Part<'a> {
    pub(super) fn of_segment(segment: &'a Segment) -> Self {
        Self {
            seqs: segment.first..=segment.last,
            times: segment.earliest..=segment.latest,
            segment: Some(segment),
            held: Vec::new(),
            found: HashMap::new(),
        }
    }

    /// The tail as one page; `None` when it has no records.
    pub(super) fn of_tail(index: &Index) -> Option<Self> {
        let page = Page {
            first: Key::MIN,
            last: Key::MAX,
            entries: index.tail.entries().collect(),
        };
        Some(Self {
            seqs: index.tail_first..=index.last,
            times: index.tail.times()?,
            segment: None,
            held: vec![page],
            found: HashMap::new(),
        })
    }

    /// The first record from `seq` on that may have the term. It is asked for with rising
    /// seqs, so what was found holds until it is passed.
    pub(super) async fn posting(
        &mut self,
        allowance: &mut Allowance<'_>,
        term: u64,
        seq: u64,
    ) -> Result<Option<u64>, Stop> {
        if let Some(found) = self.found.get(&term)
            && found.is_none_or(|found| found >= seq)
        {
            return Ok(*found);
        }
        let entry = self.first_at(allowance, Key { term, at: seq }).await?;
        let found = entry.filter(|entry| entry.key.term == term);
        let found = found.map(|entry| entry.seq);
        self.found.insert(term, found);
        Ok(found)
    }

    /// The records outside of which no time is within `times`; `None` when none is at all.
    pub(super) async fn within(
        &mut self,
        allowance: &mut Allowance<'_>,
        times: &RangeInclusive<u64>,
    ) -> Result<Option<RangeInclusive<u64>>, Stop> {
        let (from, to) = (*times.start(), *times.end());
        if times.is_empty() || from > *self.times.end() || to < *self.times.start() {
            return Ok(None);
        }
        let (mut first, mut last) = self.seqs.clone().into_inner();
        if from > *self.times.start() {
            let key = Key {
                term: RISE,
                at: from,
            };
            let rise = self.first_at(allowance, key).await?;
            let rise = rise.filter(|entry| entry.key.term == RISE);
            // The latest time is a rise, and `from` is not after it.
            first = rise.ok_or(IndexError::Damaged)?.seq;
        }
        if to < *self.times.end() {
            let key = Key {
                term: FALL,
                at: to.saturating_add(1),
            };
            let fall = self.first_at(allowance, key).await?;
            if let Some(fall) = fall.filter(|entry| entry.key.term == FALL) {
                last = fall.seq.saturating_sub(1);
            }
        }
        Ok((first <= last).then_some(first..=last))
    }

    async fn first_at(
        &mut self,
        allowance: &mut Allowance<'_>,
        key: Key,
    ) -> Result<Option<Entry>, Stop> {
        if let Some(page) = self.held.iter().find(|page| page.covers(key)) {
            return Ok(first_at(&page.entries, key));
        }
        let Some(segment) = self.segment else {
            return Ok(None);
        };
        let page = allowance.read(segment, key).await?;
        let found = first_at(&page.entries, key);
        if self.held.len() >= PAGES_HELD_MAX {
            self.held.remove(0);
        }
        self.held.push(page);
        Ok(found)
    }
}
