//! Tests of linear time: bytes that recognisers read, per byte of text.

use super::{
    scanner::{Event, Scanner},
    window::Window,
};

/// Reads per byte that no text may need; twice what the worst of these needs.
const READS_PER_BYTE_MAX: usize = 400;
const BYTES: usize = 1 << 16;
const LONG_BYTES: usize = 1 << 20;
const PAIR_BYTES: usize = 256;

/// How many reads a scan of the whole text takes.
fn reads(text: &str) -> usize {
    let mut window = Window::whole(text);
    let mut scanner = Scanner::default();
    while let Some(Event::Opened { .. } | Event::Closed { .. }) = scanner.next(&mut window) {}
    window.work.get()
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

#[test]
fn work_grows_with_the_text_alone() {
    for unit in UNITS {
        let text = unit.repeat(BYTES / unit.len());
        let reads = reads(&text);
        let most = READS_PER_BYTE_MAX * text.len();
        assert!(reads <= most, "{unit:?}: {} per byte", reads / text.len());
    }
}

#[test]
fn a_mebibyte_of_digits_or_signs_is_no_trouble() {
    for unit in ["1", "1.", "a@", "0:", "-", "9 "] {
        let text = unit.repeat(LONG_BYTES / unit.len());
        assert!(reads(&text) <= READS_PER_BYTE_MAX * text.len(), "{unit:?}");
    }
}

#[test]
fn pairs_of_unfinished_things_stay_linear() {
    for first in UNITS {
        for second in UNITS {
            let unit = format!("{first}{second}");
            let text = unit.repeat(PAIR_BYTES / unit.len());
            let reads = reads(&text);
            let most = READS_PER_BYTE_MAX * text.len();
            assert!(reads <= most, "{unit:?}: {} per byte", reads / text.len());
        }
    }
}

#[test]
fn nested_beginnings_stay_linear() {
    let nested: String = UNITS.concat();
    let text = nested.repeat(BYTES / nested.len());
    assert!(reads(&text) <= READS_PER_BYTE_MAX * text.len());
}
