//! A text that arrives in pieces.

use super::{
    scanner::{Event, Scanner},
    window::{LOOK_BACK_BYTES, Window},
};

/// Most text that a [`Stripper`] holds back, in bytes.
///
/// What is held back begins where something may begin: usually the last word.
/// The bound is the longest thing that has to be seen whole before it is
/// decided, the first part of a token ([RFC 7519]), and an eighth that is
/// waited for before the same place is looked at again.
///
/// [RFC 7519]: https://www.rfc-editor.org/rfc/rfc7519
pub const HOLD_BACK_BYTES_MAX: usize = 2_048;

/// Strips a text that arrives in pieces.
///
/// What it returns, put together, is what [`strip`](super::strip) makes of
/// the whole text, wherever the pieces were cut. At most
/// [`HOLD_BACK_BYTES_MAX`] are held back, and memory is bounded by that and
/// the longest piece: of a long key block nothing is kept.
///
/// ```
/// use tenantry_privacy::pii::Stripper;
///
/// let mut stripper = Stripper::new();
/// let mut text = stripper.push("write to ada@exam");
/// assert_eq!(text, "write to ");
/// text += &stripper.push("ple.com today");
/// text += &stripper.finish();
/// assert_eq!(text, "write to <EMAIL> today");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stripper {
    scanner: Scanner,
    /// Context that was returned already, then what is held back.
    buffer: String,
    /// How much of the buffer is no longer held back.
    returned: usize,
    /// The length of the buffer at which looking again is worth it.
    retry_bytes: usize,
    /// Bytes that were read, for the tests of linear time.
    #[cfg(test)]
    work: usize,
}

impl Stripper {
    /// A stripper at the start of a text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece, and returns what can be said of the text by now.
    ///
    /// # Parameters
    /// - `piece`: of any length, also empty.
    pub fn push(&mut self, piece: &str) -> String {
        self.buffer.push_str(piece);
        if self.buffer.len() < self.retry_bytes {
            return String::new();
        }
        let stripped = self.advance(false);
        self.forget();
        let held = self.buffer.len() - self.returned;
        self.retry_bytes = self.buffer.len() + held / 8;
        stripped
    }

    /// Says that the text has ended, and returns its rest.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.advance(true)
    }

    /// How much is held back, in bytes.
    #[must_use]
    pub fn held_back_bytes(&self) -> usize {
        self.buffer.len() - self.returned
    }

    fn advance(&mut self, last: bool) -> String {
        let mut stripped = String::new();
        let mut window = Window::new(&self.buffer, 0, last);
        while let Some(event) = self.scanner.next(&mut window) {
            match event {
                Event::Opened { kind, start } => {
                    stripped.push_str(window.slice(self.returned, start));
                    stripped.push_str(kind.placeholder());
                }
                Event::Closed { end } => self.returned = end,
            }
        }
        if !self.scanner.is_open() {
            stripped.push_str(window.slice(self.returned, self.scanner.pos));
        }
        self.returned = self.scanner.pos;
        #[cfg(test)]
        {
            self.work += window.work.get();
        }
        stripped
    }

    #[cfg(test)]
    pub(super) fn work(&self) -> usize {
        self.work
    }

    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Drops what is decided, but for the context of what follows.
    fn forget(&mut self) {
        let spare = self.returned.saturating_sub(LOOK_BACK_BYTES);
        let spare = self.buffer.floor_char_boundary(spare);
        self.buffer.drain(..spare);
        self.returned -= spare;
        self.scanner.rebase(spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_word_is_held_back() {
        let mut stripper = Stripper::new();
        assert_eq!(stripper.push("the quick brown f"), "the quick brown ");
        assert_eq!(stripper.held_back_bytes(), 1);
        assert_eq!(stripper.push("ox "), "fox ");
        assert_eq!(stripper.finish(), "");
    }

    #[test]
    fn a_text_that_ends_is_decided() {
        let mut stripper = Stripper::new();
        assert_eq!(stripper.push("at 192.0.2.1"), "at ");
        assert_eq!(stripper.finish(), "<IP>");
    }

    #[test]
    fn of_a_long_key_block_nothing_is_kept() {
        let mut stripper = Stripper::new();
        let mut text = stripper.push("key: -----BEGIN PRIVATE KEY-----\n");
        let most = 4 * LOOK_BACK_BYTES;
        for _ in 0..600 {
            text += &stripper.push(&"MIIEvQIBADANBgkq".repeat(4));
            assert!(stripper.buffer.len() <= most);
        }
        text += &stripper.push("\n-----END PRIVATE KEY-----");
        text += &stripper.finish();
        assert_eq!(text, "key: <PRIVATE_KEY>");
    }

    #[test]
    fn what_cannot_be_decided_is_held_back_within_the_bound() {
        for unit in [
            "eyJhbGciOiJIUzI1NiJ9",
            "1",
            "1 ",
            "a@",
            "1.",
            ":",
            "é",
            "http://a:b",
            "+1(",
        ] {
            let mut stripper = Stripper::new();
            for _ in 0..8_000 / unit.len() {
                stripper.push(unit);
                assert!(
                    stripper.held_back_bytes() <= HOLD_BACK_BYTES_MAX,
                    "{unit:?}"
                );
            }
        }
    }
}
