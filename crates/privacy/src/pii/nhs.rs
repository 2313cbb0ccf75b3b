//! UK NHS numbers: ten digits, the last a check modulo 11.
//!
//! One in eleven of all numbers of ten digits passes the check. So without a
//! word that says NHS only the printed form, 3-3-4, in a range that is issued
//! counts, and only where it is no phone number.

use super::{
    context,
    kind::Kind,
    number::{Groups, joined_right},
    scanner::Match,
    window::Window,
};

/// The number at `at`, where words before it say what it is.
pub(super) fn find_named(window: &Window<'_>, at: usize, groups: &Groups) -> Option<Match> {
    let whole = match (groups.sizes::<3>(), groups.sizes::<1>()) {
        (Some([3, 3, 4]), _) => groups.all().get(2)?,
        (_, Some([10])) => groups.all().first()?,
        _ => return None,
    };
    let valid = passes(groups.digits(10)) && !joined_right(window, whole.end);
    (valid && context::says_nhs(window, at)).then(|| Match::new(Kind::Nhs, at, whole.end))
}

/// The number at `at` by its form alone.
pub(super) fn find_unnamed(window: &Window<'_>, at: usize) -> Option<Match> {
    let groups = Groups::read(window, at)?;
    let [3, 3, 4] = groups.sizes::<3>()? else {
        return None;
    };
    let whole = groups.all().get(2)?;
    let printed = matches!(groups.separator(3)?, b' ' | b'-');
    let digits = groups.digits(10);
    // England, Wales and the Isle of Man.
    let issued = matches!(digits.first()?, 4 | 6 | 7);
    let valid = printed && issued && passes(digits) && !joined_right(window, whole.end);
    let other = context::vote(window, at) == context::Vote::Other;
    (valid && !other).then(|| Match::new(Kind::Nhs, at, whole.end))
}

/// The check of the NHS Data Dictionary: weights 10 to 2, modulo 11.
fn passes(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else {
        return false;
    };
    let weighted = rest.iter().zip((2..=10).rev());
    let sum: u32 = weighted.map(|(d, weight)| u32::from(*d) * weight).sum();
    // Eleven stands for zero, and ten for a number that is not issued.
    let expected = match 11 - sum % 11 {
        11 => 0,
        other => other,
    };
    u32::from(*check) == expected
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Nhs, tests::check};

    #[test]
    fn numbers_are_found_where_words_or_form_say_so() {
        check("NHS number 9434765919", &[(Nhs, "9434765919")]);
        check("NHS: 943 476 5919", &[(Nhs, "943 476 5919")]);
        check("seen today: 401 023 2137", &[(Nhs, "401 023 2137")]);
    }

    #[test]
    fn bad_checks_and_bare_digits_are_left() {
        check("NHS number 9434765918", &[]);
        check("NHS: 943 476 5910", &[]);
        check("9434765919", &[]);
        check("NHS: 943 476 5919-1", &[]);
    }
}
