//! How telephone numbers are written: digits in parts, brackets, extensions.

use super::super::window::Window;

/// Most digits that are read.
const DIGITS_MAX: usize = 18;
/// Most parts that are read.
const PARTS_MAX: usize = 8;
/// Most characters between two parts, such as `) ` or ` - `.
const SEPARATORS_MAX: usize = 3;

/// A number as it is written.
#[derive(Default)]
pub(super) struct Written {
    /// It begins with a plus sign.
    pub(super) plus: bool,
    /// Its first part is in brackets.
    pub(super) bracketed: bool,
    digits: String,
    parts: [Part; PARTS_MAX],
    len: usize,
}

/// Some digits without anything between them.
#[derive(Clone, Copy, Default)]
pub(super) struct Part {
    /// The byte after its last.
    pub(super) end: usize,
    /// How many digits there are up to its end.
    pub(super) total: usize,
    /// Whether a bracket is open at its end.
    pub(super) open: bool,
}

impl Written {
    /// Reads what begins at `at`; `None` without a digit or with too many in one part.
    pub(super) fn read(window: &Window<'_>, at: usize) -> Option<Self> {
        let mut written = Self {
            plus: window.at(at) == Some(b'+'),
            ..Self::default()
        };
        let mut from = at + usize::from(written.plus);
        let mut open = window.at(from) == Some(b'(');
        from += usize::from(open);
        written.bracketed = open && !written.plus;
        loop {
            let size = window.run(from, DIGITS_MAX + 1, |b| b.is_ascii_digit());
            if size == 0 || !written.push(window.slice(from, from + size), from, open, window) {
                break;
            }
            match separators(window, from + size, &mut open) {
                Some(next) => from = next,
                None => break,
            }
        }
        (written.len > 0).then_some(written)
    }

    fn push(&mut self, digits: &str, from: usize, open: bool, window: &Window<'_>) -> bool {
        let end = from + digits.len();
        if self.plus && open && digits == "0" && self.len > 0 {
            // The trunk prefix of `+44 (0)20`, which is not dialled from abroad.
            return window.at(end) == Some(b')');
        }
        let total = self.digits.len() + digits.len();
        let Some(slot) = self.parts.get_mut(self.len).filter(|_| total <= DIGITS_MAX) else {
            return false;
        };
        *slot = Part { end, total, open };
        self.digits.push_str(digits);
        self.len += 1;
        true
    }

    pub(super) fn parts(&self) -> &[Part] {
        self.parts.get(..self.len).unwrap_or_default()
    }

    /// The digits of the first `count` parts.
    pub(super) fn digits(&self, count: usize) -> &str {
        let last = count.checked_sub(1).and_then(|last| self.parts().get(last));
        let total = last.map_or(0, |part| part.total);
        self.digits.get(..total).unwrap_or_default()
    }

    /// How many digits each of the first `count` parts has.
    pub(super) fn sizes(&self, count: usize) -> Vec<usize> {
        let mut before = 0;
        let size = |part: &Part| part.total - std::mem::replace(&mut before, part.total);
        self.parts().iter().take(count).map(size).collect()
    }
}

/// Where the next part begins behind what separates parts; `None` when none follows.
fn separators(window: &Window<'_>, from: usize, open: &mut bool) -> Option<usize> {
    let mut at = from;
    for _ in 0..SEPARATORS_MAX {
        at += match window.at(at)? {
            b' ' | b'-' | b'.' | b'/' => 1,
            b'(' if !*open => {
                *open = true;
                1
            }
            b')' if *open => {
                *open = false;
                1
            }
            // A space that does not break.
            0xC2 if window.at(at + 1)? == 0xA0 => 2,
            // Dashes from U+2010 to U+2013.
            0xE2 if window.at(at + 1)? == 0x80 && matches!(window.at(at + 2)?, 0x90..=0x93) => 3,
            _ => break,
        };
    }
    let follows = window.at(at)?.is_ascii_digit();
    (at > from && follows).then_some(at)
}

/// What introduces an extension, the longest first.
const EXTENSIONS: &[&[u8]] = &[b"extension", b"extn", b"ext", b"x", b"#"];
/// Most digits of an extension.
const EXTENSION_DIGITS_MAX: usize = 6;

/// The end of the extension behind a number that ends at `end`; `end` without one.
pub(super) fn extension(window: &Window<'_>, end: usize) -> usize {
    let name = end + window.run(end, 3, |b| b" ,;".contains(&b));
    let Some(tag) = EXTENSIONS
        .iter()
        .find(|tag| window.starts_with_any_case(name, tag))
    else {
        return end;
    };
    let after = name + tag.len();
    let from = after + window.run(after, 3, |b| b" .:=".contains(&b));
    let size = window.run(from, EXTENSION_DIGITS_MAX + 1, |b| b.is_ascii_digit());
    let goes_on = window
        .at(from + size)
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if size == 0 || size > EXTENSION_DIGITS_MAX || goes_on {
        return end;
    }
    from + size
}
