//! IPv6 addresses in every form of RFC 4291 (section 2.2), with zones (RFC 6874).
//!
//! Times (`12:34:56`) are too short. What only looks like an address is left:
//! a bare `::`, words (`dead::beef`, because a path of code looks so), eight
//! groups of one or two digits, a slice (`a[1::2]`).

use std::net::Ipv6Addr;

use super::{kind::Kind, scanner::Match, window::Window};

/// Longest form, with an IPv4 address at its end.
const ADDRESS_BYTES_MAX: usize = 45;
/// Longest zone that is taken, in bytes.
const ZONE_BYTES_MAX: usize = 32;

/// The address that begins at `at`: a hexadecimal digit, or the first of two colons.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    let first = window.run(at, 5, |b| b.is_ascii_hexdigit());
    let colons = window.at(at + first) == Some(b':') && first < 5;
    let leads = first > 0 || window.at(at + 1) == Some(b':');
    if !colons || !leads || joined_left(window, at) {
        return None;
    }
    let is_part = |b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.';
    let size = window.run(at, ADDRESS_BYTES_MAX + 2, is_part);
    let next = window.at(at + size);
    let mut text = window.slice(at, at + size);
    if next.is_some_and(|b| b.is_ascii_alphanumeric()) && !text.ends_with(['.', ':']) {
        // The last group is the beginning of a word.
        text = text.get(..text.rfind(['.', ':'])?)?;
    }
    text = text.trim_end_matches('.');
    // What follows an address behind a colon or dot is no part of it.
    while !is_address(text) {
        text = text.get(..text.rfind(['.', ':'])?)?;
    }
    let end = at + text.len();
    if text.ends_with(':') && !ends_here(window.at(end)) {
        return None;
    }
    Some(Match::new(Kind::Ip, at, zone(window, end)))
}

fn joined_left(window: &Window<'_>, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| window.before(at));
    match window.before(at) {
        Some(b':') => before.is_some_and(|b| b.is_ascii_hexdigit() || b == b':'),
        Some(b'.') => before.is_some_and(|b| b.is_ascii_alphanumeric()),
        Some(b'[') => before.is_some_and(|b| b.is_ascii_alphanumeric() || b")]_".contains(&b)),
        Some(b) => b.is_ascii_alphanumeric() || b == b'_',
        None => false,
    }
}

fn is_address(text: &str) -> bool {
    if text.parse::<Ipv6Addr>().is_err() {
        return false;
    }
    if text.contains("::") {
        return text.bytes().any(|b| b.is_ascii_digit()) || text.split(':').count() > 4;
    }
    text.split(':').any(|group| group.len() > 2)
}

/// Whether an address that ends in two colons may end here; code goes on otherwise.
fn ends_here(next: Option<u8>) -> bool {
    next.is_none_or(|b| b.is_ascii_whitespace() || b"/],;)\"'%.".contains(&b))
}

/// The end of the zone behind an address that ends at `end`, such as `%eth0`.
fn zone(window: &Window<'_>, end: usize) -> usize {
    if window.at(end) != Some(b'%') {
        return end;
    }
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    let size = window.run(end + 1, ZONE_BYTES_MAX, is_part);
    let zone = window.slice(end + 1, end + 1 + size);
    match zone.trim_end_matches(['.', '-']).len() {
        0 => end,
        size => end + 1 + size,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Ip, tests::check};

    #[test]
    fn every_form_is_found() {
        for address in [
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
            "2001:db8::1",
            "fe80::1ff:fe23:4567:890a",
            "::1",
            "::ffff:192.0.2.128",
            "64:ff9b::192.0.2.33",
            "2001:db8::",
            "fe80::1%eth0",
            "FF02::1",
        ] {
            check(address, &[(Ip, address)]);
            check(&format!("from {address}, then"), &[(Ip, address)]);
            check(&format!("http://[{address}]:80/"), &[(Ip, address)]);
        }
        check("2001:db8::/32", &[(Ip, "2001:db8::")]);
        check("at 2001:db8::1.", &[(Ip, "2001:db8::1")]);
        check("fe80::1: unreachable", &[(Ip, "fe80::1")]);
        check("2001:db8:1:2:3:4:5:6:7", &[(Ip, "2001:db8:1:2:3:4:5:6")]);
        check("addr:2001:db8::1", &[(Ip, "2001:db8::1")]);
    }

    #[test]
    fn what_is_no_address_is_left() {
        for text in [
            "12:34:56",
            "2026-11-21T12:34:56",
            "::",
            "std::vector",
            "a1::new()",
            "dead::beef",
            "a::b::c",
            "1:2:3:4:5:6:7:8",
            "12345::1",
            "items[1::2]",
            "1:2:3",
            "fe80::1g",
        ] {
            check(text, &[]);
        }
    }
}
