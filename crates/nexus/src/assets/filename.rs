//! File names that are safe on every system, and in an object's key.
//!
//! What can be mended is mended: the folders before a name, marks that turn its direction
//! or do not show, characters and names that Windows keeps for itself, spaces and full stops
//! at its end, a length over 255 bytes. What cannot be meant well is refused: control
//! characters, path parts hidden by percent signs, a name of which nothing is left.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use store::FILENAME_BYTES_MAX;
use unicode_normalization::UnicodeNormalization;

/// Longest text that is made a file name of, in bytes: the longest path of Linux.
pub const GIVEN_NAME_BYTES_MAX: usize = 4096;
/// Longest ending that outlives a cut, in bytes with its full stop.
const EXTENSION_BYTES_MAX: usize = 32;
/// How often percent signs are taken for what they stand for.
const DECODINGS_MAX: usize = 3;

/// A safe file name: NFC, 1 to 255 bytes, one part of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Filename(SmolStr);

/// Why no file name can be made of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilename {
    /// It is longer than [`GIVEN_NAME_BYTES_MAX`].
    #[error("has more than {GIVEN_NAME_BYTES_MAX} bytes")]
    TooLong,
    /// It holds a control character, NUL say.
    #[error("holds control characters")]
    Control,
    /// It holds `%2f`, `%2e%2e`, `%00` or the like.
    #[error("hides path parts or control characters behind percent signs")]
    Encoded,
    /// It names a folder, or nothing.
    #[error("names no file")]
    Nothing,
}

impl Filename {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Filename {
    type Err = InvalidFilename;

    /// Makes a safe name of what a client calls its file; a safe name stays as it is.
    fn from_str(given: &str) -> Result<Self, InvalidFilename> {
        if given.len() > GIVEN_NAME_BYTES_MAX {
            return Err(InvalidFilename::TooLong);
        }
        if given.chars().any(char::is_control) {
            return Err(InvalidFilename::Control);
        }
        let shown: String = given.chars().filter(|c| !is_hidden(*c)).nfc().collect();
        let last = shown.rsplit(['/', '\\']).next().unwrap_or_default();
        let plain: String = last.chars().map(portable).collect();
        // Stores put the name of the file that a browser sends in the place of `${filename}`.
        let plain = plain.replace("${", "_{");
        let whole = cut(&free(trimmed(&plain)));
        match trimmed(&whole) {
            "" => Err(InvalidFilename::Nothing),
            name if hides_a_path(name) => Err(InvalidFilename::Encoded),
            name => Ok(Self(SmolStr::new(name))),
        }
    }
}

/// Without space around it, and without full stops at its end: `..` is empty then.
fn trimmed(name: &str) -> &str {
    name.trim_start()
        .trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// Whether a character does not show, or turns the direction of what does.
///
/// The joiners U+200C and U+200D stay: scripts and emoji are spelt with them.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// Windows keeps these characters for itself.
const fn portable(c: char) -> char {
    match c {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
        other => other,
    }
}

/// Whether someone who decodes percent signs, perhaps more than once, would see a path.
fn hides_a_path(name: &str) -> bool {
    let mut seen = name.as_bytes().to_vec();
    for _ in 0..DECODINGS_MAX {
        let decoded = decoded(&seen);
        if decoded == seen {
            return false;
        }
        let parts = decoded
            .iter()
            .any(|b| matches!(b, b'/' | b'\\' | 127) || *b < b' ');
        if parts || decoded.iter().all(|b| matches!(b, b'.' | b' ')) {
            return true;
        }
        seen = decoded;
    }
    // Whoever encodes so often hides something.
    decoded(&seen) != seen
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at) {
        let pair = (digit(text.get(at + 1)), digit(text.get(at + 2)));
        let (value, width) = match (byte, pair) {
            (b'%', (Some(high), Some(low))) => (u8::try_from(high * 16 + low), 3),
            _ => (Ok(*byte), 1),
        };
        bytes.extend(value);
        at += width;
    }
    bytes
}

/// The name, unless Windows keeps it for a device: `CON.txt` becomes `_CON.txt`.
fn free(name: &str) -> String {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_uppercase();
    let numbered = |device: &str| {
        let rest = stem.strip_prefix(device);
        rest.is_some_and(|rest| matches!(rest, "¹" | "²" | "³") || is_digit(rest))
    };
    let devices = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    if devices.contains(&stem.as_str()) || numbered("COM") || numbered("LPT") {
        return format!("_{name}");
    }
    name.to_owned()
}

fn is_digit(text: &str) -> bool {
    matches!(text.as_bytes(), [b'0'..=b'9'])
}

/// The name in at most 255 bytes; its ending stays, where it has an ordinary one.
fn cut(name: &str) -> String {
    if name.len() <= FILENAME_BYTES_MAX {
        return name.to_owned();
    }
    let ending = name.rfind('.').and_then(|dot| name.get(dot..));
    let ending = ending.filter(|ending| ending.len() <= EXTENSION_BYTES_MAX);
    let ending = ending.unwrap_or_default();
    let stem = name.get(..name.floor_char_boundary(FILENAME_BYTES_MAX - ending.len()));
    format!("{}{ending}", stem.unwrap_or_default())
}

impl TryFrom<SmolStr> for Filename {
    type Error = InvalidFilename;

