//! A stretch of text that may go on: what recognisers read through.
//!
//! **Invariant:** a recogniser that looked past the end of a window that is
//! not the last has starved it, and its answer is thrown away. So an answer
//! that counts never depends on where the text was cut.

use std::cell::Cell;

use super::kind::Kind;

/// How far before a candidate its context may reach, in bytes.
pub(super) const LOOK_BACK_BYTES: usize = 64;

/// The text that is known so far.
pub(super) struct Window<'a> {
    text: &'a str,
    floor: usize,
    last: bool,
    starved: Cell<bool>,
    /// Bytes that were read, for the tests of linear time.
    #[cfg(test)]
    pub(super) work: Cell<usize>,
}

impl<'a> Window<'a> {
    /// A window on `text`; nothing before `floor` is seen, and nothing follows if `last`.
    pub(super) fn new(text: &'a str, floor: usize, last: bool) -> Self {
        Self {
            text,
            floor,
            last,
            starved: Cell::new(false),
            #[cfg(test)]
            work: Cell::new(0),
        }
    }

    /// The whole of a text.
    #[cfg(test)]
    pub(super) fn whole(text: &'a str) -> Self {
        Self::new(text, 0, true)
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether no more text comes.
    pub(super) fn is_last(&self) -> bool {
        self.last
    }

    /// Whether a read reached the end of what is known, since the last call.
    pub(super) fn take_starved(&self) -> bool {
        self.starved.replace(false)
    }

    /// Says that what follows the known text would matter.
    pub(super) fn starve(&self) {
        if !self.last {
            self.starved.set(true);
        }
    }

    /// Nothing before `floor` is seen any more.
    pub(super) fn raise_floor(&mut self, floor: usize) {
        self.floor = floor;
    }

    /// The byte at `at`; `None` behind the end.
    #[inline]
    pub(super) fn at(&self, at: usize) -> Option<u8> {
        #[cfg(test)]
        self.work.set(self.work.get() + 1);
        let byte = self.text.as_bytes().get(at).copied();
        if byte.is_none() {
            self.starve();
        }
        byte
    }

    /// The byte before `at`; `None` at the floor.
    #[inline]
    pub(super) fn before(&self, at: usize) -> Option<u8> {
        if at <= self.floor {
            return None;
        }
        self.text.as_bytes().get(at.checked_sub(1)?).copied()
    }

    /// The character that starts at `at`.
    pub(super) fn char_at(&self, at: usize) -> Option<char> {
        self.at(at)?;
        self.text.get(at..)?.chars().next()
    }

    /// The character that ends before `at`; `None` at the floor.
    pub(super) fn char_before(&self, at: usize) -> Option<char> {
        self.text.get(self.floor..at)?.chars().next_back()
    }

    /// The known text between two offsets.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The known bytes between two offsets.
    pub(super) fn slice_bytes(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.as_bytes().get(start..end).unwrap_or_default()
    }

    /// The last boundary of a character at or before `at`, within the known text.
    pub(super) fn floor_boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }

    /// How many of at most `most` bytes from `at` on are of a class.
    #[inline]
    pub(super) fn run(&self, at: usize, most: usize, class: impl Fn(u8) -> bool) -> usize {
        let mut length = 0;
        while length < most && self.at(at + length).is_some_and(&class) {
            length += 1;
        }
        length
    }

    /// Whether `prefix` stands at `at`.
    pub(super) fn starts_with(&self, at: usize, prefix: &[u8]) -> bool {
        let agrees = |(offset, byte): (usize, &u8)| self.at(at + offset) == Some(*byte);
        prefix.iter().enumerate().all(agrees)
    }

    /// Whether a placeholder stands at `at`.
    pub(super) fn is_placeholder(&self, at: usize) -> bool {
        let stands = |kind: &Kind| self.starts_with(at, kind.placeholder().as_bytes());
        self.at(at) == Some(b'<') && Kind::ALL.iter().any(stands)
    }

    /// Whether `prefix`, given in lower case, stands at `at` in any case.
    pub(super) fn starts_with_any_case(&self, at: usize, prefix: &[u8]) -> bool {
        let agrees = |(offset, byte): (usize, &u8)| {
            let found = self.at(at + offset);
            found.is_some_and(|found| found.eq_ignore_ascii_case(byte))
        };
        prefix.iter().enumerate().all(agrees)
    }

    /// What stands before `at`, as far as context reaches.
    ///
    /// It ends at the last angle bracket: the text of a placeholder is no
    /// context, so that a stripped text reads like the one it was made from.
    pub(super) fn context(&self, at: usize) -> &'a str {
        #[cfg(test)]
        self.work.set(self.work.get() + LOOK_BACK_BYTES);
        let mut from = at.saturating_sub(LOOK_BACK_BYTES).max(self.floor);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        let context = self.slice(from, at);
        context
            .rfind(['<', '>'])
            .map_or(context, |cut| context.get(cut + 1..).unwrap_or_default())
    }

    /// The first place from `from` on where a recogniser may begin.
    #[inline]
    pub(super) fn next_start(&self, from: usize) -> Option<usize> {
        let mut in_word = self.before(from).is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = self.text.as_bytes().get(from..)?;
        #[cfg(test)]
        self.work.set(self.work.get() + 1);
        for (offset, byte) in rest.iter().enumerate() {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                    if !in_word {
                        return Some(from + offset);
                    }
                }
                b'+' | b'(' | b':' | b'-' | b'"' | b'_' | 0xC0..=0xFF => {
                    return Some(from + offset);
                }
                _ => in_word = false,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_starves_unless_the_text_is_whole() {
        let open = Window::new("ab", 0, false);
        assert_eq!(open.at(1), Some(b'b'));
        assert!(!open.take_starved());
        assert_eq!(open.run(0, 9, |b| b.is_ascii_lowercase()), 2);
        assert!(open.take_starved());
        assert!(!open.take_starved());
        let whole = Window::whole("ab");
        assert_eq!(whole.at(2), None);
        assert!(!whole.take_starved());
    }

    #[test]
    fn the_floor_hides_what_is_before_it() {
        let window = Window::new("abé1", 2, true);
        assert_eq!(window.before(2), None);
        assert_eq!(window.char_before(4), Some('é'));
        assert_eq!(window.char_before(2), None);
        assert_eq!(window.context(4), "é");
    }

    #[test]
    fn context_is_bounded_and_ends_at_a_placeholder() {
        let text = "call <PHONE> or 1";
        assert_eq!(Window::whole(text).context(16), " or ");
        let long = format!("{}1", "é".repeat(60));
        assert_eq!(Window::whole(&long).context(120).len(), LOOK_BACK_BYTES);
        let odd = format!("{}x1", "é".repeat(60));
        assert_eq!(Window::whole(&odd).context(121).len(), LOOK_BACK_BYTES - 1);
    }

    #[test]
    fn starts_are_at_words_signs_and_letters_beyond_ascii() {
        let starts = |text: &str| {
            let window = Window::whole(text);
            let mut found = Vec::new();
            let mut from = 0;
            while let Some(at) = window.next_start(from) {
                found.push(at);
                from = at + 1;
            }
            found
        };
        assert_eq!(starts("ab 1c, (d"), [0, 3, 7, 8]);
        assert_eq!(starts("é1"), [0, 2]);
        assert_eq!(starts(" .;"), [0_usize; 0]);
    }
}
