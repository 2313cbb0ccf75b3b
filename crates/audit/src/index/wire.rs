//! The state as bytes.
//!
//! ```text
//! 0x01 | next id | first record | floor, from the first record | slots | garbage
//!      | records of the tail | the tail's entries
//! slots:   how many | each: 1 | segment
//!                       or: sources, 2 at least | into | entries | written | each source
//! segment: id | records - 1 | entries | earliest | latest - earliest
//! written: 0, or 1 | term | at
//! garbage: how many | ids
//! ```
//! Numbers are varints. There is one way to write a state, and what is written in another is refused.

use std::collections::HashSet;

use super::{
    Index, IndexError,
    codec::{put, take},
    due::SOURCES_MAX,
    entry::{Key, TERM_MAX},
    run::Run,
    segment::{Merge, Segment, Slot},
    state::BACKLOG_MAX,
};
use crate::LOG_SIZE_MAX;

const VERSION: u8 = 1;
/// Merges keep reducing segments when nothing may be added any more, and each of them
/// adds one to the backlog.
const IDS_MAX: u64 = 2 * BACKLOG_MAX as u64;

pub(super) fn encode(index: &Index) -> Vec<u8> {
    let first = first(index);
    let mut out = vec![VERSION];
    put(&mut out, index.next_id);
    put(&mut out, first);
    put(&mut out, index.floor - first);
    put(&mut out, index.slots.len() as u64);
    for slot in &index.slots {
        put_slot(&mut out, slot);
    }
    put(&mut out, index.garbage.len() as u64);
    for id in &index.garbage {
        put(&mut out, *id);
    }
    put(&mut out, index.last + 1 - index.tail_first);
    index.tail.encode(&mut out, index.tail_first);
    out
}

fn first(index: &Index) -> u64 {
    let segment = index.segments().next();
    segment.map_or(index.tail_first, |segment| segment.first)
}

