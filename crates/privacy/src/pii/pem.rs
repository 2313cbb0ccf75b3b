//! Private keys in PEM form (RFC 7468, RFC 4716, RFC 9580).
//!
//! From its first line on a key is swallowed up to its end line, or up to
//! [`KEY_BYTES_MAX`]: a key that was cut off is still a key.

use super::{
    kind::Kind,
    scanner::{Match, Tail},
    window::Window,
};

/// How much behind a first line is swallowed at most, in bytes.
const KEY_BYTES_MAX: usize = 64 * 1024;
/// Longest label of a first or last line, such as `OPENSSH PRIVATE KEY`, in bytes.
const LABEL_BYTES_MAX: usize = 48;

const END: &str = "-----END ";
const DASHES: &[u8] = b"-----";

/// The key whose first line begins at `at`.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    if !window.starts_with(at, b"-----BEGIN ") {
        return None;
    }
    let (label, end) = label(window, at + "-----BEGIN ".len())?;
    if !label.contains("PRIVATE KEY") {
        return None;
    }
    let tail = Tail::Pem {
        bytes_left: KEY_BYTES_MAX,
    };
    Some(Match {
        tail,
        ..Match::new(Kind::PrivateKey, at, end)
    })
}

/// The label at `at`, and where the dashes behind it end.
fn label<'a>(window: &Window<'a>, at: usize) -> Option<(&'a str, usize)> {
    let is_label = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ';
    let size = window.run(at, LABEL_BYTES_MAX, is_label);
    let dashes = at + size;
    window
        .starts_with(dashes, DASHES)
        .then(|| (window.slice(at, dashes), dashes + DASHES.len()))
}

/// Swallows a key up to its last line, and says what is left to swallow.
pub(super) fn swallow(
    window: &Window<'_>,
    from: usize,
    bytes_left: usize,
) -> (usize, Option<Tail>) {
    let bound = window.floor_boundary(from + bytes_left);
    let mut to = from;
    while let Some(offset) = window.slice(to, bound).find(END) {
        to += offset;
        window.take_starved();
        let last_line = label(window, to + END.len());
        if window.take_starved() {
            let bytes_left = bytes_left - (to - from);
            return (to, Some(Tail::Pem { bytes_left }));
        }
        if let Some((_, end)) = last_line {
            return (end, None);
        }
        to += END.len();
    }
    if window.is_last() || bound < window.len() {
        return (bound, None);
    }
    // The beginning of an end line may be among the last bytes.
    let kept = window.floor_boundary(window.len().saturating_sub(END.len()));
    let to = kept.max(to);
    let bytes_left = bytes_left - (to - from);
    (to, Some(Tail::Pem { bytes_left }))
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::PrivateKey, strip, tests::check};
    use super::*;

    fn key(label: &str) -> String {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n".repeat(20);
        format!("-----BEGIN {label}-----\n{body}-----END {label}-----")
    }

    #[test]
    fn keys_are_found_whole() {
        for label in [
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "PGP PRIVATE KEY BLOCK",
        ] {
            let key = key(label);
            check(&key, &[(PrivateKey, &key)]);
            check(&format!("key:\n{key}\nend"), &[(PrivateKey, &key)]);
        }
    }

    #[test]
    fn what_is_public_is_left() {
        for label in ["PUBLIC KEY", "CERTIFICATE", "CERTIFICATE REQUEST"] {
            check(&key(label), &[]);
        }
        check("-----BEGIN private key-----", &[]);
        check("-----BEGIN PRIVATE KEY", &[]);
    }

    #[test]
    fn a_key_without_an_end_is_swallowed_up_to_the_bound() {
        let first = "-----BEGIN PRIVATE KEY-----";
        check(
            &format!("{first}\nMIIE"),
            &[(PrivateKey, &format!("{first}\nMIIE"))],
        );
        let text = format!("{first}{}", "A".repeat(KEY_BYTES_MAX + 3));
        assert_eq!(strip(&text), "<PRIVATE_KEY>AAA");
        let text = format!("{first}{}é", "A".repeat(KEY_BYTES_MAX - 1));
        assert_eq!(strip(&text), "<PRIVATE_KEY>é");
    }
}
