//! What looks like personal data and is none.

use super::{
    chance::Chance,
    numbers::{card_digits, grouped, iban_compact, nhs_bare, with_luhn},
};

/// The digits of `number`, one of them changed; none of the checks allows that.
fn with_wrong_digit(chance: &mut Chance, number: &str) -> String {
    let last = number.chars().next_back().and_then(|c| c.to_digit(10));
    let wrong = (u64::from(last.unwrap_or_default()) + chance.between(1, 9)) % 10;
    let kept = number.len().saturating_sub(1);
    format!("{}{wrong}", number.get(..kept).unwrap_or_default())
}

/// A card number that fails its check.
pub(super) fn bad_card(chance: &mut Chance) -> String {
    let digits = card_digits(chance);
    let wrong = with_wrong_digit(chance, &digits);
    let separator = chance.pick(&["", " ", "-"]);
    match wrong.len() {
        16 | 19 => grouped(&wrong, &[4; 4], separator),
        _ => wrong,
    }
}

/// A number that passes a card's check and belongs to no issuer.
pub(super) fn no_issuer(chance: &mut Chance) -> String {
    let body = chance.pick(&["9", "7", "0", "1"]).to_owned() + &chance.repeat("#", 14);
    with_luhn(&body)
}

/// A device's number, which passes the same check as a card's.
pub(super) fn imei(chance: &mut Chance) -> String {
    let body = chance.pick(&["35", "86", "01"]).to_owned() + &chance.repeat("#", 12);
    with_luhn(&body)
}

/// An account number that fails its check.
pub(super) fn bad_iban(chance: &mut Chance) -> String {
    let compact = iban_compact(chance);
    let country = compact.get(..2).unwrap_or_default();
    let check: u64 = compact
        .get(2..4)
        .and_then(|c| c.parse().ok())
        .unwrap_or_default();
    let wrong = (check + chance.between(1, 95)) % 97;
    let rest = compact.get(4..).unwrap_or_default();
    let whole = format!("{country}{wrong:02}{rest}");
    let separator = chance.pick(&["", " "]);
    grouped(&whole, &[4; 8], separator)
}

/// Three, two and four digits that were never issued.
pub(super) fn bad_ssn(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "000-##-####",
        "666-##-####",
        "9##-##-####",
        "###-00-####",
        "###-##-0000",
    ]);
    chance.fill(form)
}

/// Ten digits that fail the check of NHS numbers.
pub(super) fn bad_nhs(chance: &mut Chance) -> String {
    let right = nhs_bare(chance);
    with_wrong_digit(chance, &right)
}

pub(super) fn uuid(chance: &mut Chance) -> String {
    chance.fill("%%%%%%%%-%%%%-4%%%-a%%%-%%%%%%%%%%%%")
}

/// A hash or an id in hexadecimal digits.
pub(super) fn hex(chance: &mut Chance) -> String {
    let size = chance.pick(&[7, 8, 12, 16, 24, 32, 40, 64]);
    chance.repeat("%", size)
}

/// The number of an order, a parcel, an invoice.
pub(super) fn order(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "########",
        "##########",
        "112-#######-#######",
        "ORD-2026-######",
        "#-####-####-#",
        "SO#######",
        "1Z999AA101########",
        "9400 1### #### #### #### ##",
        "INV/2026/####",
        "#####-####",
        "INC0######",
        "###-###-####",
    ]);
    chance.fill(form)
}

/// Four numbers of a version.
pub(super) fn version(chance: &mut Chance) -> String {
    let [major, minor, patch, build] = [30, 20, 40, 250].map(|most| chance.below(most));
    match chance.below(3) {
        0 => format!("{major}.{minor}.{patch}"),
        1 => format!("{major}.{minor}.{patch}-rc.{}", build % 9),
        _ => format!("{major}.{minor}.{patch}.{build}"),
    }
}

