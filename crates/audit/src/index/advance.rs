//! One step of an index: events are added, and some upkeep is done.
//!
//! **Invariant:** all that a step writes and deletes fits into one batch, and a
//! segment is read only in a later step than the one that wrote it.

use std::ops::RangeInclusive;

use bytes::Bytes;
use identity::Timestamp;
use store::DocKey;

use super::{
    Index, IndexError, Pages, Term,
    due::due,
    entry::{Entry, Key, millis},
    merge,
    page::{PageWriter, Written},
    run::MARK_EVENTS,
    segment::{Merge, Segment, Slot},
    state::{BACKLOG_MAX, TAIL_ENTRIES_MAX},
};
use crate::Seq;

/// Most events of one step.
pub const EVENTS_MAX: usize = 1000;
/// Most terms of one event.
pub const TERMS_MAX: usize = 24;
/// Most puts and deletes of a plan, together.
pub const PLAN_STEPS_MAX: usize = 300;

/// Pages that merges write in one step.
const MERGED_PAGES_MAX: usize = 96;
/// Pages that are deleted in one step; more than are merged, so that garbage gets less.
const DELETED_PAGES_MAX: usize = 128;

/// A record to index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEvent {
    /// Its place in the log.
    pub seq: Seq,
    /// When it happened.
    pub time: Timestamp,
    /// What it can be found by, at most [`TERMS_MAX`].
    pub terms: Vec<Term>,
}

/// What one step writes: to be committed in one batch with [`Plan::next`] in the head
/// document, which is expected to be unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a plan changes nothing until it is committed"]
pub struct Plan {
    /// The state after the step.
    pub next: Index,
    /// Pages to put.
    pub puts: Vec<(DocKey, Bytes)>,
    /// Pages to delete.
    pub deletes: Vec<DocKey>,
    /// Whether upkeep remains. It waits without harm for the next events; who has time, or
    /// adds many, advances again, with no events.
    pub more: bool,
}

impl Index {
    /// Adds `events`, and does a bounded piece of upkeep in `pages`.
    ///
    /// Nothing is changed until the plan is committed, together with the state it leads to and
    /// nothing else of this index: at most [`PLAN_STEPS_MAX`] steps, and less than a MiB.
    ///
    /// # Errors
    /// [`IndexError::Refused`] unless events follow [`Index::last`] without a gap, at most
    /// [`EVENTS_MAX`] with at most [`TERMS_MAX`] terms each; [`IndexError::Behind`] for events
    /// when upkeep was put off too often; and what reading pages gives.
    pub async fn advance(&self, pages: &Pages, events: &[IndexEvent]) -> Result<Plan, IndexError> {
        if !events.is_empty() && self.backlog() >= BACKLOG_MAX {
            return Err(IndexError::Behind);
        }
        let mut next = self.clone();
        let deletes = next.delete_garbage(pages).await?;
        let mut written = next.merge(pages).await?;
        next.add(events)?;
        written.extend(next.seal());
        Ok(Plan {
            more: next.has_upkeep(),
            puts: written
                .into_iter()
                .map(|page| (pages.key(page.place), page.bytes))
                .collect(),
            deletes,
            next,
        })
    }

    /// Pages of garbage to delete. What a reader of the last state may be reading became
    /// garbage in the last step at the latest, and is deleted in this one at the earliest.
    async fn delete_garbage(&mut self, pages: &Pages) -> Result<Vec<DocKey>, IndexError> {
        let mut deletes = Vec::new();
        while let Some(id) = self.garbage.last().copied() {
            let room = DELETED_PAGES_MAX - deletes.len();
            if room == 0 {
                break;
            }
            let found = pages.names(id, room).await?;
            let all = found.len() < room;
            deletes.extend(found);
            if !all {
                break;
            }
            self.garbage.pop();
        }
        Ok(deletes)
    }

