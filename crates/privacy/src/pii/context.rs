//! What the words before a number say that it is.
//!
//! Some numbers are personal data or not depending on nothing but the words
//! around them. Only words before the number count, the nearest first, and
//! only within [`LOOK_BACK_BYTES`](super::window::LOOK_BACK_BYTES).

use super::window::Window;

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

const PHONE: &[&str] = &[
    "phone",
    "phones",
    "telephone",
    "tel",
    "mobile",
    "mob",
    "cell",
    "cellphone",
    "fax",
    "call",
    "called",
    "calling",
    "callback",
    "dial",
    "ring",
    "text",
    "sms",
    "whatsapp",
    "signal",
    "viber",
    "telegram",
    "contact",
    "reach",
    "reached",
    "hotline",
    "helpline",
    "landline",
    "handset",
    "ph",
    "msisdn",
    "phone_number",
    "phonenumber",
    "mobile_number",
    // German, French, Spanish, Italian, Portuguese, Dutch, Polish, Nordic, Turkish, Indonesian.
    "telefon",
    "telefonnummer",
    "handy",
    "handynummer",
    "mobil",
    "mobiltelefon",
    "rufnummer",
    "anrufen",
    "rückruf",
    "téléphone",
    "portable",
    "appeler",
    "appelez",
    "teléfono",
    "telefono",
    "móvil",
    "movil",
    "celular",
    "llamar",
    "llame",
    "cellulare",
    "chiamare",
    "telefone",
    "telemóvel",
    "ligar",
    "ligue",
    "telefoon",
    "telefoonnummer",
    "mobiel",
    "bellen",
    "komórka",
    "puhelin",
    "puh",
    "telefono",
    "mobilnummer",
    "tlf",
    "tfn",
    "gsm",
    "telepon",
    "cep",
    // Russian, Ukrainian, Greek, Arabic, Hebrew, Hindi.
    "телефон",
    "телефона",
    "тел",
    "моб",
    "звоните",
    "τηλέφωνο",
    "τηλ",
    "هاتف",
    "جوال",
    "טלפון",
    "फ़ोन",
    "फोन",
    "मोबाइल",
];

/// Written without spaces between words.
const PHONE_WITHIN: &[&str] = &[
    "电话",
    "手机",
    "電話",
    "手機",
    "携帯",
    "전화",
    "휴대폰",
    "☎",
    "📞",
    "📱",
];

const OTHER: &[&str] = &[
    "order",
    "orders",
    "invoice",
    "ticket",
    "id",
    "ids",
    "ref",
    "reference",
    "account",
    "acct",
    "case",
    "tracking",
    "track",
    "serial",
    "sku",
    "isbn",
    "issn",
    "part",
    "item",
    "model",
    "batch",
    "lot",
    "po",
    "version",
    "ver",
    "code",
    "pin",
    "otp",
    "zip",
    "policy",
    "claim",
    "booking",
    "confirmation",
    "transaction",
    "txn",
    "payment",
    "build",
    "revision",
    "rev",
    "imei",
    "ean",
    "upc",
    "gtin",
    "date",
    "dated",
    "time",
    "timestamp",
    "amount",
    "total",
    "price",
    "usd",
    "eur",
    "gbp",
    "article",
    "asin",
    "doi",
    "pmid",
    "case_id",
    "order_id",
    "user_id",
    "uid",
    "pid",
    "hash",
    "checksum",
    "sum",
    "bytes",
    "size",
    "offset",
    "line",
    "row",
    "port",
    "parcel",
    "shipment",
    "nhs",
    "customer",
    "member",
    "employee",
    "licence",
    "license",
    "registration",
    "vat",
    "tax",
    "duns",
    "bestellung",
    "rechnung",
    "commande",
    "facture",
    "pedido",
    "factura",
    "ordine",
    "fattura",
];

/// What the words before `at` say of a number there.
pub(super) fn vote(window: &Window<'_>, at: usize) -> Vote {
    for word in words(window, at).take(WORDS_MAX) {
        let one_of = |list: &[&str]| list.iter().any(|other| same(word, other));
        if one_of(PHONE) || within(word, PHONE_WITHIN) {
            return Vote::Phone;
        }
        if one_of(OTHER) {
            return Vote::Other;
        }
    }
    if within(window.context(at), PHONE_WITHIN) {
        return Vote::Phone;
    }
    Vote::Nothing
}

/// Whether the words before `at` speak of a Social Security number.
pub(super) fn says_ssn(window: &Window<'_>, at: usize) -> bool {
    let mut words = words(window, at).take(WORDS_MAX + 1).peekable();
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
    words(window, at).take(WORDS_MAX).any(|word| {
        ["nhs", "nhs_number", "nhsnumber", "nhs_no"]
            .iter()
            .any(|name| same(word, name))
    })
}

const VERSION: &[&str] = &[
    "v",
    "ver",
    "version",
    "versions",
    "release",
    "releases",
    "build",
    "firmware",
    "revision",
    "rev",
    "upgrade",
    "upgraded",
    "update",
    "updated",
    "downgraded",
    "oid",
    "section",
    "sections",
    "sec",
    "chapter",
    "clause",
    "paragraph",
    "figure",
    "appendix",
    "chrome",
    "chromium",
    "firefox",
    "safari",
    "edge",
    "opera",
    "driver",
    "plugin",
    "sdk",
    "schema",
];

/// How many words before a dotted number are asked whether it is a version.
const VERSION_WORDS_MAX: usize = 2;

/// Whether the words right before `at` make a dotted number there a version or section.
pub(super) fn says_version(window: &Window<'_>, at: usize) -> bool {
    words(window, at)
        .take(VERSION_WORDS_MAX)
        .any(|word| VERSION.iter().any(|name| same(word, name)))
}

/// The words of the context before `at`, the nearest first.
fn words<'a>(window: &Window<'a>, at: usize) -> impl Iterator<Item = &'a str> {
    let split = |c: char| !(c.is_alphanumeric() || c == '_');
    let words = window.context(at).rsplit(split);
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
        assert_eq!(voted("my number is "), Vote::Nothing);
        assert_eq!(voted("call one two three four five "), Vote::Nothing);
    }

    #[test]
    fn versions_are_named_right_before() {
        let says = |text: &str| says_version(&Window::whole(text), text.len());
        assert!(says("version "));
        assert!(says("Version is: "));
        assert!(says("upgraded to "));
        assert!(!says("version of the host at "));
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
