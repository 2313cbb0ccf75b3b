//! Groups of digits: what cards, Social Security, NHS and phone numbers are made of.

use super::{card, nhs, phone, scanner::Match, ssn, window::Window};

/// Most groups of one number.
pub(super) const GROUPS_MAX: usize = 8;
/// Most digits of one number: a card's.
pub(super) const DIGITS_MAX: usize = 19;

/// Digits with single separators (space, dash or dot) between groups.
#[derive(Default)]
pub(super) struct Groups {
    digits: [u8; DIGITS_MAX],
    groups: [Group; GROUPS_MAX],
    len: usize,
}

/// One group of digits.
#[derive(Clone, Copy, Default)]
pub(super) struct Group {
    /// The byte after its last, in the window.
    pub(super) end: usize,
    /// How many digits there are up to its end.
    pub(super) total: usize,
    /// How many digits it has.
    pub(super) size: usize,
    /// What stands before it; zero at the first.
    pub(super) separator: u8,
}

impl Groups {
    /// Reads the groups from `at` on; `None` when the first one is longer than any number.
    pub(super) fn read(window: &Window<'_>, at: usize) -> Option<Self> {
        let mut groups = Self::default();
        let mut from = at;
        let mut separator = 0;
        while groups.push(window, from, separator) {
            let end = groups.all().last()?.end;
            separator = match window.at(end) {
                Some(b @ (b' ' | b'-' | b'.')) => b,
                _ => break,
            };
            from = end + 1;
        }
        (groups.len > 0).then_some(groups)
    }

    /// Takes the group at `from`, if it is one and still fits.
    fn push(&mut self, window: &Window<'_>, from: usize, separator: u8) -> bool {
        let total = self.all().last().map_or(0, |group| group.total);
        let most = DIGITS_MAX - total;
        let size = window.run(from, most + 1, |b| b.is_ascii_digit());
        if size == 0 || size > most {
            return false;
        }
        let Some(slot) = self.groups.get_mut(self.len) else {
            return false;
        };
        *slot = Group {
            end: from + size,
            total: total + size,
            size,
            separator,
        };
        let text = window.slice(from, from + size);
        for (slot, digit) in self.digits.iter_mut().skip(total).zip(text.bytes()) {
            *slot = digit - b'0';
        }
        self.len += 1;
        true
    }

    pub(super) fn all(&self) -> &[Group] {
        self.groups.get(..self.len).unwrap_or_default()
    }

    /// The first so many digits, each 0 to 9.
    pub(super) fn digits(&self, total: usize) -> &[u8] {
        self.digits.get(..total).unwrap_or_default()
    }

    /// The sizes of the first groups, if there are as many.
    pub(super) fn sizes<const N: usize>(&self) -> Option<[usize; N]> {
        let mut sizes = [0; N];
        let first = self.groups.get(..N).filter(|_| self.len >= N)?;
        for (size, group) in sizes.iter_mut().zip(first) {
            *size = group.size;
        }
        Some(sizes)
    }

    /// What stands between the first `count` groups, if it is the same everywhere.
    pub(super) fn separator(&self, count: usize) -> Option<u8> {
        let mut between = self.all().get(1..count)?.iter();
        let separator = between.next()?.separator;
        between
            .all(|group| group.separator == separator)
            .then_some(separator)
    }
}

/// The number that begins at `at`, a digit.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    if matches!(window.before(at), Some(b'$' | b'+')) {
        return None;
    }
    if let Some(groups) = Groups::read(window, at)
        && let Some(found) = ssn::find(window, at, &groups)
            .or_else(|| nhs::find_named(window, at, &groups))
            .or_else(|| card::find(window, at, &groups))
    {
        return Some(found);
    }
    phone::find(window, at).or_else(|| nhs::find_unnamed(window, at))
}

/// Whether what begins at `at` is the end of a longer number or word.
pub(super) fn joined_left(window: &Window<'_>, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| window.before(at));
    match window.before(at) {
        Some(b'-' | b'_' | b'.') => before.is_some_and(|b| b.is_ascii_alphanumeric()),
        Some(b) => b.is_ascii_alphanumeric(),
        None => false,
    }
}

/// Whether what ends at `end` goes on as a longer number or word.
///
/// Where it says so of a digit that follows, [`joined_left`] says so of that
/// digit too: neither of two joined numbers is one. Otherwise the first would
/// become one when the second is stripped.
pub(super) fn joined_right(window: &Window<'_>, end: usize) -> bool {
    match window.at(end) {
        Some(b'-' | b'_' | b'.') => window.at(end + 1).is_some_and(|b| b.is_ascii_digit()),
        Some(b) => b.is_ascii_alphanumeric(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_up_to_what_separates_no_digits() {
        let window = Window::whole("4111 1111-1111.1111 x");
        let groups = Groups::read(&window, 0).unwrap();
        assert_eq!(groups.sizes::<4>(), Some([4, 4, 4, 4]));
        assert_eq!(groups.all()[3].end, 19);
        assert_eq!(groups.digits(5), [4, 1, 1, 1, 1]);
        assert_eq!(groups.separator(2), Some(b' '));
        assert_eq!(groups.separator(3), None);
        assert_eq!(groups.sizes::<5>(), None);
    }

    #[test]
    fn what_is_longer_than_any_number_is_none() {
        assert!(Groups::read(&Window::whole(&"1".repeat(20)), 0).is_none());
        let groups = Groups::read(&Window::whole(&"1".repeat(19)), 0).unwrap();
        assert_eq!(groups.all().len(), 1);
    }

    #[test]
    fn numbers_are_joined_on_both_sides_or_on_none() {
        for text in ["1-2", "1.2", "1_2"] {
            let window = Window::whole(text);
            assert!(joined_right(&window, 1), "{text}");
            assert!(joined_left(&window, 2), "{text}");
        }
        for text in ["1 2", "1;2", "1=2", "1|2", "1,2", "1@2"] {
            let window = Window::whole(text);
            assert!(!joined_right(&window, 1), "{text}");
            assert!(!joined_left(&window, 2), "{text}");
        }
    }
}
