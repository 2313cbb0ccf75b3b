//! Pages: a segment as documents of about 4 KiB.
//!
//! ```text
//! 0x01 | first key (term u64, at u64) | entries | first 8 bytes of SHA-256
//! ```
//! A page answers for all keys from its first one to its last one, which is its
//! name. The checksum covers the name, too, so a page in another's place is noticed.

use bytes::Bytes;

use super::{
    IndexError, codec,
    entry::{Entry, Key},
};
use crate::Hash;

/// Most bytes of entries in a page.
pub(super) const PAGE_ENTRIES_BYTES_MAX: usize = 4096;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 17;
const CHECKSUM_BYTES: usize = 8;
/// Most bytes of a page.
const PAGE_BYTES_MAX: usize = HEAD_BYTES + PAGE_ENTRIES_BYTES_MAX + CHECKSUM_BYTES;
const DOMAIN: &[u8] = b"tenantry/audit/index page/";

/// Where a page belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The id of the segment.
    pub(super) segment: u64,
    /// The last key that the page answers for; that of the last page is [`Key::MAX`].
    pub(super) last: Key,
}

/// A page as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// The first key that it answers for.
    pub(super) first: Key,
    /// The last one.
    pub(super) last: Key,
    /// All entries between them.
    pub(super) entries: Vec<Entry>,
}

impl Page {
    /// Reads a page of a segment whose records begin at `base`.
    pub(super) fn decode(place: Place, base: u64, bytes: &[u8]) -> Result<Self, IndexError> {
        let (covered, found) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(IndexError::Damaged)?;
        if bytes.len() > PAGE_BYTES_MAX || checksum(place, covered) != *found {
            return Err(IndexError::Damaged);
        }
        let (version, rest) = covered.split_first().ok_or(IndexError::Damaged)?;
        let (term, rest) = rest.split_first_chunk().ok_or(IndexError::Damaged)?;
        let (at, body) = rest.split_first_chunk().ok_or(IndexError::Damaged)?;
        let first = Key {
            term: u64::from_be_bytes(*term),
            at: u64::from_be_bytes(*at),
        };
        let entries = codec::read(body, first.term, base)?;
        let begins = entries.first().is_none_or(|entry| entry.key >= first);
        let ends = entries.last().map_or(place.last == Key::MAX, |entry| {
            entry.key == place.last || (place.last == Key::MAX && entry.key < Key::MAX)
        });
        if *version != VERSION || !begins || !ends {
            return Err(IndexError::Damaged);
        }
        Ok(Self {
            first,
            last: place.last,
            entries,
        })
    }

    /// Whether an entry at `key` would be here.
    pub(super) fn covers(&self, key: Key) -> bool {
        self.first <= key && key <= self.last
    }
}

/// A page to store.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) place: Place,
    pub(super) bytes: Bytes,
}

/// Cuts entries, which come in order, into pages.
#[derive(Debug)]
pub(super) struct PageWriter {
    segment: u64,
    base: u64,
    first: Key,
    bytes: usize,
    entries: Vec<Entry>,
}

impl PageWriter {
    /// Pages from the key `first` on, of a segment whose records begin at `base`.
    pub(super) const fn new(segment: u64, base: u64, first: Key) -> Self {
        Self {
            segment,
            base,
            first,
            bytes: 0,
            entries: Vec::new(),
        }
    }

    /// Adds an entry; returns the page before it, if that became full.
    pub(super) fn push(&mut self, entry: Entry) -> Option<Written> {
        let previous = self.entries.last();
        let mut cost = codec::cost(previous, self.first.term, self.base, &entry);
        let mut full = None;
        if let Some(previous) = previous
            && self.bytes + cost > PAGE_ENTRIES_BYTES_MAX
        {
            full = Some(self.cut(previous.key));
            cost = codec::cost(None, self.first.term, self.base, &entry);
        }
        self.bytes += cost;
        self.entries.push(entry);
        full
    }

    /// The last page. Every segment has one, be it empty.
    pub(super) fn finish(mut self) -> Written {
        self.cut(Key::MAX)
    }

    fn cut(&mut self, last: Key) -> Written {
        let place = Place {
            segment: self.segment,
            last,
        };
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.bytes + CHECKSUM_BYTES);
        bytes.push(VERSION);
        bytes.extend(self.first.term.to_be_bytes());
        bytes.extend(self.first.at.to_be_bytes());
        codec::write(&mut bytes, self.first.term, self.base, &self.entries);
        bytes.extend(checksum(place, &bytes));
        self.first = last.next();
        self.bytes = 0;
        self.entries.clear();
        Written {
            place,
            bytes: bytes.into(),
        }
    }
}

