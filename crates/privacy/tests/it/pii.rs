//! Personal data from outside: what holds for every text and every cut.

use proptest::{collection::vec, prelude::*, sample::select, string::string_regex};
use serde_json::{Value, json};
use tenantry_privacy::pii::{HOLD_BACK_BYTES_MAX, Kind, Stripper, scan, strip, strip_json};

/// Personal data and what nearly is, to be put next to each other.
const PIECES: &[&str] = &[
    "ada@example.com",
    "josé@correo.es",
    "用户@例子.广告",
    "\"john doe\"@example.com",
    "x+y=z.org@list.example.org",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "378282246310005",
    "4111111111111112",
    "+1 (415) 555-2671",
    "+44 (0)20 7946 0958 ext. 12",
    "212-456-7890",
    "020 7946 0958",
    "call 4155552671",
    "call",
    "order",
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "GB29NWBK60161331926818",
    "536-90-4399",
    "SSN 536904399",
    "ssn",
    "nhs 943 476 5919",
    "401 023 2137",
    "192.0.2.1",
    "192.0.2.1/24",
    "version 1.2.3.4",
    "v1.2.3.4",
    "1.2.3.4-beta",
    "1.1.1.1.1",
    "2001:db8::1",
    "fe80::1%eth0",
    "::",
    "fe80::",
    "::ffff:192.0.2.1",
    "00:1A:2b:3C:4d:5E",
    "001a.2b3c.4d5e",
    "https://ada:s3cret@example.com/x",
    "redis://:hunter2@cache",
    "http://",
    "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln",
    "eyJhbGciOiJIUzI1NiJ9",
    "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    "-----BEGIN PUBLIC KEY-----",
    "-----END PRIVATE KEY-----",
    "AKIAIOSFODNN7EXAMPLE",
    "sk-proj-aB3dE5gH7jK9mN1pQ2sT4vW6xY8zaB3dE5gH7jK9",
    "aws_secret_access_key=",
    "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",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "123e4567-e89b-12d3-a456-426614174000",
    "02c04db8d1f0f4a1b3a2d0e5c4b3a29180706050",
    "12:34:56",
    "2026-11-21T12:34:56.789Z",
    "1763737200000",
    "a@a@a@a",
    "the quick brown fox",
    "电话",
    "naïve café",
    "👩‍👩‍👧",
    "<EMAIL>",
    "<PHONE> ",
    "1",
    "a",
];

/// What stands between pieces, also nothing.
const JOINTS: &[&str] = &[
    "", " ", ", ", ". ", "-", ".", ":", "/", "@", "_", "+", "=", "(", ")", "\"", "'", "<", ">",
    "#", "\n", "; ", " - ", "é", "電", "%", "[", "]", "$", "::", "|",
];

/// Pieces and joints in any order, and arbitrary text among them.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(PIECES).prop_map(str::to_owned),
        1 => string_regex(r"[0-9 ().:+@/-]{1,24}").unwrap(),
        1 => string_regex(r"[a-zA-Z0-9_.@:-]{1,24}").unwrap(),
        1 => any::<String>(),
    ];
    vec((piece, select(JOINTS)), 0..8).prop_map(|parts| {
        let parts = parts.into_iter();
        parts.map(|(piece, joint)| piece + joint).collect()
    })
}

