//! Texts in XML.

use std::fmt::Write;

/// What stands for the rest of a text that is cut, and for what XML cannot hold.
const REST: char = '…';
const UNKNOWN: char = '\u{fffd}';

/// At most `chars_max` characters of a text, safe in the content and the attributes of XML 1.0.
pub(super) fn escaped(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(256));
    let mut chars = text.chars();
    for char in chars.by_ref().take(chars_max) {
        match char {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a text does not fail.
                let _ = write!(out, "&#{};", u32::from(char));
            }
            '\t' | '\n' | '\r' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => out.push(UNKNOWN),
            other if other.is_control() => out.push(UNKNOWN),
            other => out.push(other),
        }
    }
    if chars.next().is_some() {
        out.push(REST);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_cut() {
        for (text, max, safe) in [
            ("<script>&'\"", 99, "&#60;script&#62;&#38;&#39;&#34;"),
            (
                "a\tb\r\nc\u{0}\u{1b}\u{85}\u{ffff}",
                99,
                "a b  c\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            ),
            ("éé<é", 3, "éé&#60;…"),
            ("ééé", 3, "ééé"),
            ("", 3, ""),
        ] {
            assert_eq!(escaped(text, max), safe);
        }
    }
}
