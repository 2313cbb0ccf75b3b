//! Bank account numbers of ISO 13616: length and form of the country, and modulo 97.
//!
//! The registry of countries is that of the `iban_validate` crate.

use ::iban::Iban;

use super::{kind::Kind, number::joined_left, scanner::Match, window::Window};

/// Shortest and longest number, in characters (Norway; the standard's limit).
const SIZE_MIN: usize = 15;
const SIZE_MAX: usize = 34;

/// The number that begins at `at`, compact or in groups with spaces or dashes.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    let country = window.run(at, 2, |b| b.is_ascii_alphabetic());
    let check = window.run(at + 2, 2, |b| b.is_ascii_digit());
    if country < 2 || check < 2 || joined_left(window, at) {
        return None;
    }
    let mut number = String::with_capacity(SIZE_MAX);
    let mut from = at;
    while number.len() < SIZE_MAX {
        let most = SIZE_MAX - number.len();
        let size = window.run(from, most + 1, |b| b.is_ascii_alphanumeric());
        if size == 0 || size > most {
            return None;
        }
        let end = from + size;
        number.push_str(window.slice(from, end));
        number.make_ascii_uppercase();
        if number.len() >= SIZE_MIN && number.parse::<Iban>().is_ok() {
            return Some(Match::new(Kind::Iban, at, end));
        }
        from = end + separator(window, end)?;
    }
    None
}

/// How long what separates two groups at `at` is; `None` when nothing does.
fn separator(window: &Window<'_>, at: usize) -> Option<usize> {
    match window.at(at)? {
        b' ' | b'-' => Some(1),
        // A space that does not break.
        0xC2 if window.at(at + 1)? == 0xA0 => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Iban, tests::check};

    #[test]
    fn numbers_of_many_countries_are_found() {
        for number in [
            "DE89370400440532013000",
            "GB29NWBK60161331926819",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "SA0380000000608010167519",
            "BR1800360305000010009795493C1",
            "NL91ABNA0417164300",
        ] {
            check(number, &[(Iban, number)]);
            check(&format!("IBAN: {number}, BIC"), &[(Iban, number)]);
            let spaced = number
                .as_bytes()
                .chunks(4)
                .map(|c| str::from_utf8(c).unwrap());
            let spaced = spaced.collect::<Vec<_>>().join(" ");
            check(&format!("to {spaced} please"), &[(Iban, &spaced)]);
            let lower = number.to_ascii_lowercase();
            check(&lower, &[(Iban, &lower)]);
        }
    }

    #[test]
    fn bad_checks_lengths_and_countries_are_left() {
        for text in [
            "DE89370400440532013001",
            "DE8937040044053201300",
            "DE893704004405320130000",
            "ZZ89370400440532013000",
            "xDE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 18",
            "AB12",
        ] {
            check(text, &[]);
        }
    }
}
