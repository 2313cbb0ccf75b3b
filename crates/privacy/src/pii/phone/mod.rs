//! Telephone numbers: how they are written, and whether a plan has them.
//!
//! A number with `+` counts where the plan of its country has it. Without `+`
//! the country is not known, and many other numbers look alike; so one counts
//!
//! - behind `00` or `011`, in groups, where the plan of the country has it;
//! - in groups as in North America (`212-555-0123`), or with its area code in
//!   brackets, or with a leading zero, where a plan of such a country has it;
//! - in any form, behind a word that says so (`call`, `Tel.`, `电话`).
//!
//! A word such as `order` or `invoice` before it makes it another number, and
//! so does the form of a date.

mod plan;
mod written;

use super::{
    context::{Vote, vote},
    kind::Kind,
    number::joined_right,
    scanner::Match,
    window::Window,
};
use written::Written;

/// Digits of a number with all prefixes (E.164, section 6.2.1, and `011`).
const DIGITS: std::ops::RangeInclusive<usize> = 7..=18;

/// The number that begins at `at`: a plus sign, an opening bracket or a digit.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    if joined_left(window, at) {
        return None;
    }
    let written = Written::read(window, at)?;
    let mut said = None;
    for count in (1..=written.parts().len()).rev() {
        let part = written.parts().get(count - 1)?;
        if part.open || !DIGITS.contains(&part.total) || joined_right(window, part.end) {
            continue;
        }
        let said = *said.get_or_insert_with(|| vote(window, at));
        let inside = said == Vote::Nothing && !written.plus && follows_digits(window, at);
        if !inside && is_number(&written, count, said) {
            let end = written::extension(window, part.end);
            return Some(Match::new(Kind::Phone, at, end));
        }
    }
    None
}

/// Whether it is the end of a time, a date, a sum or a word.
fn joined_left(window: &Window<'_>, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| window.before(at));
    match window.before(at) {
        Some(b':' | b'/' | b',') => before.is_some_and(|b| b.is_ascii_digit()),
        Some(b) => b.is_ascii_alphanumeric() || b == b'+',
        None => false,
    }
}

/// Whether digits and a space stand before it, as within a longer number.
fn follows_digits(window: &Window<'_>, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| window.before(at));
    window.before(at) == Some(b' ') && before.is_some_and(|b| b.is_ascii_digit())
}

/// Whether the first `count` parts are a telephone number.
fn is_number(written: &Written, count: usize, said: Vote) -> bool {
    let digits = written.digits(count);
    if written.plus {
        return plan::is_international(digits);
    }
    let sizes = written.sizes(count);
    if is_date(digits, &sizes) {
        return false;
    }
    let grouped = count > 1;
    let dialled = digits
        .strip_prefix("00")
        .or_else(|| digits.strip_prefix("011"));
    if let Some(dialled) = dialled
        && (grouped || said == Vote::Phone)
        && said != Vote::Other
        && plan::is_international(dialled)
    {
        return true;
    }
    match said {
        Vote::Phone => {
            plan::is_national(digits) || plan::is_international(digits) || sizes == [3, 4]
        }
        _ if written.bracketed => (9..=11).contains(&digits.len()) && plan::is_national(digits),
        Vote::Other => false,
        Vote::Nothing => match sizes.as_slice() {
            [2..=5, rest @ ..] if digits.starts_with('0') && grouped => {
                let whole = rest.iter().all(|size| *size >= 2);
                whole && (9..=12).contains(&digits.len()) && plan::has_leading_zero(digits)
            }
            [3, 3, 4] | [1, 3, 3, 4] => plan::is_north_american(digits),
            _ => false,
        },
    }
}

/// Whether it begins like a date with a year of four digits.
fn is_date(digits: &str, sizes: &[usize]) -> bool {
    let number = |from: usize, to: usize| {
        let part = digits
            .get(from..to)
            .and_then(|part| part.parse::<u32>().ok());
        part.unwrap_or(u32::MAX)
    };
    let year = |from: usize| (1900..2100).contains(&number(from, from + 4));
    let day = |at: usize| (1..=31).contains(&number(at, at + 2));
    let month = |at: usize| (1..=12).contains(&number(at, at + 2));
    let year_first = year(0) && month(4) && day(6);
    match sizes {
        [8] => year_first,
        [4, 2, 2, ..] => year_first,
        [2, 2, 4, ..] => year(4) && ((day(0) && month(2)) || (month(0) && day(2))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Phone, tests::check};

    #[test]
    fn numbers_with_a_plus_are_found() {
        for number in [
            "+14155552671",
            "+1 (415) 555-2671",
            "+1-415-555-2671",
            "+44 20 7946 0958",
            "+44 (0)20 7946 0958",
            "+49 30 901820",
            "+33 1 42 68 53 00",
            "+81 3-3213-1111",
            "+86 138 0013 8000",
            "+55 11 91234-5678",
            "+1.415.555.2671",
            "+800 1234 5678",
        ] {
            check(number, &[(Phone, number)]);
            check(&format!("tel:{number}; or not"), &[(Phone, number)]);
        }
        check("+1 415 555 2671 2024", &[(Phone, "+1 415 555 2671")]);
        check("(+1 415 555 2671)", &[(Phone, "+1 415 555 2671")]);
    }

    #[test]
    fn national_forms_are_found() {
        for number in [
            "212-456-7890",
            "(212) 456-7890",
            "212.456.7890",
            "1-800-356-9377",
            "020 7946 0958",
            "(020) 7946 0958",
            "01 42 68 53 00",
            "030/901820",
            "(11) 91234-5678",
            "0044 20 7946 0958",
            "011 44 20 7946 0958",
            "020 654 1298",
            "0151-20689288",
        ] {
            check(number, &[(Phone, number)]);
        }
    }

    #[test]
    fn words_make_numbers_of_any_form_a_phone_number() {
        for number in [
            "2124567890",
            "442079460958",
            "612 345 678",
            "98765 43210",
            "555-1234",
        ] {
            check(&format!("call {number}."), &[(Phone, number)]);
            check(&format!("see {number}."), &[]);
        }
        check("手机13800138000", &[(Phone, "13800138000")]);
    }

    #[test]
    fn extensions_belong_to_the_number() {
        for number in [
            "+1 415 555 2671 ext. 42",
            "212-456-7890 x123",
            "212-456-7890, extension 9",
            "+14155552671;ext=42",
            "212-456-7890 #12",
        ] {
            check(number, &[(Phone, number)]);
        }
        check("212-456-7890 extra", &[(Phone, "212-456-7890")]);
        check("212-456-7890 x1y", &[(Phone, "212-456-7890")]);
    }

    #[test]
    fn what_is_no_phone_number_is_left() {
        for text in [
            "+999 123 456 789",
            "+1 111 111 1111",
            "2124567890",
            "order 212-456-7890",
            "订单 02672-7093 已",
            "id,phone\n31997053",
            "85675 0686 19968",
            "+999 326 872 8285",
            "Invoice #2124567890",
            "2024-01-15 10:30",
            "call on 2024-01-15",
            "text from 15.01.2024",
            "call 20240115",
            "111-456-7890",
            "212-456-78901",
            "212-456-7890-1",
            "0-306-40615-2",
            "978-3-16-148410-0",
            "a+14155552671",
            "$212.456.7890",
            "(51.507351, -0.127758)",
        ] {
            check(text, &[]);
        }
    }
}