    fn try_from(text: SmolStr) -> Result<Self, InvalidFilename> {
        text.parse()
    }
}

impl From<Filename> for SmolStr {
    fn from(name: Filename) -> Self {
        name.0
    }
}

impl fmt::Display for Filename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(given: &str) -> String {
        let name: Result<Filename, _> = given.parse();
        name.unwrap_or_else(|error| panic!("{given:?}: {error}"))
            .to_string()
    }

    #[test]
    fn what_can_be_mended_is_mended() {
        for (given, name) in [
            ("report.pdf", "report.pdf"),
            ("Übersicht 2026 – Größe.pdf", "Übersicht 2026 – Größe.pdf"),
            ("日本語.txt", "日本語.txt"),
            ("family 👨\u{200d}👩.png", "family 👨\u{200d}👩.png"),
            // A decomposed umlaut is composed.
            ("u\u{308}ber.txt", "\u{fc}ber.txt"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("C:\\fakepath\\photo.jpg", "photo.jpg"),
            ("a/b/c.txt", "c.txt"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("\u{200f}\u{2066}a\u{2069}.txt\u{feff}", "a.txt"),
            ("a:b*c?.txt", "a_b_c_.txt"),
            (" a b .txt. . ", "a b .txt"),
            (".htaccess", ".htaccess"),
            ("...hidden", "...hidden"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("NUL.tar.gz", "_NUL.tar.gz"),
            ("Aux .txt", "_Aux .txt"),
            ("com1", "_com1"),
            ("lpt\u{b9}.doc", "_lpt\u{b9}.doc"),
            ("console.txt", "console.txt"),
            ("com10.txt", "com10.txt"),
            ("${filename}", "_{filename}"),
            ("100%.txt", "100%.txt"),
            ("50%20off.txt", "50%20off.txt"),
            ("%zz.txt", "%zz.txt"),
        ] {
            assert_eq!(made(given), name, "{given:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_well_is_refused() {
        use InvalidFilename::{Control, Encoded, Nothing, TooLong};
        for (given, why) in [
            ("a\0.png", Control),
            ("a\nb", Control),
            ("a\u{7f}", Control),
            ("a\u{85}", Control),
            ("%2e%2e%2fetc", Encoded),
            ("%2e%2e", Encoded),
            ("%2E.", Encoded),
            ("a%5cb", Encoded),
            ("a%00.png", Encoded),
            ("%252e%252e%252fetc", Encoded),
            ("%25252525252e", Encoded),
            ("", Nothing),
            (".", Nothing),
            ("..", Nothing),
            ("../..", Nothing),
            ("folder/", Nothing),
            (" . . ", Nothing),
            ("\u{202e}", Nothing),
            (&"x".repeat(10 * 1024), TooLong),
        ] {
            assert_eq!(given.parse::<Filename>(), Err(why), "{given:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_ending() {
        let name = made(&format!("{}.jpeg", "ä".repeat(300)));
        assert_eq!((name.len(), name.ends_with("ä.jpeg")), (255, true));
        let name = made(&format!("{}.jpeg", "漢".repeat(300)));
        assert_eq!((name.len(), name.ends_with("漢.jpeg")), (254, true));
        let name = made(&format!("a.{}", "x".repeat(300)));
        assert_eq!(name.len(), 255);
    }

    proptest! {
        #[test]
        fn a_safe_name_is_one_part_of_a_path_and_stays_as_it_is(given in "\\PC{0,40}|[ .%a2e/\\\\:*\u{202e}\u{308}uCON]{0,400}") {
            if let Ok(name) = given.parse::<Filename>() {
                let text = name.as_str();
                prop_assert!((1..=255).contains(&text.len()));
                prop_assert!(!text.chars().any(|c| c.is_control() || is_hidden(c) || "/\\:*?\"<>|".contains(c)));
                prop_assert!(text != "." && text != "..");
                prop_assert_eq!(text.nfc().collect::<String>(), text);
                prop_assert_eq!(text.parse::<Filename>(), Ok(name.clone()));
            }
        }
    }
}
