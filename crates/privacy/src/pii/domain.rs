//! What stands behind the `@` of an address: a domain name, or a literal.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{email::is_unspaced, window::Window};

/// Longest domain name and longest label, in bytes (RFC 1035, section 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
/// Longest literal that is taken: `[IPv6:` and an address.
const LITERAL_BYTES_MAX: usize = 52;

/// The end of the domain at `at`; `None` when there is none with at least two labels.
///
/// What is too long ends the domain and does not undo it: otherwise it would
/// become one when a part of what is too long is stripped.
pub(super) fn read(window: &Window<'_>, at: usize) -> Option<usize> {
    if window.at(at) == Some(b'[') {
        return literal(window, at);
    }
    let name = window.slice(at, name_end(window, at));
    let mut end = None;
    let mut from = 0;
    for (count, label) in name.split('.').enumerate() {
        if label.is_empty() || label.starts_with('-') {
            break;
        }
        if let Some(size) = top_level(label)
            && count > 0
        {
            end = Some(at + from + size);
        }
        if label.len() > LABEL_BYTES_MAX {
            break;
        }
        from += label.len() + 1;
    }
    end.filter(|_| !is_version_or_file(name))
}

/// Where the run of characters of domain names at `at` ends, or is as long as a domain may be.
fn name_end(window: &Window<'_>, at: usize) -> usize {
    let mut end = at;
    let mut label = Script::Any;
    while end - at < DOMAIN_BYTES_MAX {
        let Some(c) = window
            .char_at(end)
            .filter(|c| c.is_alphanumeric() || "-.".contains(*c))
        else {
            break;
        };
        let script = match c {
            '.' | '-' => Script::Any,
            c if is_unspaced(c) => Script::Unspaced,
            _ => Script::Spaced,
        };
        // Where spaces are not written, the sentence goes on in another script.
        if c != '.' && script != label && script != Script::Any && label != Script::Any {
            break;
        }
        if c == '.' || script != Script::Any {
            label = script;
        }
        end += c.len_utf8();
    }
    end
}

/// How words are told apart in the script of a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Any,
    Spaced,
    Unspaced,
}

/// How much of `label` is the name of a top-level domain.
///
/// Two letters at least; what a dash joins to it is not part of it.
fn top_level(label: &str) -> Option<usize> {
    let (name, least) = if label.starts_with("xn--") {
        (label.trim_end_matches('-'), "xn--".len() + 1)
    } else {
        let name = label.split('-').next()?;
        let letters = name.chars().all(char::is_alphabetic);
        (name, if letters { 2 } else { usize::MAX })
    };
    let size = name.floor_char_boundary(LABEL_BYTES_MAX);
    (size >= least).then_some(size)
}

/// Whether it is what stands behind the `@` of a package (`4.17.21-rc.x`) or an image (`2x.png`).
fn is_version_or_file(name: &str) -> bool {
    let mut labels = name.split('.');
    let first = labels.next().unwrap_or_default();
    let second = labels.next().unwrap_or_default();
    let is_number = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit());
    let scale = first.strip_suffix('x').is_some_and(is_number);
    let image = ["png", "jpg", "jpeg", "gif", "webp", "svg", "avif"].contains(&second);
    (is_number(first) && is_number(second)) || (scale && image)
}

/// The end of an address literal (RFC 5321, section 4.1.3).
fn literal(window: &Window<'_>, at: usize) -> Option<usize> {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b':';
    let size = window.run(at + 1, LITERAL_BYTES_MAX, is_part);
    let close = at + 1 + size;
    if window.at(close) != Some(b']') {
        return None;
    }
    let text = window.slice(at + 1, close);
    let valid = match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            text.get(5..)?.parse::<Ipv6Addr>().is_ok()
        }
        _ => text.parse::<Ipv4Addr>().is_ok(),
    };
    valid.then_some(close + 1)
}
