//! Payment card numbers: the issuer's range, its lengths, and Luhn (ISO/IEC 7812-1).

use super::{
    kind::Kind,
    number::{Groups, joined_right},
    scanner::Match,
    window::Window,
};

/// Numbers whose first digits lie between two bounds, and how long they are.
struct Range {
    first: u32,
    last: u32,
    lengths: &'static [usize],
}

const fn range(first: u32, last: u32, lengths: &'static [usize]) -> Range {
    Range {
        first,
        last,
        lengths,
    }
}

const LONG: &[usize] = &[16, 17, 18, 19];
const MAESTRO: &[usize] = &[12, 13, 14, 15, 16, 17, 18, 19];
const DINERS: &[usize] = &[14, 15, 16, 17, 18, 19];

/// Ranges of first digits (IIN), as the networks publish them.
///
/// Not among them is UATP (all of 1): one in ten of all numbers of 15 digits
/// that begin with 1 would be a card.
const RANGES: &[Range] = &[
    // American Express.
    range(34, 34, &[15]),
    range(37, 37, &[15]),
    // Diners Club International.
    range(300, 305, DINERS),
    range(3095, 3095, DINERS),
    range(36, 36, DINERS),
    range(38, 39, DINERS),
    // JCB, and its ranges of 15 digits.
    range(3528, 3589, LONG),
    range(2131, 2131, &[15]),
    range(1800, 1800, &[15]),
    // Visa.
    range(4, 4, &[13, 16, 19]),
    // Mastercard, and its 2-series.
    range(51, 55, &[16]),
    range(2221, 2720, &[16]),
    // Mir, BORICA.
    range(2200, 2205, LONG),
    // Discover.
    range(6011, 6011, LONG),
    range(644, 649, LONG),
    range(65, 65, LONG),
    // UnionPay, RuPay.
    range(60, 60, &[16]),
    range(62, 62, LONG),
    range(81, 82, LONG),
    range(508, 508, &[16]),
    // Maestro.
    range(5018, 5018, MAESTRO),
    range(5020, 5020, MAESTRO),
    range(5038, 5038, MAESTRO),
    range(56, 58, MAESTRO),
    range(6304, 6304, MAESTRO),
    range(6390, 6390, MAESTRO),
    range(67, 67, MAESTRO),
    // Dankort, InterPayment, Verve, Troy, Humo, Uzcard.
    range(5019, 5019, &[16]),
    range(636, 636, LONG),
    range(506_099, 506_198, &[16, 18, 19]),
    range(9792, 9792, &[16]),
    range(9860, 9860, &[16]),
    range(8600, 8600, &[16]),
];

/// The card number that `groups`, read from `at`, begin with: the longest one.
pub(super) fn find(window: &Window<'_>, at: usize, groups: &Groups) -> Option<Match> {
    let whole = groups.all().iter().rev().find(|group| {
        let digits = groups.digits(group.total);
        let grouped = group.total == group.size || is_grouped(groups);
        grouped && is_card(digits) && !joined_right(window, group.end)
    })?;
    (!is_inside(window, at)).then(|| Match::new(Kind::Card, at, whole.end))
}

/// Whether groups of four before it make it the middle of a parcel's or an account's number.
///
/// One group alone does not: that may be a year, or a code.
fn is_inside(window: &Window<'_>, at: usize) -> bool {
    let Some(context) = window.context(at).strip_suffix(' ') else {
        return false;
    };
    let mut fours = context
        .rsplit(' ')
        .take_while(|word| word.len() == 4 && word.bytes().all(|b| b.is_ascii_alphanumeric()));
    let is_account = |word: &str| {
        let (country, check) = word.split_at(2);
        let letters = country.bytes().all(|b| b.is_ascii_alphabetic());
        letters && check.bytes().all(|b| b.is_ascii_digit())
    };
    let is_number = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
    let mut numbers = 0;
    fours.any(|word| {
        numbers += usize::from(is_number(word));
        numbers > 1 || is_account(word)
    })
}

/// Printed numbers begin with four digits, or with six before the rest.
fn is_grouped(groups: &Groups) -> bool {
    let first = groups.all().first().map(|group| group.size);
    matches!(first, Some(4 | 6))
}

fn is_card(digits: &[u8]) -> bool {
    has_issuer(digits) && luhn(digits)
}

fn has_issuer(digits: &[u8]) -> bool {
    if !(12..=19).contains(&digits.len()) {
        return false;
    }
    RANGES.iter().any(|range| {
        let first = digits.iter().take(width(range.first));
        let first = first.fold(0, |number, digit| number * 10 + u32::from(*digit));
        (range.first..=range.last).contains(&first) && range.lengths.contains(&digits.len())
    })
}

/// How many decimal digits it has.
fn width(number: u32) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// The check of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Card, tests::check};

    #[test]
    fn cards_of_every_network_are_found() {
        for number in [
            "4111111111111111",
            "4222222222222",
            "5555555555554444",
            "2223003122003222",
            "2720990000000007",
            "378282246310005",
            "30569309025904",
            "6011000990139424",
            "3530111333300000",
            "213100000000001",
            "180000000000002",
            "6200000000000005",
            "6759649826438453",
            "2200123456789019",
        ] {
            check(number, &[(Card, number)]);
            check(&format!("card {number}."), &[(Card, number)]);
        }
    }

    #[test]
    fn cards_of_12_and_19_digits_are_found() {
        for number in ["501800000009", "6304000000000000000"] {
            check(number, &[(Card, number)]);
        }
    }

    #[test]
    fn cards_are_found_as_they_are_printed() {
        for number in [
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111.1111.1111.1111",
            "3782 822463 10005",
            "3056 930902 5904",
        ] {
            check(&format!("paid with {number}, thanks"), &[(Card, number)]);
        }
        check(
            "4111 1111 1111 1111 5555 5555 5555 4444",
            &[(Card, "4111 1111 1111 1111"), (Card, "5555 5555 5555 4444")],
        );
        let text = "in 2026 4111 1111 1111 1111 04 29";
        check(text, &[(Card, "4111 1111 1111 1111")]);
        check("4111111111111111|12|25", &[(Card, "4111111111111111")]);
    }

    #[test]
    fn what_is_no_card_is_left() {
        for text in [
            "4111111111111112",
            "4111111111111116",
            "411111111111111",
            "1234567812345670",
            "9111111111111111",
            "54111111111111111",
            "41111111111111111234",
            "a4111111111111111",
            "4111111111111111a",
            "1-4111111111111111",
            "0.4111111111111111",
            "41 11 11 11 11 11 11 11",
            "1763737200000",
            "20261121103000",
            "9400 1470 3677 7777 5206 94",
            "DE61 6045 2720 8554 8963 86",
            "GB77 UDOC 6768 1851 8923 53",
        ] {
            check(text, &[]);
        }
    }
}