    /// Begins the merges that are due, and goes on with those that have begun, small ones first.
    async fn merge(&mut self, pages: &Pages) -> Result<Vec<Written>, IndexError> {
        while let Some(range) = due(&self.slots) {
            let into = self.take_id();
            let sources = self.slots.splice(range.clone(), []);
            let sources = sources.flat_map(|slot| slot.segments().to_vec()).collect();
            let merge = Merge {
                sources,
                into,
                written: None,
                entries: 0,
            };
            self.slots.insert(range.start, Slot::Merging(merge));
        }
        let mut order: Vec<(u64, usize)> = merges(&self.slots).collect();
        order.sort_unstable();
        let mut written = Vec::new();
        for (_, at) in order {
            let room = MERGED_PAGES_MAX - written.len();
            let Some(Slot::Merging(merge)) = self.slots.get_mut(at) else {
                continue;
            };
            if room == 0 {
                break;
            }
            let step = merge::step(merge, self.floor, pages, room).await?;
            merge.entries += step.entries;
            merge.written = step.pages.last().map(|page| page.place.last);
            written.extend(step.pages);
            if step.done {
                self.garbage
                    .extend(merge.sources.iter().map(|segment| segment.id));
                let merged = merged(merge)?;
                self.slots.splice(at..=at, [Slot::Still(merged)]);
            }
        }
        Ok(written)
    }

    fn add(&mut self, events: &[IndexEvent]) -> Result<(), IndexError> {
        let follows = (self.last + 1..)
            .zip(events)
            .all(|(seq, event)| event.seq.get() == seq && event.terms.len() <= TERMS_MAX);
        if events.len() > EVENTS_MAX || !follows {
            return Err(IndexError::Refused);
        }
        for block in events.chunks(MARK_EVENTS) {
            if let (Some(first), Some(times)) = (block.first(), times(block)) {
                self.tail.mark(first.seq.get(), times);
            }
        }
        self.tail.post(events.iter().flat_map(|event| {
            let terms = event.terms.iter();
            terms.map(|term| Entry::posting(term.hash(), event.seq.get()))
        }));
        self.last += events.len() as u64;
        Ok(())
    }

    /// Makes a segment of a tail that is full; returns its pages.
    fn seal(&mut self) -> Vec<Written> {
        let Some(times) = self.tail.times() else {
            return Vec::new();
        };
        if self.tail.len() <= TAIL_ENTRIES_MAX {
            return Vec::new();
        }
        let tail = std::mem::take(&mut self.tail);
        let segment = Segment {
            id: self.take_id(),
            first: self.tail_first,
            last: self.last,
            entries: tail.len() as u64,
            earliest: *times.start(),
            latest: *times.end(),
        };
        let mut writer = PageWriter::new(segment.id, segment.first, Key::MIN);
        let mut pages: Vec<Written> = tail
            .entries()
            .filter_map(|entry| writer.push(entry))
            .collect();
        pages.push(writer.finish());
        self.tail_first = self.last + 1;
        self.slots.push(Slot::Still(segment));
        pages
    }

    /// Whether a step without events would have something to do.
    #[must_use]
    pub fn has_upkeep(&self) -> bool {
        let merging = merges(&self.slots).next().is_some();
        merging || !self.garbage.is_empty() || due(&self.slots).is_some()
    }
}

/// The size of each merge, and where it is.
fn merges(slots: &[Slot]) -> impl Iterator<Item = (u64, usize)> {
    slots
        .iter()
        .enumerate()
        .filter_map(|(at, slot)| match slot {
            Slot::Still(_) => None,
            Slot::Merging(merge) => {
                let entries = merge.sources.iter().map(|source| source.entries);
                Some((entries.fold(0, u64::saturating_add), at))
            }
        })
}

fn merged(merge: &Merge) -> Result<Segment, IndexError> {
    let sources = &merge.sources;
    let (Some(first), Some(last)) = (sources.first(), sources.last()) else {
        return Err(IndexError::Damaged);
    };
    let earliest = sources.iter().map(|source| source.earliest).min();
    let latest = sources.iter().map(|source| source.latest).max();
    Ok(Segment {
        id: merge.into,
        first: first.first,
        last: last.last,
        entries: merge.entries,
        earliest: earliest.unwrap_or(0),
        latest: latest.unwrap_or(0),
    })
}

/// The earliest and the latest time of `block`.
fn times(block: &[IndexEvent]) -> Option<RangeInclusive<u64>> {
    let times = block.iter().map(|event| millis(event.time));
    Some(times.clone().min()?..=times.max()?)
}