fn checksum(place: Place, covered: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let numbers = [place.segment, place.last.term, place.last.at].map(u64::to_be_bytes);
    let hash = Hash::of(&[DOMAIN, numbers.as_flattened(), covered]);
    let mut short = [0; CHECKSUM_BYTES];
    short
        .iter_mut()
        .zip(hash.as_bytes())
        .for_each(|(to, from)| *to = *from);
    short
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{
        super::entry::{FALL, RISE, TERM_FIRST, TERM_MAX},
        *,
    };
    use crate::LOG_SIZE_MAX;

    /// Terms near each other and far apart; few records and many.
    fn postings() -> impl Strategy<Value = Vec<Entry>> {
        let term = prop_oneof![TERM_FIRST..20, TERM_FIRST..TERM_MAX];
        let seq = prop_oneof![100..400_u64, 100..=LOG_SIZE_MAX];
        vec((term, seq), 0..3000).prop_map(|pairs| {
            let postings = pairs.into_iter();
            sorted(
                postings
                    .map(|(term, seq)| Entry::posting(term, seq))
                    .collect(),
            )
        })
    }

    fn marks(term: u64) -> impl Strategy<Value = Vec<Entry>> {
        vec((1..5_000_000_u64, 1..200_u64), 0..600).prop_map(move |steps| {
            let (mut at, mut seq) = (0, 100);
            let marks = steps.into_iter().map(|(later, further)| {
                at += later;
                seq += further;
                let key = Key { term, at };
                Entry { key, seq }
            });
            marks.collect()
        })
    }

    fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.sort_by_key(|entry| entry.key);
        entries.dedup();
        entries
    }

    fn pages(entries: &[Entry]) -> Vec<Written> {
        let mut writer = PageWriter::new(7, 100, Key::MIN);
        let mut pages: Vec<Written> = entries
            .iter()
            .filter_map(|entry| writer.push(*entry))
            .collect();
        pages.push(writer.finish());
        pages
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn pages_read_back_without_a_gap(rises in marks(RISE), falls in marks(FALL), postings in postings()) {
            let entries = [rises, falls, postings].concat();
            let mut first = Key::MIN;
            let mut read = Vec::new();
            let pages = pages(&entries);
            for written in &pages {
                prop_assert!(written.bytes.len() <= PAGE_BYTES_MAX);
                let page = Page::decode(written.place, 100, &written.bytes).unwrap();
                prop_assert_eq!(page.first, first);
                prop_assert!(page.entries.iter().all(|entry| page.covers(entry.key)));
                first = page.last.next();
                read.extend(page.entries);
            }
            prop_assert_eq!(read, entries);
            prop_assert_eq!(pages.last().unwrap().place.last, Key::MAX);
            // Nothing is cut before it is nearly full.
            let bytes: usize = pages.iter().map(|page| page.bytes.len()).sum();
            prop_assert!(pages.len() <= 1 + bytes / (PAGE_BYTES_MAX / 2));
        }

        #[test]
        fn any_body_is_read_or_refused(
            first in 0..4_u64, last in any::<Option<u16>>(), base in 0..1000_u64,
            body in vec(prop_oneof![4 => 0..4_u8, 1 => any::<u8>()], 0..200),
        ) {
            let last = last.map_or(Key::MAX, |at| Key { term: 3, at: at.into() });
            let place = Place { segment: 7, last };
            let mut bytes = vec![VERSION];
            bytes.extend(first.to_be_bytes());
            bytes.extend([0; 8]);
            bytes.extend(&body);
            bytes.extend(checksum(place, &bytes));
            if let Ok(page) = Page::decode(place, base, &bytes) {
                prop_assert!(page.entries.is_sorted_by(|a, b| a.key < b.key));
                let mut again = Vec::new();
                codec::write(&mut again, first, base, &page.entries);
                prop_assert_eq!(again, body);
            }
        }

        #[test]
        fn any_bytes_are_no_page(bytes in vec(any::<u8>(), 0..300)) {
            let place = Place { segment: 7, last: Key::MAX };
            prop_assert_eq!(Page::decode(place, 1, &bytes), Err(IndexError::Damaged));
        }
    }

    #[test]
    fn a_flipped_bit_a_cut_and_another_place_are_noticed() {
        let entries: Vec<Entry> = (100..140).map(|seq| Entry::posting(9, seq)).collect();
        let written = pages(&entries).pop().unwrap();
        let Written { place, bytes } = written;
        assert!(Page::decode(place, 100, &bytes).is_ok());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                assert_eq!(Page::decode(place, 100, &flipped), Err(IndexError::Damaged));
            }
            let cut = Page::decode(place, 100, &bytes[..at]);
            assert_eq!(cut, Err(IndexError::Damaged));
        }
        let elsewhere = Place {
            segment: 8,
            ..place
        };
        let moved = Page::decode(elsewhere, 100, &bytes);
        assert_eq!(moved, Err(IndexError::Damaged));
    }

    #[test]
    fn numbers_have_one_spelling() {
        for number in [0, 1, 127, 128, 16_383, 16_384, (1 << 63) - 1] {
            let mut bytes = Vec::new();
            codec::put(&mut bytes, number);
            assert_eq!(bytes.len(), codec::length(number), "{number}");
            assert_eq!(codec::take(&mut bytes.as_slice()), Ok(number));
        }
        for bad in [
            &[][..],
            &[0x80],
            &[0x80, 0],
            &[0xff; 10],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2],
        ] {
            assert_eq!(codec::take(&mut &*bad), Err(IndexError::Damaged));
        }
    }
}
