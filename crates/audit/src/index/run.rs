//! A run in memory: the tail of an index, to which events are added.

use std::ops::RangeInclusive;

use super::{
    IndexError, codec,
    entry::{Entry, FALL, Key, RISE},
};

/// Most records that share a mark of time.
pub const MARK_EVENTS: usize = 64;

/// Sorted entries and sorted marks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Run {
    /// By time; the seqs rise as well.
    rises: Vec<Entry>,
    /// By time; the seqs rise as well.
    falls: Vec<Entry>,
    postings: Vec<Entry>,
}

impl Run {
    pub(super) fn len(&self) -> usize {
        self.rises.len() + self.falls.len() + self.postings.len()
    }

    /// The earliest and the latest time, in milliseconds; `None` without records.
    pub(super) fn times(&self) -> Option<RangeInclusive<u64>> {
        Some(self.falls.first()?.key.at..=self.rises.last()?.key.at)
    }

    /// Notes the times of the records from `first` on that were not noted before.
    pub(super) fn mark(&mut self, first: u64, times: RangeInclusive<u64>) {
        let (earliest, latest) = times.into_inner();
        let highest = self.rises.last().map(|rise| rise.key.at);
        if highest.is_none_or(|highest| latest > highest) {
            self.rises.push(mark(RISE, latest, first));
        }
        // Falls promise that nothing earlier comes; now something does.
        let mut since = first;
        while let Some(broken) = self.falls.pop_if(|fall| fall.key.at >= earliest) {
            since = broken.seq;
        }
        self.falls.push(mark(FALL, earliest, since));
    }

    /// Adds postings in any order; the same one twice counts once.
    pub(super) fn post(&mut self, postings: impl Iterator<Item = Entry>) {
        self.postings.extend(postings);
        self.postings.sort_by_key(|entry| entry.key);
        self.postings.dedup();
    }

    /// Removes postings of records before `floor`.
    pub(super) fn drop_before(&mut self, floor: u64) {
        self.postings.retain(|entry| entry.seq >= floor);
    }

    /// All entries in their order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let marks = self.rises.iter().chain(&self.falls);
        marks.chain(&self.postings).copied()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>, base: u64) {
        let entries: Vec<Entry> = self.entries().collect();
        codec::write(out, Key::MIN.term, base, &entries);
    }

    /// Reads the run of the records `seqs`.
    pub(super) fn decode(bytes: &[u8], seqs: &RangeInclusive<u64>) -> Result<Self, IndexError> {
        let mut entries = codec::read(bytes, Key::MIN.term, *seqs.start())?;
        let outside = |entry: &Entry| !seqs.contains(&entry.seq);
        if entries.iter().any(outside) || !rising(&entries) {
            return Err(IndexError::Damaged);
        }
        let postings = entries.split_off(entries.partition_point(Entry::is_mark));
        let falls = entries.split_off(entries.partition_point(|entry| entry.key.term == RISE));
        let run = Self {
            rises: entries,
            falls,
            postings,
        };
        // Records have times, and the earliest is not after the latest.
        let sound = match run.times() {
            Some(times) => !times.is_empty() && !seqs.is_empty(),
            None => run.len() == 0 && seqs.is_empty(),
        };
        sound.then_some(run).ok_or(IndexError::Damaged)
    }
}

/// Whether the keys rise; the codec sees to it within a group.
fn rising(entries: &[Entry]) -> bool {
    entries.is_sorted_by(|a, b| a.key < b.key)
}

const fn mark(term: u64, at: u64, seq: u64) -> Entry {
    Entry {
        key: Key { term, at },
        seq,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// The blocks between the marks are the first and the last that can hold the time.
        #[test]
        fn marks_name_the_first_and_the_last_block(
            blocks in vec((0..100_u64, 0..9_u64), 1..40), from in 0..110_u64, to in 0..110_u64,
        ) {
            let mut run = Run::default();
            for (seq, (earliest, span)) in (1..).zip(&blocks) {
                run.mark(seq, *earliest..=earliest + span);
            }
            let after = |marks: &[Entry], time| {
                marks.iter().find(|mark| mark.key.at >= time).map(|mark| mark.seq)
            };
            let first = blocks.iter().position(|(earliest, span)| earliest + span >= from);
            prop_assert_eq!(after(&run.rises, from), first.map(|at| at as u64 + 1));
            let last = blocks.iter().rposition(|(earliest, _)| *earliest <= to);
            let beyond = last.map_or(0, |at| at + 1);
            let expected = (beyond < blocks.len()).then_some(beyond as u64 + 1);
            prop_assert_eq!(after(&run.falls, to + 1), expected);
        }
    }

    #[test]
    fn what_is_no_run_of_its_records_is_refused() {
        let mut run = Run::default();
        run.mark(5, 1000..=2000);
        run.post([Entry::posting(77, 6), Entry::posting(99, 5)].into_iter());
        let mut bytes = Vec::new();
        run.encode(&mut bytes, 5);
        assert_eq!(Run::decode(&bytes, &(5..=6)), Ok(run));
        assert_eq!(Run::decode(&bytes, &(5..=5)), Err(IndexError::Damaged));
        assert_eq!(Run::decode(&[], &(5..=6)), Err(IndexError::Damaged));
        assert_eq!(
            Run::decode(&[], &RangeInclusive::new(5, 4)),
            Ok(Run::default())
        );
        // Postings of records without a time.
        let mut bytes = Vec::new();
        codec::write(&mut bytes, 0, 5, &[Entry::posting(77, 5)]);
        assert_eq!(Run::decode(&bytes, &(5..=6)), Err(IndexError::Damaged));
    }
}