fn put_slot(out: &mut Vec<u8>, slot: &Slot) {
    put(out, slot.segments().len() as u64);
    if let Slot::Merging(merge) = slot {
        put(out, merge.into);
        put(out, merge.entries);
        put(out, u64::from(merge.written.is_some()));
        if let Some(written) = merge.written {
            put(out, written.term);
            put(out, written.at);
        }
    }
    for segment in slot.segments() {
        put(out, segment.id);
        put(out, segment.last - segment.first);
        put(out, segment.entries);
        put(out, segment.earliest);
        put(out, segment.latest - segment.earliest);
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Index, IndexError> {
    let (version, mut rest) = bytes.split_first().ok_or(IndexError::Damaged)?;
    if *version != VERSION {
        return Err(IndexError::Damaged);
    }
    let bytes = &mut rest;
    let next_id = take(bytes)?;
    let first = take(bytes)?;
    let floor = sum(first, take(bytes)?)?;
    let mut next = first;
    let slots = up_to(bytes, IDS_MAX)?;
    let slots = (0..slots)
        .map(|_| take_slot(bytes, &mut next))
        .collect::<Result<Vec<_>, _>>()?;
    let garbage = up_to(bytes, IDS_MAX)?;
    let garbage = (0..garbage)
        .map(|_| take(bytes))
        .collect::<Result<_, _>>()?;
    let last = sum(next, take(bytes)?)? - 1;
    let index = Index {
        tail: Run::decode(bytes, &(next..=last))?,
        slots,
        garbage,
        next_id,
        floor,
        tail_first: next,
        last,
    };
    check(&index, first)?;
    Ok(index)
}

fn check(index: &Index, first: u64) -> Result<(), IndexError> {
    let mut seen = HashSet::new();
    let slots = index.slots.iter().flat_map(Slot::ids);
    let mut ids = slots.chain(index.garbage.iter().copied());
    let ids = ids.all(|id| id < index.next_id && seen.insert(id));
    let seqs = first >= 1 && index.last <= LOG_SIZE_MAX && index.floor <= index.last + 1;
    (ids && seqs).then_some(()).ok_or(IndexError::Damaged)
}

fn take_slot(bytes: &mut &[u8], next: &mut u64) -> Result<Slot, IndexError> {
    let count = up_to(bytes, SOURCES_MAX as u64)?;
    match count {
        0 => Err(IndexError::Damaged),
        1 => Ok(Slot::Still(take_segment(bytes, next)?)),
        _ => {
            let (into, entries) = (take(bytes)?, take(bytes)?);
            let written = match up_to(bytes, 1)? {
                0 => None,
                _ => Some(take_key(bytes)?),
            };
            let sources = (0..count).map(|_| take_segment(bytes, next));
            Ok(Slot::Merging(Merge {
                sources: sources.collect::<Result<_, _>>()?,
                into,
                written,
                entries,
            }))
        }
    }
}

fn take_key(bytes: &mut &[u8]) -> Result<Key, IndexError> {
    let term = up_to(bytes, TERM_MAX)?;
    let at = take(bytes)?;
    Ok(Key { term, at })
}

fn take_segment(bytes: &mut &[u8], next: &mut u64) -> Result<Segment, IndexError> {
    let id = take(bytes)?;
    let first = *next;
    let last = sum(first, take(bytes)?)?;
    *next = last + 1;
    let entries = take(bytes)?;
    let earliest = take(bytes)?;
    let latest = earliest
        .checked_add(take(bytes)?)
        .filter(|latest| *latest < 1 << 63)
        .ok_or(IndexError::Damaged)?;
    Ok(Segment {
        id,
        first,
        last,
        entries,
        earliest,
        latest,
    })
}

/// A number that is at most `most`.
fn up_to(bytes: &mut &[u8], most: u64) -> Result<u64, IndexError> {
    let number = take(bytes)?;
    (number <= most)
        .then_some(number)
        .ok_or(IndexError::Damaged)
}

/// The seq that is `distance` after `from`, if a log may be so long.
fn sum(from: u64, distance: u64) -> Result<u64, IndexError> {
    let sum = from.checked_add(distance);
    sum.filter(|sum| (1..=LOG_SIZE_MAX + 1).contains(sum))
        .ok_or(IndexError::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index as At};

    use super::{super::entry::Entry, *};
    use crate::Seq;

    fn segment(id: u64, first: u64, last: u64) -> Segment {
        Segment {
            id,
            first,
            last,
            entries: 300,
            earliest: 1_700_000_000_000,
            latest: 1_700_000_000_900,
        }
    }

    fn full() -> Index {
        let mut tail = Run::default();
        tail.mark(301, 1_700_000_000_100..=1_700_000_000_700);
        tail.post((301..=303).map(|seq| Entry::posting(seq * 1_000_003, seq)));
        Index {
            slots: vec![
                Slot::Still(segment(0, 11, 100)),
                Slot::Merging(Merge {
                    sources: vec![segment(3, 101, 200), segment(4, 201, 300)],
                    into: 6,
                    written: Some(Key { term: 9, at: 150 }),
                    entries: 370,
                }),
            ],
            garbage: vec![1, 2],
            next_id: 7,
            floor: 50,
            tail_first: 301,
            last: 303,
            tail,
        }
    }

    #[test]
    fn a_state_reads_back() {
        let mut index = full();
        assert_eq!(decode(&encode(&index)), Ok(index.clone()));
        index.drop_before(Seq::try_from(1000).unwrap());
        assert_eq!(index.floor, 304);
        assert_eq!(index.garbage, [1, 2, 0, 3, 4, 6]);
        assert_eq!(decode(&encode(&index)), Ok(index));
        let renewed = full().renewed();
        assert_eq!(
            (renewed.oldest(), renewed.last, renewed.next_id),
            (50, 49, 7)
        );
        assert_eq!(renewed.garbage, [1, 2, 0, 3, 4, 6]);
        assert_eq!(decode(&encode(&renewed)), Ok(renewed));
    }

    #[test]
    fn a_state_of_nothing_takes_a_few_bytes() {
        assert_eq!(encode(&Index::new()), [VERSION, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_state_that_contradicts_itself_is_refused() {
        let wrong: [fn(&mut Index); 5] = [
            |index| index.next_id = 6,
            |index| index.garbage.push(0),
            |index| index.floor = 305,
            |index| index.last = 302,
            |index| index.tail = Run::default(),
        ];
        for (case, change) in wrong.iter().enumerate() {
            let mut index = full();
            change(&mut index);
            let decoded = decode(&encode(&index));
            assert_eq!(decoded, Err(IndexError::Damaged), "case {case}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in vec(prop_oneof![3 => 0..5_u8, 1 => any::<u8>()], 0..100)) {
            bytes.insert(0, VERSION);
            if let Ok(index) = decode(&bytes) {
                prop_assert_eq!(encode(&index), bytes);
            }
        }

        #[test]
        fn a_changed_state_is_read_or_refused(at in any::<At>(), byte in any::<u8>(), cut in any::<At>()) {
            let mut bytes = encode(&full());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(index) = decode(&bytes) {
                prop_assert_eq!(encode(&index), bytes.clone());
            }
            bytes.truncate(cut.index(bytes.len()));
            let _ = decode(&bytes);
        }
    }
}
