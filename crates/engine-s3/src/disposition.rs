//! How stored bytes are given to browsers: saved under their name, and never run.
//!
//! Whoever uploads chooses the media type, and the store serves all tenants from one origin. So
//! every answer is an attachment (RFC 6266), and a type that is not known to be passive is
//! served as plain bytes. `<img>`, `<audio>` and `<video>` show attachments all the same.

use std::fmt::Write as _;

/// What is served for a type that is not known to be passive.
const BYTES: &str = "application/octet-stream";
/// Types of which no browser runs anything.
const PASSIVE: [&str; 9] = [
    "application/gzip",
    "application/json",
    "application/pdf",
    "application/zip",
    "text/csv",
    "text/markdown",
    "text/plain",
    "text/vtt",
    "text/calendar",
];
/// Families of such types; SVG is a document with scripts, and does not belong to the images.
const PASSIVE_FAMILIES: [&str; 4] = ["audio/", "font/", "image/", "video/"];

/// The media type that is told to the browser.
pub(crate) fn served_type(stored: &str) -> &str {
    let essence = stored.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let family = PASSIVE_FAMILIES
        .iter()
        .any(|family| essence.starts_with(family));
    let passive = PASSIVE.contains(&essence.as_str()) || (family && !essence.contains("xml"));
    if passive { stored } else { BYTES }
}

/// `Content-Disposition` with the name twice: in ASCII for old clients, and whole (RFC 8187).
pub(crate) fn attachment(filename: &str) -> String {
    let mut text = String::from("attachment; filename=\"");
    text.extend(filename.chars().map(plain));
    text.push_str("\"; filename*=UTF-8''");
    for byte in filename.bytes() {
        if is_attr_char(byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What a quoted string can hold without being read in several ways.
fn plain(c: char) -> char {
    let safe = (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%' | ';');
    if safe { c } else { '_' }
}

/// `attr-char` of RFC 8187.
fn is_attr_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_run_is_served_as_bytes() {
        for passive in [
            "image/png",
            "video/mp4",
            "text/plain; charset=utf-8",
            "application/pdf",
            "IMAGE/JPEG",
        ] {
            assert_eq!(served_type(passive), passive);
        }
        for active in [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            "image/svg+xml",
            " image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "text/javascript",
            "application/javascript",
            "application/x-shockwave-flash",
            "multipart/x-mixed-replace",
            "message/rfc822",
            "text/plainhtml",
            "",
        ] {
            assert_eq!(served_type(active), BYTES, "{active}");
        }
    }

    #[test]
    fn a_name_is_offered_in_ascii_and_whole() {
        for (name, header) in [
            (
                "a b.txt",
                r#"attachment; filename="a b.txt"; filename*=UTF-8''a%20b.txt"#,
            ),
            (
                "ä.txt",
                r#"attachment; filename="_.txt"; filename*=UTF-8''%C3%A4.txt"#,
            ),
            (
                "a\"; filename=\"b.exe",
                r#"attachment; filename="a__ filename=_b.exe"; filename*=UTF-8''a%22%3B%20filename%3D%22b.exe"#,
            ),
            (
                "%41'*\\",
                r#"attachment; filename="_41'*_"; filename*=UTF-8''%2541%27%2A%5C"#,
            ),
        ] {
            assert_eq!(attachment(name), header);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_ends_its_quotes_or_the_line(name in "\\PC{1,60}|[\"\\\\;%\r\n ]{1,20}") {
            let header = attachment(&name);
            proptest::prop_assert!(header.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
            proptest::prop_assert_eq!(header.matches('"').count(), 2);
            let whole = header.rsplit("''").next().unwrap();
            let decoded: Vec<u8> = percent(whole);
            proptest::prop_assert_eq!(String::from_utf8(decoded).unwrap(), name);
        }
    }

    fn percent(text: &str) -> Vec<u8> {
        let mut bytes = text.bytes();
        let mut decoded = Vec::new();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                let hex = std::str::from_utf8(&hex).unwrap().to_owned();
                decoded.push(u8::from_str_radix(&hex, 16).unwrap());
            } else {
                decoded.push(byte);
            }
        }
        decoded
    }
}
