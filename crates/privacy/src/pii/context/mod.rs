//! What the words before a number say that it is.
//!
//! Some numbers are personal data or not depending on nothing but the words
//! around them. Only words before the number count, the nearest first, and
//! only within [`LOOK_BACK_BYTES`](super::window::LOOK_BACK_BYTES).

mod words;

use super::window::Window;
use words::{LINKS, OTHER, OTHER_WITHIN, PHONE, PHONE_WITHIN, PRODUCTS, VERSION};

/// What the nearest word that says anything says of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vote {
    /// It is a telephone number.
    Phone,
    /// It is some other number.
    Other,
    /// Nothing.
    Nothing,
}

/// How many words before a number are asked.
const WORDS_MAX: usize = 5;

/// What the words before `at` say of a number there.
pub(super) fn vote(window: &Window<'_>, at: usize) -> Vote {
    let context = line(window.context(at));
    for word in words(context).take(WORDS_MAX) {
        let one_of = |list: &[&str]| list.iter().any(|other| same(word, other));
        if one_of(PHONE) || within(word, PHONE_WITHIN) {
            return Vote::Phone;
        }
        if one_of(OTHER) || within(word, OTHER_WITHIN) {
            return Vote::Other;
        }
    }
    if within(context, PHONE_WITHIN) {
        return Vote::Phone;
    }
    Vote::Nothing
}

/// What of a context stands on the line of the number, or labels it from the line before.
///
/// The names of a table's columns label no number of its rows.
fn line(context: &str) -> &str {
    let Some((above, line)) = context.rsplit_once('\n') else {
        return context;
    };
    let above = above.trim_end().rsplit('\n').next().unwrap_or_default();
    if line.contains(char::is_alphanumeric) || above.contains([',', ';', '\t', '|']) {
        line
    } else {
        above
    }
}

/// Whether the words before `at` speak of a Social Security number.
pub(super) fn says_ssn(window: &Window<'_>, at: usize) -> bool {
    let mut words = words(window.context(at)).take(WORDS_MAX + 1).peekable();
    while let Some(word) = words.next() {
        let social = words.peek().is_some_and(|before| same(before, "social"));
        if ["ssn", "ssns", "socsec"]
            .iter()
            .any(|name| same(word, name))
            || (same(word, "security") && social)
            || ends_with(word, "_ssn")
            || [
                "social_security",
                "social_security_number",
                "socialsecuritynumber",
            ]
            .iter()
            .any(|name| same(word, name))
        {
            return true;
        }
    }
    false
}

/// Whether the words before `at` speak of an NHS number.
pub(super) fn says_nhs(window: &Window<'_>, at: usize) -> bool {
    words(window.context(at)).take(WORDS_MAX).any(|word| {
        ["nhs", "nhs_number", "nhsnumber", "nhs_no"]
            .iter()
            .any(|name| same(word, name))
    })
}

/// Whether the words right before `at` make a dotted number there a version or section.
pub(super) fn says_version(window: &Window<'_>, at: usize) -> bool {
    let one_of = |word: &str, list: &[&str]| list.iter().any(|name| same(word, name));
    for (count, word) in words(window.context(at)).take(WORDS_MAX).enumerate() {
        if one_of(word, VERSION) || ends_with(word, "version") {
            return true;
        }
        if count == 0 && one_of(word, PRODUCTS) {
            return true;
        }
        if !one_of(word, LINKS) {
            return false;
        }
    }
    false
}

/// The words of a context, the last first.
fn words(context: &str) -> impl Iterator<Item = &str> {
    let split = |c: char| !(c.is_alphanumeric() || c == '_');
    let words = context.rsplit(split);
    words.filter(|word| word.chars().any(|c| !c.is_ascii_digit() && c != '_'))
}

fn same(word: &str, name: &str) -> bool {
    if word.is_ascii() {
        word.eq_ignore_ascii_case(name)
    } else {
        !name.is_ascii() && word.to_lowercase() == name
    }
}

fn ends_with(word: &str, end: &str) -> bool {
    let from = word.len().checked_sub(end.len());
    let tail = from.and_then(|from| word.get(from..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

fn within(text: &str, names: &[&str]) -> bool {
    !text.is_ascii() && names.iter().any(|name| text.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voted(text: &str) -> Vote {
        vote(&Window::whole(text), text.len())
    }

    #[test]
    fn the_nearest_word_that_says_anything_wins() {
        assert_eq!(voted("call about order "), Vote::Other);
        assert_eq!(voted("for this order call "), Vote::Phone);
        assert_eq!(voted("Tel.: "), Vote::Phone);
        assert_eq!(voted("TÉLÉPHONE : "), Vote::Phone);
        assert_eq!(voted("我的手机是 "), Vote::Phone);
        assert_eq!(voted("订单 "), Vote::Other);
        assert_eq!(voted("my number is "), Vote::Nothing);
        assert_eq!(voted("call one two three four five "), Vote::Nothing);
    }

    #[test]
    fn a_label_may_stand_on_the_line_before_and_is_no_column() {
        assert_eq!(voted("Phone:\n"), Vote::Phone);
        assert_eq!(voted("Phone\n\n "), Vote::Phone);
        assert_eq!(voted("id,name,phone\n"), Vote::Nothing);
        assert_eq!(voted("his phone\nand order "), Vote::Other);
        assert_eq!(voted("his phone\nand "), Vote::Nothing);
    }

    #[test]
    fn versions_are_named_right_before() {
        let says = |text: &str| says_version(&Window::whole(text), text.len());
        assert!(says("version "));
        assert!(says("Version is: "));
        assert!(says("upgraded to "));
        assert!(says("AssemblyVersion(\""));
        assert!(says("upgraded from 1.2.3.4 to "));
        assert!(!says("version of the host at "));
        assert!(!says("Chrome/120.0.0.0 from "));
    }

    #[test]
    fn numbers_of_people_are_named() {
        let says = |text: &str| says_ssn(&Window::whole(text), text.len());
        assert!(says("SSN "));
        assert!(says("user_ssn="));
        assert!(says("Social Security Number: "));
        assert!(!says("security number "));
        let text = "his NHS number is ";
        assert!(says_nhs(&Window::whole(text), text.len()));
    }
}
