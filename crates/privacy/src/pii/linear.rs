//! Tests of linear time: bytes that recognisers read, per byte of text.

use super::{
    Stripper,
    scanner::{Event, Scanner},
    window::{LOOK_BACK_BYTES, Window},
};

/// Reads per byte that no text may need; twice what the worst of these needs.
const READS_PER_BYTE_MAX: usize = 320;
/// The same for a stream, which looks at some places again when more of them is known.
const STREAM_READS_PER_BYTE_MAX: usize = 640;
/// Long enough that work by the square of the text would be far beyond the bound.
const BYTES: usize = 1 << 13;
const LONG_BYTES: usize = 1 << 20;
/// Longer than what a stream holds back at most.
const FED_BYTES: usize = 3 << 10;
const SHORT_BYTES: usize = 1 << 10;
const PAIR_BYTES: usize = 160;
/// Most memory of a stream, in bytes: what is held back, its context, and room to grow.
const STREAM_BYTES_MAX: usize = 2 * (super::HOLD_BACK_BYTES_MAX + LOOK_BACK_BYTES);

/// How many reads a scan of the whole text takes.
fn reads(text: &str) -> usize {
    let mut window = Window::whole(text);
    let mut scanner = Scanner::default();
    while let Some(Event::Opened { .. } | Event::Closed { .. }) = scanner.next(&mut window) {}
    window.work.get()
}

fn check(text: &str) {
    let per_byte = reads(text) / text.len().max(1);
    let unit = text.get(..40).unwrap_or(text);
    assert!(
        per_byte <= READS_PER_BYTE_MAX,
        "{unit:?}: {per_byte} per byte"
    );
}

/// Texts that begin again and again what they do not end.
const UNITS: &[&str] = &[
    "1",
    "1 ",
    "12 ",
    "123-",
    "1234 ",
    "1.",
    "1.1.1.1.",
    "255.",
    "1:",
    "a:",
    "::",
    ":",
    "ab:cd:",
    "00:11:22:33:44:",
    "00-1A-",
    "a@",
    "a.b@",
    "a",
    "a.",
    "a-",
    "a_",
    "_",
    "a=",
    "a+b=",
    "@",
    "é",
    "電",
    "電a",
    "é@",
    "\"",
    "\"a",
    "\"a@",
    "eyJ",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJhbGciOiJIUzI1NiJ9.",
    "e",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END ",
    "-",
    "http://",
    "http://a:b",
    "http://a:b@",
    "h+",
    "DE89",
    "DE89 ",
    "DE89 3704 ",
    "de89-",
    "bc1",
    "bc1q ",
    "1A1zP1eP5QGe ",
    "0x",
    "0x5aaeb6053f",
    "0 ",
    "+",
    "+1",
    "+1 ",
    "+1(",
    "+1 (0)",
    "(",
    "(212) ",
    "212-",
    "020 79 ",
    "00 44 ",
    "call 12 ",
    "call 1",
    "x1",
    "ghp_",
    "sk-",
    "sk-a ",
    "xoxb-",
    "AKIA",
    "key-0123 ",
    "aws_secret_access_key=",
    "aws_secret_access_key ",
    "123456789:AA",
    "123-45-",
    "123 45 ",
    "ssn 1 ",
    "4111 ",
    "4111-1111-",
    "411111111111111 ",
    "v1.2.3.",
    "fe80::1%",
    "[::",
    "<1 ",
    ">",
    "192.0.2.1-",
    "a@b.",
    "a@b-",
    "a@[1.1.",
    "a@[IPv6:",
    "\"a\"@b",
];

/// One of each kind and form, as long as such things usually are.
const WHOLE: &[&str] = &[
    "ada.lovelace+tag@mail.example.co.uk",
    "\"john doe\"@[IPv6:2001:db8::1]",
    "+44 (0)20 7946 0958 ext. 12",
    "call (212) 456-7890 x123",
    "4111 1111 1111 1111",
    "3782 822463 10005",
    "GB29 NWBK 6016 1331 9268 19",
    "ssn 536-90-4399",
    "nhs 943 476 5919",
    "192.0.2.101",
    "2001:db8:1:2:3:4:192.0.2.128%eth0",
    "00:11:22:ff:fe:33:44:55",
    "https://ada:s3cret@example.com/x",
    "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln",
    "-----BEGIN PRIVATE KEY-----MIIE-----END PRIVATE KEY-----",
    "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG+bPxRfiCYzzzzzzzKEY",
    "sk-proj-aB3dE5gH7jK9mN1pQ2sT4vW6xY8zaB3dE5gH7jK9",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
];

fn repeated(unit: &str, bytes: usize) -> String {
    unit.repeat(bytes / unit.len())
}

#[test]
fn work_grows_with_the_text_alone() {
    for unit in UNITS {
        check(&repeated(unit, BYTES));
    }
}

#[test]
fn a_mebibyte_of_digits_or_signs_is_no_trouble() {
    for unit in ["1", "4111", "a@", "-"] {
        check(&repeated(unit, LONG_BYTES));
    }
}

/// Every beginning of every kind, over and over, with and without a space.
#[test]
fn near_matches_of_every_kind_stay_linear() {
    for whole in WHOLE {
        for end in 1..=whole.len() {
            check(&repeated(&whole[..end], SHORT_BYTES));
            check(&repeated(&format!("{} ", &whole[..end]), SHORT_BYTES));
        }
    }
}

#[test]
fn pairs_of_unfinished_things_stay_linear() {
    for first in UNITS {
        for second in UNITS {
            check(&repeated(&format!("{first}{second}"), PAIR_BYTES));
        }
    }
}

#[test]
fn nested_beginnings_stay_linear() {
    check(&repeated(&UNITS.concat(), BYTES));
}

/// A stream that is fed the smallest pieces: neither time nor memory grow beyond the text's.
#[test]
fn a_stream_of_single_characters_stays_linear_and_small() {
    for unit in UNITS.iter().chain(WHOLE) {
        let text = repeated(unit, FED_BYTES);
        let mut stripper = Stripper::new();
        for (at, c) in text.char_indices() {
            stripper.push(&text[at..at + c.len_utf8()]);
            assert!(stripper.memory_bytes() <= STREAM_BYTES_MAX, "{unit:?}");
        }
        let per_byte = stripper.work() / text.len();
        assert!(
            per_byte <= STREAM_READS_PER_BYTE_MAX,
            "{unit:?}: {per_byte} per byte"
        );
    }
}
