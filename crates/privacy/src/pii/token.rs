//! Signed and encrypted tokens in compact form (RFC 7515 to 7519).
//!
//! A token is known by its first part, which must decode to a JSON object
//! that names an algorithm; the rest is swallowed, however long it is.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    kind::Kind,
    scanner::{Match, Tail},
    window::Window,
};

/// Longest first part that is decoded, in bytes; one with a certificate chain is longer.
const HEADER_BYTES_MAX: usize = 1_536;
/// Shortest: `{"alg":""}`.
const HEADER_BYTES_MIN: usize = 14;

/// The token that begins at `at`.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    // `{` in Base64 is `e`, then `w` to `y`.
    if window.at(at)? != b'e' || !matches!(window.at(at + 1)?, b'w'..=b'y') {
        return None;
    }
    let size = window.run(at, HEADER_BYTES_MAX, is_base64url);
    let dot = at + size;
    if size < HEADER_BYTES_MIN
        || window.at(dot) != Some(b'.')
        || !window.at(dot + 1).is_some_and(is_base64url)
        || !names_algorithm(window.slice(at, dot))
    {
        return None;
    }
    Some(Match {
        tail: Tail::Token,
        ..Match::new(Kind::Jwt, at, dot + 1)
    })
}

fn names_algorithm(header: &str) -> bool {
    let Ok(header) = URL_SAFE_NO_PAD.decode(header) else {
        return false;
    };
    let key = b"\"alg\"";
    header.first() == Some(&b'{') && header.windows(key.len()).any(|window| window == key)
}

/// Swallows what still belongs to a token, and says what is left to swallow.
pub(super) fn swallow(window: &Window<'_>, from: usize) -> (usize, Option<Tail>) {
    let mut to = from;
    loop {
        to += window.run(to, usize::MAX, is_base64url);
        let joins = window.at(to) == Some(b'.') && window.at(to + 1).is_some_and(is_base64url);
        if window.take_starved() {
            return (to, Some(Tail::Token));
        }
        if !joins {
            return (to, None);
        }
        to += 1;
    }
}

fn is_base64url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Jwt, tests::check};

    /// RFC 7515, appendix A.1.
    const SIGNED: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn tokens_are_found() {
        check(SIGNED, &[(Jwt, SIGNED)]);
        check(&format!("Bearer {SIGNED}."), &[(Jwt, SIGNED)]);
        check(&format!("?token={SIGNED}&x=1"), &[(Jwt, SIGNED)]);
        let long = format!("{SIGNED}{}", "A".repeat(100_000));
        check(&long, &[(Jwt, &long)]);
    }

    #[test]
    fn what_does_not_begin_with_a_header_is_left() {
        check("eyJhbGciOiJIUzI1NiJ9", &[]);
        check("eyJhbGciOiJIUzI1NiJ9.", &[]);
        check("eyJmb28iOiJiYXIifQ.eyJhIjoxfQ.abcdef", &[]);
        check("eyJhbGciOiJIUzI1NiJ9x.eyJhIjoxfQ.abcdef", &[]);
        check(&format!("x{SIGNED}"), &[]);
    }
}
