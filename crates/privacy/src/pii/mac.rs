//! Hardware addresses: EUI-48 and EUI-64 with colons or dashes, EUI-48 with dots.

use super::{kind::Kind, scanner::Match, window::Window};

/// The address that begins at `at`.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    let size = window.run(at, 5, |b| b.is_ascii_hexdigit());
    let separator = window.at(at + size)?;
    let groups: &[usize] = match (size, separator) {
        (2, b':' | b'-') => &[8, 6],
        (4, b'.') => &[3],
        _ => return None,
    };
    if joined_left(window, at, separator) {
        return None;
    }
    let most = groups.iter().copied().max()?;
    let (count, end) = read(window, at, size, separator, most);
    // A fingerprint or the like goes on with the same separator, perhaps with what was stripped.
    let goes_on = window.at(end) == Some(separator)
        && (is_group(window, end + 1, size) || window.is_placeholder(end + 1));
    let digits_alone = !window
        .slice(at, end)
        .bytes()
        .any(|b| b.is_ascii_alphabetic());
    if !groups.contains(&count) || goes_on || (digits_alone && separator != b':') {
        return None;
    }
    Some(Match::new(Kind::Mac, at, end))
}

fn joined_left(window: &Window<'_>, at: usize, separator: u8) -> bool {
    let before = at.checked_sub(1).and_then(|at| window.before(at));
    window.before(at) == Some(separator) && before.is_some_and(|b| b.is_ascii_hexdigit())
}

/// How many groups of `size` digits there are, at most `most`, and where they end.
fn read(window: &Window<'_>, at: usize, size: usize, separator: u8, most: usize) -> (usize, usize) {
    let mut count = 1;
    let mut end = at + size;
    while count < most && window.at(end) == Some(separator) {
        if !is_group(window, end + 1, size) {
            break;
        }
        end += 1 + size;
        count += 1;
    }
    (count, end)
}

/// Whether `size` hexadecimal digits stand at `at`, and no word goes on behind them.
fn is_group(window: &Window<'_>, at: usize, size: usize) -> bool {
    window.run(at, size, |b| b.is_ascii_hexdigit()) == size
        && !window
            .at(at + size)
            .is_some_and(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Mac, strip, tests::check};

    #[test]
    fn addresses_are_found() {
        for address in [
            "00:1A:2b:3C:4d:5E",
            "00-1A-2B-3C-4D-5E",
            "001a.2b3c.4d5e",
            "00:11:22:33:44:55",
            "00:11:22:ff:fe:33:44:55",
        ] {
            check(address, &[(Mac, address)]);
            check(&format!("lladdr {address}."), &[(Mac, address)]);
        }
    }

    #[test]
    fn what_is_no_address_is_left() {
        for text in [
            "12:34:56",
            "00:11:22:33:44",
            "00:11:22:33:44:5",
            "00:11:22:33:44:55:66",
            "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
            "20-26-11-21-10-30",
            "1234.5678.9012",
            "00:1A:2b:3C:4d:5G",
            "2026:11:21 10:30:00",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn what_went_on_with_something_that_was_stripped_is_left() {
        let once = strip("12:31:56:00:1A:2b:3C:4d:51@example.com");
        assert_eq!(once, "12:31:56:00:1A:2b:3C:4d:<EMAIL>");
        assert_eq!(strip(&once), once);
    }
}
