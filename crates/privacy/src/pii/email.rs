//! Email addresses: dot-atoms and quoted strings at domain names and literals
//! (RFC 5321, section 4.1.2), in any script (RFC 6531).
//!
//! Of the characters of an atom, those that usually delimit an address in a
//! text (such as `/`, `=`, `?`, `*`, braces and backquotes) end it on the left; `=` is taken behind a
//! `+`, as in bounce addresses. A name without a dot, such as `root@localhost`,
//! is no address, nor is the place of a repository (`git@github.com:a/b.git`).

use super::{domain, kind::Kind, scanner::Match, window::Window};

/// Longest part before the `@`, in bytes (RFC 5321, section 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;

/// The address that begins at `at`, if `at` begins a run of characters of addresses.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    if !begins_run(window, at) {
        return None;
    }
    let sign = local(window, at)?;
    let end = domain::read(window, sign + 1)?;
    let is_repository =
        window.slice(at, sign) == "git" && matches!(window.at(end), Some(b':' | b'/'));
    (!is_repository).then(|| Match::new(Kind::Email, at, end))
}

/// The address whose quoted local part begins at `at`.
pub(super) fn find_quoted(window: &Window<'_>, at: usize) -> Option<Match> {
    let is_quoted = |b: u8| !b.is_ascii_control() && !b"\"<>".contains(&b);
    let size = window.run(at + 1, LOCAL_BYTES_MAX, is_quoted);
    let close = at + 1 + size;
    if size == 0 || !window.starts_with(close, b"\"@") {
        return None;
    }
    let end = domain::read(window, close + 2)?;
    Some(Match::new(Kind::Email, at, end))
}

/// Where the `@` behind the local part at `at` stands.
fn local(window: &Window<'_>, at: usize) -> Option<usize> {
    let mut to = at;
    let mut tagged = false;
    while to - at <= LOCAL_BYTES_MAX {
        match window.at(to)? {
            b'@' => return Some(to),
            b if is_word(b) => to += 1,
            b if b.is_ascii() => {
                let joins = is_special(b) || (b == b'=' && tagged);
                if !joins {
                    return None;
                }
                let ends = (b == b'+' || b == b'-') && window.at(to + 1) == Some(b'@');
                if !(ends || continues(window, to + 1)) {
                    return None;
                }
                tagged |= b == b'+';
                to += 1;
            }
            _ => to = beyond_ascii(window, to)?,
        }
    }
    None
}

/// The end of the letter at `to`, if the run goes on behind it.
fn beyond_ascii(window: &Window<'_>, to: usize) -> Option<usize> {
    let letter = window.char_at(to).filter(|c| c.is_alphanumeric())?;
    let end = to + letter.len_utf8();
    // In scripts without spaces a word of ASCII begins anew.
    let new_word = is_unspaced(letter) && window.at(end)?.is_ascii_alphanumeric();
    (!new_word).then_some(end)
}

fn continues(window: &Window<'_>, at: usize) -> bool {
    match window.at(at) {
        Some(b) if b.is_ascii() => is_word(b),
        Some(_) => window.char_at(at).is_some_and(char::is_alphanumeric),
        None => false,
    }
}

/// Whether no character before `at` belongs to the same run.
fn begins_run(window: &Window<'_>, at: usize) -> bool {
    let begins = window
        .char_at(at)
        .is_some_and(|c| c.is_alphanumeric() || c == '_');
    begins
        && match window.char_before(at) {
            None => true,
            Some(c) if c.is_ascii() && is_special(c as u8) => {
                let before = window.char_before(at - 1);
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            }
            Some(c) if is_unspaced(c) => window.at(at).is_some_and(|b| b.is_ascii_alphanumeric()),
            Some(c) => !c.is_alphanumeric() && c != '_',
        }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Joins words within a local part, one at a time.
fn is_special(b: u8) -> bool {
    b".%+-'~!#$&^".contains(&b)
}

/// Letters of scripts that put no spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    c >= '\u{2E80}' && c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Email, tests::check};

    #[test]
    fn addresses_are_found() {
        for address in [
            "ada@example.com",
            "ada.lovelace+tag@mail.example.co.uk",
            "a@b.io",
            "_x_@example.org",
            "o'neill@example.com",
            "5551234567@txt.example.net",
            "josé.garcía@correo.es",
            "用户@例子.广告",
            "x@xn--fsqu00a.xn--0zwm56d",
            "user@[192.0.2.1]",
            "user@[IPv6:2001:db8::1]",
            "\"john doe\"@example.com",
            "bounce+user=example.com@list.example.org",
            "first-@example.com",
        ] {
            check(address, &[(Email, address)]);
            check(&format!("to {address}, please"), &[(Email, address)]);
            check(&format!("<{address}>"), &[(Email, address)]);
        }
    }

    #[test]
    fn delimiters_are_left_out() {
        for text in [
            "mailto:ada@example.com?subject=x",
            "?email=ada@example.com&x=1",
            "'ada@example.com'",
            "**ada@example.com**",
            "see...ada@example.com.",
            "邮箱ada@example.com联系",
            "-ada@example.com-",
            "/ada@example.com/",
            "{ada@example.com}",
            "ada@example.com_x",
        ] {
            check(text, &[(Email, "ada@example.com")]);
        }
        check("a@b.com@c.com", &[(Email, "a@b.com")]);
        check(
            &format!("a@b.com-{}", "x".repeat(300)),
            &[(Email, "a@b.com")],
        );
        check("a@x.com;b@y.com", &[(Email, "a@x.com"), (Email, "b@y.com")]);
    }

    #[test]
    fn what_is_no_address_is_left() {
        let long = format!("{}@example.com", "a".repeat(65));
        let label = format!("ada@{}.com", "x".repeat(64));
        for text in [
            "root@localhost",
            "@example.com",
            "ada@",
            "ada@.com",
            "ada@example",
            "lodash@4.17.21",
            "icon@2x.png",
            "a @ example.com",
            "ada@example.c",
            "ada@example.123",
            "@app.route",
            "git@github.com:acme/tools.git",
            &long,
            &label,
        ] {
            check(text, &[]);
        }
    }
}
