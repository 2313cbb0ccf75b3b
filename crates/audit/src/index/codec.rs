//! Entries as bytes.
//!
//! ```text
//! groups, each: distance from the last term | entries in it | entries
//! a posting:    distance from the last seq
//! a mark:       distance from the last time | distance from the last seq
//! ```
//! Numbers are varints in their shortest form. The first group counts from a term, and the
//! seqs of a group from a base, that the reader is given. There is one way to write
//! entries, and what is written in another is refused.

use unsigned_varint::{decode, encode};

use super::{
    IndexError,
    entry::{Entry, Key, TERM_MAX, is_mark},
};
use crate::LOG_SIZE_MAX;

/// Most bytes of a number.
const VARINT_BYTES_MAX: usize = 9;

/// Appends a number below 2^63.
pub(super) fn put(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(encode::u64(number, &mut encode::u64_buffer()));
}

/// How many bytes [`put`] appends.
pub(super) const fn length(number: u64) -> usize {
    let bits = u64::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Takes a number below 2^63 off the front of `bytes`.
pub(super) fn take(bytes: &mut &[u8]) -> Result<u64, IndexError> {
    let (number, rest) = decode::u64(bytes).map_err(|_| IndexError::Damaged)?;
    if bytes.len() - rest.len() > VARINT_BYTES_MAX {
        return Err(IndexError::Damaged);
    }
    *bytes = rest;
    Ok(number)
}

/// Appends `entries`, which are sorted, from the term `first` on and with no seq below `base`.
pub(super) fn write(out: &mut Vec<u8>, first: u64, base: u64, entries: &[Entry]) {
    let mut term = first;
    for group in entries.chunk_by(|a, b| a.key.term == b.key.term) {
        let mut seq = base;
        let mut at = 0;
        for (position, entry) in group.iter().enumerate() {
            if position == 0 {
                put(out, entry.key.term - term);
                put(out, group.len() as u64);
                term = entry.key.term;
            }
            if entry.is_mark() {
                put(out, entry.key.at - at);
                at = entry.key.at;
            }
            put(out, entry.seq - seq);
            seq = entry.seq;
        }
    }
}

/// Most bytes that `entry` adds after `previous`, or as the first after the term `first`.
pub(super) fn cost(previous: Option<&Entry>, first: u64, base: u64, entry: &Entry) -> usize {
    let same = previous.filter(|previous| previous.key.term == entry.key.term);
    let mark = match same {
        _ if !entry.is_mark() => 0,
        Some(previous) => length(entry.key.at - previous.key.at),
        None => length(entry.key.at),
    };
    let posting = match same {
        Some(previous) => length(entry.seq - previous.seq),
        None => {
            let last = previous.map_or(first, |previous| previous.key.term);
            // A group of a page has fewer than 2^14 entries.
            length(entry.key.term - last) + 2 + length(entry.seq - base)
        }
    };
    mark + posting
}

/// Reads what [`write`] wrote, to the end of `bytes`.
pub(super) fn read(mut bytes: &[u8], first: u64, base: u64) -> Result<Vec<Entry>, IndexError> {
    let mut entries = Vec::new();
    let mut term = None;
    while !bytes.is_empty() {
        let next = step(&mut bytes, term, first)?;
        term = Some(next);
        if next > TERM_MAX {
            return Err(IndexError::Damaged);
        }
        group(&mut bytes, next, base, &mut entries)?;
    }
    Ok(entries)
}

fn group(
    bytes: &mut &[u8],
    term: u64,
    base: u64,
    entries: &mut Vec<Entry>,
) -> Result<(), IndexError> {
    let count = usize::try_from(take(bytes)?).map_err(|_| IndexError::Damaged)?;
    // An entry takes a byte at least, which bounds what a length can make us hold.
    if count == 0 || count > bytes.len() {
        return Err(IndexError::Damaged);
    }
    entries.reserve(count);
    let (mut at, mut seq) = (None, None);
    for _ in 0..count {
        if is_mark(term) {
            at = Some(step(bytes, at, 0)?);
        }
        let number = step(bytes, seq, base)?;
        if !(1..=LOG_SIZE_MAX).contains(&number) {
            return Err(IndexError::Damaged);
        }
        seq = Some(number);
        let at = at.unwrap_or(number);
        entries.push(Entry {
            key: Key { term, at },
            seq: number,
        });
    }
    Ok(())
}

/// The number after `last`, or the first from `base` on. Numbers rise.
fn step(bytes: &mut &[u8], last: Option<u64>, base: u64) -> Result<u64, IndexError> {
    let distance = take(bytes)?;
    if last.is_some() && distance == 0 {
        return Err(IndexError::Damaged);
    }
    let next = last.unwrap_or(base).checked_add(distance);
    next.filter(|next| *next < 1 << 63)
        .ok_or(IndexError::Damaged)
}
