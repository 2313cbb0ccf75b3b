//! What values may hold: the rules that kinds of records share.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use url::Url;

use crate::Invalid;

const TAGS_MAX: usize = 50;
const TAG_BYTES_MAX: usize = 64;
const ADDRESS_BYTES_MAX: usize = 2048;
/// Deepest nesting of a client's own JSON.
const JSON_DEPTH_MAX: usize = 32;
const MEMBER_BYTES_MAX: usize = 128;

/// Refuses a text that is too long, or holds control characters other than line breaks and tabs.
pub(crate) fn text(pointer: &str, text: &str, bytes_max: usize) -> Result<(), Invalid> {
    if text.len() > bytes_max {
        let why = format!("has {} bytes; at most {bytes_max}", text.len());
        return Err(Invalid::new(pointer, why));
    }
    let breaks = ['\n', '\r', '\t'];
    match text.chars().find(|c| c.is_control() && !breaks.contains(c)) {
        Some(found) => {
            let why = format!("holds the control character {}", found.escape_unicode());
            Err(Invalid::new(pointer, why))
        }
        None => Ok(()),
    }
}

/// Refuses a text of one line that is empty, too long, or has space around it.
pub(crate) fn line(pointer: &str, value: &str, bytes_max: usize) -> Result<(), Invalid> {
    if value.is_empty() || value.trim() != value {
        return Err(Invalid::new(
            pointer,
            "must not be empty, nor begin or end with space",
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(Invalid::new(pointer, "must be one line of text"));
    }
    text(pointer, value, bytes_max)
}

/// As [`line`], or nothing.
pub(crate) fn optional_line(pointer: &str, value: &str, bytes_max: usize) -> Result<(), Invalid> {
    if value.is_empty() {
        return Ok(());
    }
    line(pointer, value, bytes_max)
}

/// Refuses more than `most` items.
pub(crate) fn count(pointer: &str, count: usize, most: usize) -> Result<(), Invalid> {
    if count > most {
        let why = format!("has {count} items; at most {most}");
        return Err(Invalid::new(pointer, why));
    }
    Ok(())
}

/// Refuses a name that is empty, too long, or has other characters than `A-Z a-z 0-9 . _ : -`.
pub(crate) fn name(pointer: &str, value: &str, bytes_max: usize) -> Result<(), Invalid> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    if (1..=bytes_max).contains(&value.len()) && value.bytes().all(allowed) {
        return Ok(());
    }
    let why = format!("must be 1 to {bytes_max} of A-Z a-z 0-9 . _ : -");
    Err(Invalid::new(pointer, why))
}

/// Refuses more than 50 tags at `/tags`, empty or long ones, and one that is there twice.
pub(crate) fn tags(tags: &[String]) -> Result<(), Invalid> {
    count("/tags", tags.len(), TAGS_MAX)?;
    let mut seen = BTreeSet::new();
    for (at, tag) in tags.iter().enumerate() {
        let pointer = format!("/tags/{at}");
        line(&pointer, tag, TAG_BYTES_MAX)?;
        if !seen.insert(tag) {
            return Err(Invalid::new(pointer, "is there twice"));
        }
    }
    Ok(())
}

/// Refuses what is no address of one of `schemes`; above all `javascript:`.
pub(crate) fn address(pointer: &str, href: &str, schemes: &[&str]) -> Result<(), Invalid> {
    line(pointer, href, ADDRESS_BYTES_MAX)?;
    match Url::parse(href) {
        Ok(url) if schemes.contains(&url.scheme()) => Ok(()),
        _ => {
            let why = format!("must be an address that begins with {}", schemes.join(", "));
            Err(Invalid::new(pointer, why))
        }
    }
}

/// Refuses a client's own JSON that is too large, too deep, or has control characters in it.
pub(crate) fn json(
    pointer: &str,
    members: &Map<String, Value>,
    bytes_max: usize,
) -> Result<(), Invalid> {
    let bytes = serde_json::to_vec(members).map_or(usize::MAX, |text| text.len());
    if bytes > bytes_max {
        let why = format!("has {bytes} bytes as JSON; at most {bytes_max}");
        return Err(Invalid::new(pointer, why));
    }
    json_members(pointer, members, JSON_DEPTH_MAX)
}

fn json_members(pointer: &str, members: &Map<String, Value>, deeper: usize) -> Result<(), Invalid> {
    for (member, value) in members {
        if member.len() > MEMBER_BYTES_MAX || member.chars().any(char::is_control) {
            let why =
                format!("names have at most {MEMBER_BYTES_MAX} bytes and no control characters");
            return Err(Invalid::new(pointer, why));
        }
        let place = member.replace('~', "~0").replace('/', "~1");
        json_value(&format!("{pointer}/{place}"), value, deeper)?;
    }
    Ok(())
}

fn json_value(pointer: &str, value: &Value, deeper: usize) -> Result<(), Invalid> {
    let Some(deeper) = deeper.checked_sub(1) else {
        let why = format!("is nested more than {JSON_DEPTH_MAX} deep");
        return Err(Invalid::new(pointer, why));
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(string) => text(pointer, string, usize::MAX),
        Value::Object(members) => json_members(pointer, members, deeper),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| json_value(&format!("{pointer}/{at}"), item, deeper))
        }
    }
}
