//! Numbers with a check, made here by their standards.

use super::chance::Chance;

/// First digits and length of cards, as the networks' test numbers show them.
const CARDS: &[(&str, usize)] = &[
    ("4", 16),
    ("4", 16),
    ("4", 16),
    ("4", 13),
    ("4", 19),
    ("51", 16),
    ("52", 16),
    ("53", 16),
    ("54", 16),
    ("55", 16),
    ("2221", 16),
    ("2345", 16),
    ("2720", 16),
    ("34", 15),
    ("37", 15),
    ("37", 15),
    ("300", 14),
    ("305", 14),
    ("36", 14),
    ("38", 14),
    ("3528", 16),
    ("3589", 16),
    ("2131", 15),
    ("1800", 15),
    ("6011", 16),
    ("644", 16),
    ("65", 16),
    ("62", 16),
    ("62", 19),
    ("5018", 12),
    ("5020", 16),
    ("6304", 16),
    ("6759", 19),
    ("6763", 13),
    ("2200", 16),
    ("508", 16),
];

/// A card number without separators.
pub(super) fn card_digits(chance: &mut Chance) -> String {
    let (first, size) = chance.pick(CARDS);
    let rest = chance.repeat("#", size - 1 - first.len());
    with_luhn(&format!("{first}{rest}"))
}

/// A card number, printed in one of the usual forms.
pub(super) fn card(chance: &mut Chance) -> String {
    let digits = card_digits(chance);
    let separator = chance.pick(&["", "", " ", " ", "-"]);
    match digits.len() {
        15 => grouped(&digits, &[4, 6, 5], separator),
        14 => grouped(&digits, &[4, 6, 4], separator),
        13 | 12 => digits,
        _ => grouped(&digits, &[4, 4, 4, 4, 4], separator),
    }
}

/// `body` and the digit that makes the weighted sum a multiple of ten.
pub(super) fn with_luhn(body: &str) -> String {
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0');
            let doubled = digit * 2;
            match at % 2 {
                0 => doubled / 10 + doubled % 10,
                _ => digit,
            }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// `digits` in groups of these sizes, as far as they reach.
pub(super) fn grouped(digits: &str, sizes: &[usize], separator: &str) -> String {
    let mut rest = digits;
    let mut groups = Vec::new();
    for size in sizes {
        let (group, behind) = rest.split_at(rest.len().min(*size));
        groups.push(group);
        rest = behind;
    }
    groups.push(rest);
    groups.retain(|group| !group.is_empty());
    groups.join(separator)
}

/// Country and form of account numbers, from the registry of SWIFT.
const IBANS: &[(&str, &str)] = &[
    ("DE", "##################"),
    ("DE", "##################"),
    ("GB", "^^^^##############"),
    ("GB", "^^^^##############"),
    ("FR", "####################0##"),
    ("ES", "####################"),
    ("IT", "^######################"),
    ("NL", "^^^^##########"),
    ("BE", "############"),
    ("CH", "#################"),
    ("AT", "################"),
    ("PL", "########################"),
    ("SE", "####################"),
    ("NO", "###########"),
    ("DK", "##############"),
    ("FI", "##############"),
    ("PT", "#####################"),
    ("IE", "^^^^##############"),
    ("CZ", "####################"),
    ("GR", "#######################"),
    ("SA", "####################"),
    ("AE", "###################"),
    ("MT", "^^^^#####^^^###########^^^^"),
    ("BR", "#######################^#"),
    ("LU", "#############^^^"),
    ("HU", "########################"),
];

/// An account number without separators.
pub(super) fn iban_compact(chance: &mut Chance) -> String {
    let (country, form) = chance.pick(IBANS);
    let account = chance.fill(form);
    let check = 98 - remainder_97(&format!("{account}{country}00"));
    format!("{country}{check:02}{account}")
}

/// An account number, printed with or without spaces.
pub(super) fn iban(chance: &mut Chance) -> String {
    let compact = iban_compact(chance);
    let separator = chance.pick(&["", " ", " "]);
    match chance.below(12) {
        0 => compact.to_ascii_lowercase(),
        _ => grouped(&compact, &[4; 8], separator),
    }
}

/// The remainder modulo 97 of `text`, letters counted from ten on.
fn remainder_97(text: &str) -> u32 {
    text.chars().fold(0, |sum, c| {
        let value = c.to_digit(36).unwrap_or_default();
        (sum * if value < 10 { 10 } else { 100 } + value) % 97
    })
}

/// The digits of a Social Security number that may have been issued, in three parts.
fn ssn_parts(chance: &mut Chance) -> (u64, u64, u64) {
    let area = match chance.between(1, 898) {
        666 => 665,
        area => area,
    };
    (area, chance.between(1, 99), chance.between(1, 9_999))
}

/// A Social Security number as it is printed.
pub(super) fn ssn(chance: &mut Chance) -> String {
    let (area, group, serial) = ssn_parts(chance);
    let separator = chance.pick(&["-", "-", "-", "-", " "]);
    format!("{area:03}{separator}{group:02}{separator}{serial:04}")
}

/// A Social Security number without separators.
pub(super) fn ssn_bare(chance: &mut Chance) -> String {
    let (area, group, serial) = ssn_parts(chance);
    format!("{area:03}{group:02}{serial:04}")
}

/// The ten digits of an NHS number, in a range that is issued.
pub(super) fn nhs_bare(chance: &mut Chance) -> String {
    loop {
        let body = chance.pick(&["4", "6", "7"]).to_owned() + &chance.repeat("#", 8);
        let weights = (2..=10).rev();
        let products = body
            .bytes()
            .zip(weights)
            .map(|(d, w)| u32::from(d - b'0') * w);
        let check = (11 - products.sum::<u32>() % 11) % 11;
        if check < 10 {
            return format!("{body}{check}");
        }
    }
}

/// An NHS number as it is printed.
pub(super) fn nhs(chance: &mut Chance) -> String {
    grouped(&nhs_bare(chance), &[3, 3, 4], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_those_of_published_numbers() {
        assert_eq!(with_luhn("411111111111111"), "4111111111111111");
        assert_eq!(with_luhn("37828224631000"), "378282246310005");
        assert_eq!(98 - remainder_97("NWBK60161331926819GB00"), 29);
        assert_eq!(98 - remainder_97("370400440532013000DE00"), 89);
        assert_eq!(
            grouped("378282246310005", &[4, 6, 5], " "),
            "3782 822463 10005"
        );
    }
}
