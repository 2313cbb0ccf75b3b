//! IPv4 addresses: four decimal octets, as RFC 6943 (section 3.1.1) says without doubt.
//!
//! A dotted number of four parts may also be a version. It is taken for one
//! where a word joins it (`v1.2.3.4`, `nginx-1.2.3.4`), where a
//! product's name in capitals does (`Chrome/120.0.0.0`), where it goes on
//! like one (`1.2.3.4-beta`), and where one of the two words before it says
//! so (`version 1.2.3.4`, `section 1.2.3.4`). Otherwise it is an address.

use super::{context, kind::Kind, number::joined_right, scanner::Match, window::Window};

/// The address that begins at `at`, a digit.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    if is_product(window, at) {
        return None;
    }
    let end = octets(window, at)?;
    if goes_on(window, end) || context::says_version(window, at) {
        return None;
    }
    Some(Match::new(Kind::Ip, at, end))
}

/// The end of four octets at `at`.
fn octets(window: &Window<'_>, at: usize) -> Option<usize> {
    let mut end = octet(window, at)?;
    for _ in 0..3 {
        if window.at(end)? != b'.' {
            return None;
        }
        end = octet(window, end + 1)?;
    }
    Some(end)
}

/// The end of one octet, 0 to 255 without leading zeros.
fn octet(window: &Window<'_>, at: usize) -> Option<usize> {
    let size = window.run(at, 4, |b| b.is_ascii_digit());
    let digits = window.slice(at, at + size);
    let leading_zero = size > 1 && digits.starts_with('0');
    let valid = !leading_zero && digits.parse::<u8>().is_ok();
    valid.then_some(at + size)
}

/// Whether a word that begins with a capital stands before a slash before `at`.
fn is_product(window: &Window<'_>, at: usize) -> bool {
    let Some(context) = window.context(at).strip_suffix('/') else {
        return false;
    };
    let word = context.rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
    word.is_some_and(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// What follows the number of a version that is not final, or of a file's name.
const AFTER_VERSION: &[&[u8]] = &[
    b"-alpha",
    b"-beta",
    b"-rc",
    b"-dev",
    b"-pre",
    b"-snapshot",
    b"-build",
    b"-final",
    b"-release",
    b"-ga",
    b"-nightly",
    b"-hotfix",
    b"-patch",
    b".tar",
    b".tgz",
    b".zip",
    b".gz",
    b".deb",
    b".rpm",
    b".jar",
    b".whl",
    b".exe",
    b".msi",
    b".dmg",
    b".pkg",
    b".apk",
    b".dll",
    b".so",
    b".nupkg",
];

/// Whether a longer number or a version ends behind `end`.
///
/// An address behind a dash makes a range; a single number there, a version (`1.2.3.4-5`).
fn goes_on(window: &Window<'_>, end: usize) -> bool {
    let named = |name: &&[u8]| window.starts_with_any_case(end, name);
    let is_range = || window.at(end) == Some(b'-') && octets(window, end + 1).is_some();
    (joined_right(window, end) && !is_range()) || AFTER_VERSION.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Ip, tests::check};

    #[test]
    fn addresses_are_found() {
        for address in ["192.0.2.1", "0.0.0.0", "255.255.255.255", "8.8.8.8"] {
            check(address, &[(Ip, address)]);
            check(&format!("from {address}:8080."), &[(Ip, address)]);
            check(&format!("({address}/24)"), &[(Ip, address)]);
            check(&format!("http://{address}/x"), &[(Ip, address)]);
        }
        check("at 192.0.2.1.", &[(Ip, "192.0.2.1")]);
        check("10.0.0.1-10.0.0.9", &[(Ip, "10.0.0.1"), (Ip, "10.0.0.9")]);
        check("localhost/127.0.0.1:80", &[(Ip, "127.0.0.1")]);
        check("root@192.0.2.1", &[(Ip, "192.0.2.1")]);
    }

    #[test]
    fn what_is_no_address_is_left() {
        for text in [
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.02.03.04",
            "1..2.3.4",
            "1.2.3.1234",
            "1.2.3.4a",
            "1.3.6.1.4.1",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn versions_are_left() {
        for text in [
            "v1.2.3.4",
            "nginx-1.2.3.4",
            "1.2.3.4-beta",
            "1.2.3.4-5",
            "1.2.3.4-1.2.3",
            "lib.so.1.2.3.4",
            "app-1.2.3.4.tar.gz",
            "version 1.2.3.4",
            "Version: 1.2.3.4",
            "upgraded to 1.2.3.4",
            "Chrome/120.0.0.0",
            "see section 1.2.3.4",
        ] {
            check(text, &[]);
        }
    }
}
