//! One pass over a text: where a recogniser may begin, which one, what it found.
//!
//! **Invariant:** every recogniser reads a bounded stretch from where it
//! begins, and what is long without bound (a token, a key block) is swallowed
//! once. So the whole pass is linear, and so is what a stream holds back.

use super::{
    crypto, email, iban, ipv4, ipv6, keys, kind::Kind, mac, number, pem, phone, token, url,
    window::Window,
};

/// What a recogniser found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) tail: Tail,
}

impl Match {
    /// A match that ends where it says.
    pub(super) const fn new(kind: Kind, start: usize, end: usize) -> Self {
        Self {
            kind,
            start,
            end,
            tail: Tail::Nothing,
        }
    }
}

/// What still belongs to a match behind its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    Nothing,
    /// The rest of a token.
    Token,
    /// A key block, up to its end line or so many bytes.
    Pem {
        bytes_left: usize,
    },
}

/// One thing that the pass comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A finding begins.
    Opened { kind: Kind, start: usize },
    /// The finding that was opened last ends.
    Closed { end: usize },
}

/// Where the pass is; offsets count from the start of its window.
#[derive(Debug, Clone, Default)]
pub(super) struct Scanner {
    /// All before it is decided.
    pub(super) pos: usize,
    /// The end of the last finding.
    floor: usize,
    open: Option<Tail>,
}

impl Scanner {
    /// Goes on to the next event; `None` when the rest waits for more text, or is done.
    pub(super) fn next(&mut self, window: &mut Window<'_>) -> Option<Event> {
        window.raise_floor(self.floor);
        if let Some(tail) = self.open {
            return self.swallow(window, tail);
        }
        while let Some(at) = window.next_start(self.pos) {
            self.pos = at;
            window.take_starved();
            let found = recognise(window, at);
            if window.take_starved() {
                return None;
            }
            if let Some(found) = found {
                self.pos = found.end;
                self.open = Some(found.tail);
                return Some(Event::Opened {
                    kind: found.kind,
                    start: found.start,
                });
            }
            self.pos = at + window.char_at(at).map_or(1, char::len_utf8);
        }
        self.pos = window.len();
        None
    }

    /// Whether a finding has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Forgets the first `bytes` of the window, which are decided.
    pub(super) fn rebase(&mut self, bytes: usize) {
        self.pos = self.pos.saturating_sub(bytes);
        self.floor = self.floor.saturating_sub(bytes);
    }

    fn swallow(&mut self, window: &Window<'_>, tail: Tail) -> Option<Event> {
        let (pos, rest) = match tail {
            Tail::Nothing => (self.pos, None),
            Tail::Token => token::swallow(window, self.pos),
            Tail::Pem { bytes_left } => pem::swallow(window, self.pos, bytes_left),
        };
        self.pos = pos;
        self.open = rest;
        if rest.is_some() {
            return None;
        }
        self.floor = pos;
        Some(Event::Closed { end: pos })
    }
}

/// What begins at `at`, if anything does.
fn recognise(window: &Window<'_>, at: usize) -> Option<Match> {
    match window.at(at)? {
        b'+' | b'(' => phone::find(window, at),
        b':' => url::find(window, at).or_else(|| ipv6::find(window, at)),
        b'-' => pem::find(window, at),
        b'"' => email::find_quoted(window, at),
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' if goes_on(window, at) => None,
        b'0'..=b'9' => email::find(window, at).or_else(|| {
            if number::joined_left(window, at) {
                return None;
            }
            secret(window, at)
                .or_else(|| mac::find(window, at))
                .or_else(|| ipv6::find(window, at))
                .or_else(|| ipv4::find(window, at))
                .or_else(|| number::find(window, at))
        }),
        b'A'..=b'Z' | b'a'..=b'z' => email::find(window, at)
            .or_else(|| secret(window, at))
            .or_else(|| iban::find(window, at))
            .or_else(|| mac::find(window, at))
            .or_else(|| ipv6::find(window, at)),
        _ => email::find(window, at),
    }
}

/// Whether a word whose last letter is beyond ASCII goes on at `at`.
fn goes_on(window: &Window<'_>, at: usize) -> bool {
    let letter = window.before(at).filter(|b| !b.is_ascii());
    letter.is_some()
        && window
            .char_before(at)
            .is_some_and(|c| c.is_alphanumeric() && !email::is_unspaced(c))
}

/// Shortest token, key or address of a currency; ordinary words end before.
const SECRET_BYTES_MIN: usize = 15;

fn secret(window: &Window<'_>, at: usize) -> Option<Match> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    if window.run(at, SECRET_BYTES_MIN, is_token) < SECRET_BYTES_MIN {
        return None;
    }
    token::find(window, at)
        .or_else(|| keys::find(window, at))
        .or_else(|| crypto::find(window, at))
}
