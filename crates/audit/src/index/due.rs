//! Which segments are to be merged next.
//!
//! **Invariant:** when nothing is due and nothing is being merged, levels do not rise
//! from older to newer segments, and fewer than [`FAN_IN`] segments share one. So there are
//! at most seven per level, and a level for each eightfold of entries.

use std::ops::Range;

use super::segment::Slot;

/// So many segments of one level become one.
const FAN_IN: usize = 8;
/// Most segments that are merged at once: each takes a page of memory.
pub(super) const SOURCES_MAX: usize = 32;

/// The segments to be merged, as a range of `slots`.
pub(super) fn due(slots: &[Slot]) -> Option<Range<usize>> {
    let levels: Vec<Option<u32>> = slots.iter().map(level).collect();
    let mut start = 0;
    for part in levels.split_inclusive(Option::is_none) {
        let still: Vec<u32> = part.iter().copied().flatten().collect();
        if let Some(found) = rise(&still).or_else(|| alike(&still)) {
            return Some(start + found.start..start + found.end);
        }
        start += part.len();
    }
    None
}

/// The level of a slot; one that is being merged has none and stands between the others.
fn level(slot: &Slot) -> Option<u32> {
    match slot {
        Slot::Still(segment) => Some(segment.level()),
        Slot::Merging(_) => None,
    }
}

/// Small segments before a larger one, and that one: a batch was large.
fn rise(levels: &[u32]) -> Option<Range<usize>> {
    let larger = levels.array_windows().position(|[a, b]| a < b)? + 1;
    let level = levels.get(larger)?;
    let before = levels.get(..larger)?.iter().rev();
    let small = before.take_while(|before| *before < level).count();
    Some(larger - small.min(SOURCES_MAX - 1)..larger + 1)
}

/// The first [`FAN_IN`] of one level, or more where upkeep was late.
fn alike(levels: &[u32]) -> Option<Range<usize>> {
    let mut start = 0;
    for group in levels.chunk_by(|a, b| a == b) {
        if group.len() >= FAN_IN {
            return Some(start..start + group.len().min(SOURCES_MAX));
        }
        start += group.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{
        super::segment::{Merge, Segment},
        *,
    };

    fn still(entries: u64) -> Slot {
        Slot::Still(Segment {
            id: 0,
            first: 1,
            last: 1,
            entries,
            earliest: 0,
            latest: 0,
        })
    }

    fn of_levels(levels: &[u32]) -> Vec<Slot> {
        levels
            .iter()
            .map(|level| still(256 << (3 * level)))
            .collect()
    }

    #[test]
    fn a_level_is_eight_times_the_one_below() {
        for (entries, level) in [
            (0, 0),
            (256, 0),
            (2047, 0),
            (2048, 1),
            (16_383, 1),
            (16_384, 2),
            (131_072, 3),
            (u64::MAX, 18),
        ] {
            assert_eq!(super::level(&still(entries)), Some(level), "{entries}");
        }
    }

    #[test]
    fn eight_of_a_level_are_due_and_seven_are_not() {
        assert_eq!(due(&of_levels(&[1; 7])), None);
        assert_eq!(due(&of_levels(&[3, 1, 1, 1, 1, 1, 1, 1, 1, 0])), Some(1..9));
        assert_eq!(due(&of_levels(&[0; 100])), Some(0..32));
        assert_eq!(due(&of_levels(&[2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0])), None);
    }

    #[test]
    fn smaller_ones_before_a_larger_one_are_due_with_it() {
        assert_eq!(due(&of_levels(&[0, 1])), Some(0..2));
        assert_eq!(due(&of_levels(&[3, 2, 1, 0, 0, 2])), Some(2..6));
        let mut many = of_levels(&[0; 40]);
        many.push(still(256 << 6));
        assert_eq!(due(&many), Some(9..41));
    }

    #[test]
    fn what_is_being_merged_is_left_alone() {
        let merging = Slot::Merging(Merge {
            sources: Vec::new(),
            into: 0,
            written: None,
            entries: 0,
        });
        let mut slots = of_levels(&[0; 7]);
        slots.push(merging.clone());
        slots.extend(of_levels(&[0; 7]));
        assert_eq!(due(&slots), None);
        slots.extend(of_levels(&[0]));
        assert_eq!(due(&slots), Some(8..16));
        assert_eq!(due(&[still(256), merging, still(2048)]), None);
    }
}