/// What a stream makes of `text`, cut at every place (a character boundary) in `cuts`.
fn streamed(text: &str, cuts: &[usize]) -> String {
    let mut cuts: Vec<usize> = cuts.iter().map(|at| at % (text.len() + 1)).collect();
    cuts.sort_unstable();
    let mut stripper = Stripper::new();
    let mut out = String::new();
    let mut from = 0;
    for cut in cuts {
        let cut = text.floor_char_boundary(cut);
        out += &stripper.push(&text[from..cut]);
        assert!(stripper.held_back_bytes() <= HOLD_BACK_BYTES_MAX);
        from = cut;
    }
    out += &stripper.push(&text[from..]);
    out + &stripper.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_stripped_text_contains_no_finding(text in texts()) {
        let stripped = strip(&text);
        prop_assert_eq!(scan(&stripped), [], "{:?} became {:?}", text, stripped);
    }

    #[test]
    fn stripping_twice_is_stripping_once(text in texts()) {
        let once = strip(&text).into_owned();
        prop_assert_eq!(strip(&once), once.as_str());
    }

    #[test]
    fn cuts_do_not_matter(text in texts(), cuts in vec(any::<usize>(), 0..12)) {
        prop_assert_eq!(streamed(&text, &cuts), strip(&text));
    }

    #[test]
    fn one_character_at_a_time_is_the_whole_at_once(text in texts()) {
        let every: Vec<usize> = (0..text.len()).collect();
        prop_assert_eq!(streamed(&text, &every), strip(&text));
    }

    #[test]
    fn findings_are_in_order_apart_and_on_boundaries(text in texts()) {
        let mut before = 0;
        for finding in scan(&text) {
            prop_assert!(before <= finding.start && finding.start < finding.end);
            prop_assert!(text.is_char_boundary(finding.start));
            prop_assert!(text.is_char_boundary(finding.end));
            before = finding.end;
        }
        prop_assert!(before <= text.len());
    }

    #[test]
    fn arbitrary_text_is_no_trouble(text in any::<String>(), cuts in vec(any::<usize>(), 0..6)) {
        prop_assert_eq!(streamed(&text, &cuts), strip(&text));
    }

    #[test]
    fn what_is_not_found_is_kept(text in texts()) {
        let mut kept = String::new();
        let mut from = 0;
        for finding in scan(&text) {
            kept += &text[from..finding.start];
            kept += finding.kind.placeholder();
            from = finding.end;
        }
        kept += &text[from..];
        prop_assert_eq!(strip(&text), kept);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn stripped_json_stays_as_it_is(texts in vec(texts(), 1..5)) {
        let mut value = Value::Null;
        for text in texts {
            value = json!({ text.clone(): [text, value] });
        }
        strip_json(&mut value);
        let once = value.clone();
        strip_json(&mut value);
        prop_assert_eq!(value, once);
    }
}

/// Every place where a text with one of each kind may be cut in two.
#[test]
fn every_cut_of_every_piece_gives_the_same() {
    let text = PIECES.join(", ");
    let whole = strip(&text);
    for cut in 0..=text.len() {
        assert_eq!(streamed(&text, &[cut]), whole, "cut at {cut}");
    }
}

#[test]
fn a_text_without_personal_data_is_borrowed() {
    let text = "order 4155552671 of 2026-11-21 12:34:56, id 123e4567-e89b-12d3-a456-426614174000";
    assert!(matches!(strip(text), std::borrow::Cow::Borrowed(_)));
    assert_eq!(scan(text), []);
}

#[test]
fn long_key_blocks_are_stripped_wherever_they_are_cut() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n".repeat(3_000);
    for end in ["-----END RSA PRIVATE KEY-----", "", "-----END"] {
        let text = format!("a -----BEGIN RSA PRIVATE KEY-----\n{body}{end} b");
        let whole = strip(&text);
        assert!(whole.starts_with("a <PRIVATE_KEY>"));
        for piece in [1, 7, 1_000, 65_536] {
            let cuts: Vec<usize> = (0..text.len()).step_by(piece).collect();
            assert_eq!(streamed(&text, &cuts), whole, "pieces of {piece}");
        }
    }
}

#[test]
fn a_long_text_in_small_pieces_is_stripped_like_the_whole() {
    let text = PIECES.join(" ").repeat(20);
    let cuts: Vec<usize> = (0..text.len()).step_by(3).collect();
    let whole = strip(&text);
    assert_eq!(streamed(&text, &cuts), whole);
    let kinds = Kind::ALL
        .iter()
        .filter(|kind| whole.contains(kind.placeholder()));
    assert_eq!(kinds.count(), Kind::ALL.len());
}
