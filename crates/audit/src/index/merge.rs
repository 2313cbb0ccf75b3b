//! Merging segments into one, some pages at a time.

use std::vec;

use super::{
    IndexError, Pages,
    entry::{Entry, FALL, Key, RISE},
    page::{PageWriter, Written},
    segment::{Merge, Segment},
};

/// Pages that are read at once from each source.
const PAGES_READ: usize = 4;

/// What one step of a merge did.
pub(super) struct Step {
    /// The pages that it made.
    pub(super) pages: Vec<Written>,
    /// How many entries are in them.
    pub(super) entries: u64,
    /// Whether the last page is among them.
    pub(super) done: bool,
}

/// Makes up to `most` further pages of `merge`, without postings before `floor`.
pub(super) async fn step(
    merge: &Merge,
    floor: u64,
    pages: &Pages,
    most: usize,
) -> Result<Step, IndexError> {
    let from = merge.written.map_or(Key::MIN, Key::next);
    let mut sources = sources(&merge.sources, from);
    for source in &mut sources {
        source.advance(pages).await?;
    }
    let base = merge.sources.first().map_or(1, |segment| segment.first);
    let mut writer = PageWriter::new(merge.into, base, from);
    let mut made = Vec::new();
    // Entries of pages that are made, and of the one that is being filled.
    let (mut entries, mut open) = (0, 0);
    let mut last = merge.written;
    while let Some((source, entry)) = lowest(&mut sources) {
        source.advance(pages).await?;
        // Sources agree on a fall that both were cut to; the first one knows since when it holds.
        let known = last.is_some_and(|last| entry.key <= last);
        if known || (!entry.is_mark() && entry.seq < floor) {
            continue;
        }
        last = Some(entry.key);
        if let Some(full) = writer.push(entry) {
            made.push(full);
            entries += open;
            open = 0;
            if made.len() >= most {
                return Ok(Step {
                    pages: made,
                    entries,
                    done: false,
                });
            }
        }
        open += 1;
    }
    made.push(writer.finish());
    Ok(Step {
        pages: made,
        entries: entries + open,
        done: true,
    })
}

fn lowest<'a, 'b>(sources: &'a mut [Source<'b>]) -> Option<(&'a mut Source<'b>, Entry)> {
    let heads = sources
        .iter_mut()
        .filter_map(|source| source.head.map(|head| (source, head)));
    // Of equals the first, which is the older.
    heads.min_by_key(|(_, head)| head.key)
}

/// The sources, each with what the others do to its marks.
fn sources(segments: &[Segment], from: Key) -> Vec<Source<'_>> {
    let mut risen = None;
    let mut sources: Vec<Source<'_>> = segments
        .iter()
        .map(|segment| {
            let source = Source::new(segment, from, risen);
            risen = risen.max(Some(segment.latest));
            source
        })
        .collect();
    let mut falls_to = u64::MAX;
    for source in sources.iter_mut().rev() {
        source.falls_to = falls_to;
        falls_to = falls_to.min(source.segment.earliest);
    }
    sources
}

/// A segment that is read from front to back.
struct Source<'a> {
    segment: &'a Segment,
    /// The latest time before the segment: up to it, its rises are none.
    risen: Option<u64>,
    /// The earliest time after the segment: its falls can promise no more.
    falls_to: u64,
    read: vec::IntoIter<Entry>,
    /// Where reading goes on.
    from: Option<Key>,
    head: Option<Entry>,
}

impl<'a> Source<'a> {
    fn new(segment: &'a Segment, from: Key, risen: Option<u64>) -> Self {
        Self {
            segment,
            risen,
            falls_to: u64::MAX,
            read: Vec::new().into_iter(),
            from: Some(from),
            head: None,
        }
    }

    /// Moves to the next entry that counts.
    async fn advance(&mut self, pages: &Pages) -> Result<(), IndexError> {
        loop {
            for entry in self.read.by_ref() {
                if let Some(entry) = in_merge(entry, self.risen, self.falls_to) {
                    self.head = Some(entry);
                    return Ok(());
                }
            }
            let Some(from) = self.from else {
                self.head = None;
                return Ok(());
            };
            let found = pages.read(self.segment, from, PAGES_READ).await?;
            self.from = found
                .last()
                .filter(|page| page.last < Key::MAX)
                .map(|page| page.last.next());
            let entries = found.into_iter().flat_map(|page| page.entries);
            let entries: Vec<Entry> = entries.filter(|entry| entry.key >= from).collect();
            self.read = entries.into_iter();
        }
    }
}

/// What an entry of a source is in the merged segment.
fn in_merge(entry: Entry, risen: Option<u64>, falls_to: u64) -> Option<Entry> {
    let Key { term, at } = entry.key;
    match term {
        RISE => (risen < Some(at)).then_some(entry),
        FALL => Some(Entry {
            key: Key {
                term,
                at: at.min(falls_to),
            },
            ..entry
        }),
        _ => Some(entry),
    }
}