/// A date or a moment.
pub(super) fn date(chance: &mut Chance) -> String {
    let (year, month, day) = (
        chance.between(1990, 2030),
        chance.between(1, 12),
        chance.between(1, 28),
    );
    let (hour, minute, second) = (chance.below(24), chance.below(60), chance.below(60));
    match chance.below(7) {
        0 => format!("{year}-{month:02}-{day:02}"),
        1 => format!("{day:02}.{month:02}.{year}"),
        2 => format!("{month:02}/{day:02}/{year}"),
        3 => format!("{year}{month:02}{day:02}"),
        4 => format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.123Z"),
        5 => format!("{year}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}"),
        _ => format!("{day:02}-{month:02}-{year} {hour:02}:{minute:02}"),
    }
}

/// Seconds, milliseconds or nanoseconds since 1970, or the id of a message.
pub(super) fn stamp(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "17########",
        "17###########",
        "17#################",
        "1#################",
    ]);
    chance.fill(form)
}

pub(super) fn price(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "$#,###.##",
        "€ ##.###,##",
        "1# ### 500 kr",
        "£#.##",
        "USD 4111.##",
        "#,###,###,###",
        "12 000 000 EUR",
    ]);
    chance.fill(form)
}

/// A number that is written like a telephone's, and that nobody has.
pub(super) fn no_phone(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "+999 ### ### ####",
        "+1 011 ### ####",
        "1##-###-####",
        "###-####-###-####",
        "12-34-56-##",
        "555.####.####.#",
        "978-0-#####-###-#",
        "0-306-40615-#",
        "##:##:##.###",
        "(##.######, -###.######)",
        "##/##/##/##",
    ]);
    chance.fill(form)
}

/// What has the form of an address on the net.
pub(super) fn no_ip(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "3##.1.2.3",
        "1.2.3.4.5",
        "1.3.6.1.4.1.311.#",
        "std::vec::Vec",
        "a::b::c::d",
        "12:34:56",
        "01.02.03.04",
        "10.0.19041.####",
        "120.0.6099.2##",
        "1.2.3",
        "::",
        "data[1::2]",
        "::before",
        "Foo::bar()",
        "16:9",
    ]);
    chance.fill(form)
}

/// What has the sign of an address of a mailbox.
pub(super) fn no_email(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "@ada_lovelace",
        "root@localhost",
        "lodash@4.17.##",
        "@types/node@20.1.#",
        "icon@2x.png",
        "@app.route(\"/x\")",
        "a @ b.com",
        "user@host",
        "image@sha256:%%%%%%%%%%%%",
        "$@ and $#",
        "java.lang.Object@1b2c3d4",
        "git@github.com:acme/tools.git",
        "ada@example",
        "@media (max-width: 600px)",
        "1@2",
        "foo@bar.1",
    ]);
    chance.fill(form)
}

/// What begins like a secret.
pub(super) fn no_secret(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "eyJmb28iOiJiYXIifQ",
        "eyJmb28iOiJiYXIifQ.eyJhIjoxfQ.%%%%%%%%",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "sk-feature-branch-name-that-is-long",
        "ghp_short",
        "AKIA-1234",
        "hf_model_name",
        "pk_live_is_public",
        "https://example.com:8080/a@b",
        "https://user@host/",
        "0x%%%%%%%%",
        "0x%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "glpat-short",
    ]);
    chance.fill(form)
}

/// Fingerprints and the like.
pub(super) fn no_mac(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "%%:%%:%%:%%:%%",
        "%%:%%:%%:%%:%%:%%:%%",
        "%%:%%:%%:%%:%%:%%:%%:%%:%%:%%:%%:%%:%%:%%:%%:%%",
        "00:11:22:33:44:5g",
        "20-26-11-21-10-30",
    ]);
    chance.fill(form)
}

/// Digits of any number that nothing has.
pub(super) fn digits(chance: &mut Chance) -> String {
    let size = chance.pick(&[4, 5, 6, 8, 9, 20, 24, 40]);
    chance.repeat("#", size)
}

/// A card's number within a longer word.
pub(super) fn glued(chance: &mut Chance) -> String {
    let digits = card_digits(chance);
    let form = chance.pick(&["x~", "id_~", "~~~0", "0."]);
    format!("{}{digits}", chance.fill(form))
}
