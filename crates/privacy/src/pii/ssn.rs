//! US Social Security numbers: area, group and serial as they are issued.
//!
//! Nine digits without separators are one only behind words that say so.

use super::{
    context,
    kind::Kind,
    number::{Groups, joined_right},
    scanner::Match,
    window::Window,
};

/// The number that `groups`, read from `at`, begin with.
pub(super) fn find(window: &Window<'_>, at: usize, groups: &Groups) -> Option<Match> {
    let whole = match (groups.sizes::<3>(), groups.sizes::<1>()) {
        (Some([3, 2, 4]), _) => {
            let separator = groups.separator(3)?;
            if separator == b'.' && !context::says_ssn(window, at) {
                return None;
            }
            groups.all().get(2)?
        }
        (_, Some([9])) if context::says_ssn(window, at) => groups.all().first()?,
        _ => return None,
    };
    let issued = is_issued(groups.digits(9)) && !joined_right(window, whole.end);
    issued.then(|| Match::new(Kind::Ssn, at, whole.end))
}

/// Whether the Social Security Administration could have issued it (POMS RM 10201.035).
fn is_issued(digits: &[u8]) -> bool {
    let number = |digits: &[u8]| digits.iter().fold(0, |n, d| n * 10 + u32::from(*d));
    let (Some(area), Some(group), Some(serial)) =
        (digits.get(..3), digits.get(3..5), digits.get(5..9))
    else {
        return false;
    };
    let area = number(area);
    area != 0 && area != 666 && area < 900 && number(group) != 0 && number(serial) != 0
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Ssn, tests::check};

    #[test]
    fn numbers_with_separators_are_found() {
        for number in ["536-90-4399", "536 90 4399", "001-01-0001", "899-99-9999"] {
            check(&format!("it is {number}."), &[(Ssn, number)]);
        }
    }

    #[test]
    fn nine_digits_are_one_where_words_say_so() {
        check("SSN: 536904399", &[(Ssn, "536904399")]);
        check("social security number is 536904399", &[(Ssn, "536904399")]);
        check("ssn 536.90.4399", &[(Ssn, "536.90.4399")]);
        check("536904399", &[]);
        check("536.90.4399", &[]);
        check("order 536904399", &[]);
    }

    #[test]
    fn numbers_that_are_never_issued_are_left() {
        for number in [
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "987-65-4321",
            "536-00-4399",
            "536-90-0000",
        ] {
            check(number, &[]);
        }
    }

    #[test]
    fn longer_numbers_and_other_groups_are_left() {
        for text in [
            "1536-90-4399",
            "536-90-43991",
            "536-90-4399-1",
            "1-536-90-4399",
            "536-90 4399",
            "53-690-4399",
            "A536-90-4399",
        ] {
            check(text, &[]);
        }
    }
}
