//! A whole text at once.

use std::borrow::Cow;

use super::{
    kind::Finding,
    scanner::{Event, Scanner},
    window::Window,
};

/// Finds all personal data in `text`: in order, without overlaps.
///
/// Time is linear in the length of `text`, whatever it contains.
#[must_use]
pub fn scan(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(text, |finding| findings.push(finding));
    findings
}

/// Replaces all personal data in `text` by placeholders such as `<EMAIL>`.
///
/// Borrows when there is none. Stripping again changes nothing.
#[must_use]
pub fn strip(text: &str) -> Cow<'_, str> {
    let mut stripped = String::new();
    let mut copied = 0;
    walk(text, |finding| {
        stripped.push_str(text.get(copied..finding.start).unwrap_or_default());
        stripped.push_str(finding.kind.placeholder());
        copied = finding.end;
    });
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    stripped.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(stripped)
}

fn walk(text: &str, mut each: impl FnMut(Finding)) {
    let mut window = Window::new(text, 0, true);
    let mut scanner = Scanner::default();
    while let Some(Event::Opened { kind, start }) = scanner.next(&mut window) {
        if let Some(Event::Closed { end }) = scanner.next(&mut window) {
            each(Finding { kind, start, end });
        }
    }
}
