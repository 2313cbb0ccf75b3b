//! User and password in the authority of a URL (RFC 3986, section 3.2.1).
//!
//! What is found is `user:password`, without the `@`. A user alone is none:
//! where it looks like an address, it is found as one.

use super::{kind::Kind, scanner::Match, window::Window};

/// How far into an authority user and password are looked for, in bytes.
const AUTHORITY_BYTES_MAX: usize = 512;

/// The credentials of the URL whose scheme ends at `at`, with a colon.
///
/// They are looked for from there and not from the scheme on, because a scheme
/// may be personal data itself: it has been looked through when they are found.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+.-".contains(&b);
    if !window.before(at).is_some_and(is_scheme) || !window.starts_with(at, b"://") {
        return None;
    }
    let start = at + 3;
    let ends = |b: u8| b.is_ascii_whitespace() || b.is_ascii_control() || b"/?#\"<>`|".contains(&b);
    let size = window.run(start, AUTHORITY_BYTES_MAX, |b| !ends(b));
    let authority = window.slice_bytes(start, start + size);
    // The last sign that a host follows.
    let (_, signs) = authority.split_last()?;
    let sign = signs.iter().rposition(|b| *b == b'@')?;
    let colon = authority.iter().position(|b| *b == b':')?;
    let has_password = colon + 1 < sign;
    has_password.then(|| Match::new(Kind::Credentials, start, start + sign))
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind::{ApiKey, Credentials, Email},
        tests::check,
    };

    #[test]
    fn user_and_password_are_found() {
        check(
            "see https://ada:s3cret@example.com/x",
            &[(Credentials, "ada:s3cret")],
        );
        check(
            "postgres://app:p%40ss@db.internal:5432/main",
            &[(Credentials, "app:p%40ss")],
        );
        check("redis://:hunter2@cache:6379", &[(Credentials, ":hunter2")]);
        check(
            "postgresql+psycopg2://u:p@ss@h/d",
            &[(Credentials, "u:p@ss")],
        );
        check(
            "ftp://user:pässwort@host",
            &[(Credentials, "user:pässwort")],
        );
    }

    #[test]
    fn urls_without_a_password_are_left() {
        for text in [
            "https://example.com:8080/a@b",
            "https://user@host/",
            "https://user:@host/",
            "https://a:b@",
            "https://example.com/?q=a:b@c",
            "://a:b@c",
            "12:34@56",
        ] {
            check(text, &[]);
        }
        check("sftp://ada@example.com/", &[(Email, "ada@example.com")]);
    }

    #[test]
    fn a_scheme_that_is_a_secret_itself_is_one() {
        let key = "AKIAIOSFODNN7EXAMPLE";
        check(&format!("{key}://:t@h"), &[(ApiKey, key)]);
    }
}
