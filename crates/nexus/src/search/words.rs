//! What a word is: the same for what is indexed, asked for and highlighted.
//!
//! A word is a run of letters and digits, in lower case, without accents. Scripts that are
//! written without spaces have a word per letter, so that any part of a text is found as a
//! sequence of them.

use std::str::CharIndices;

use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, TextAnalyzer, Token, TokenStream, Tokenizer,
};

/// What the index calls this way of taking text apart.
pub(super) const WORDS: &str = "words";
/// Longest word, in bytes; of a longer one, its beginning counts.
const WORD_BYTES_MAX: usize = 64;
/// Accents that stand as characters of their own behind their letter.
const ACCENTS: std::ops::RangeInclusive<char> = '\u{300}'..='\u{36f}';

/// Takes a text apart into words.
pub(super) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(Words::default())
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .build()
}

/// The words of `text`, in order.
pub(super) fn words(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut stream = analyzer.token_stream(text);
    let mut words = Vec::new();
    while let Some(token) = stream.next() {
        words.push(token.text.clone());
    }
    words
}

#[derive(Clone, Default)]
struct Words {
    token: Token,
}

struct WordStream<'a> {
    text: &'a str,
    chars: std::iter::Peekable<CharIndices<'a>>,
    token: &'a mut Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream {
            text,
            chars: text.char_indices().peekable(),
            token: &mut self.token,
        }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.text.clear();
        self.token.position = self.token.position.wrapping_add(1);
        let first = self.chars.find(|(_, c)| c.is_alphanumeric());
        let Some((from, first)) = first else {
            return false;
        };
        self.token.offset_from = from;
        self.token.text.push(first);
        let alone = stands_alone(first);
        while let Some((_, next)) = self.chars.peek().copied() {
            let accent = ACCENTS.contains(&next);
            if !accent && (alone || !next.is_alphanumeric() || stands_alone(next)) {
                break;
            }
            if !accent && self.token.text.len() + next.len_utf8() <= WORD_BYTES_MAX {
                self.token.text.push(next);
            }
            self.chars.next();
        }
        let end = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        self.token.offset_to = end;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Whether a letter belongs to a script that is written without spaces between words: Thai,
/// Lao, Burmese, Khmer, Japanese and Chinese.
const fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_apart_alike_however_they_are_written() {
        let long = "x".repeat(100);
        for (text, expected) in [
            ("", vec![]),
            (
                "Hello, happy tax-payer!",
                vec!["hello", "happy", "tax", "payer"],
            ),
            ("Café cafe\u{301} CAFÉ", vec!["cafe", "cafe", "cafe"]),
            ("naïve Straße", vec!["naive", "strasse"]),
            ("東京タワー", vec!["東", "京", "タ", "ワ", "ー"]),
            ("第1章 v2", vec!["第", "1", "章", "v2"]),
            ("Привет мир", vec!["привет", "мир"]),
            ("<b>a&amp;b</b>", vec!["b", "a", "amp", "b", "b"]),
            ("\u{301}\u{0}…", vec![]),
            (&long, vec![&long[..64]]),
        ] {
            assert_eq!(words(&mut analyzer(), text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_word_knows_where_it_stands() {
        let text = "a cafe\u{301}, 東京";
        let mut analyzer = analyzer();
        let mut stream = analyzer.token_stream(text);
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push((token.position, &text[token.offset_from..token.offset_to]));
        }
        assert_eq!(found, [(0, "a"), (1, "cafe\u{301}"), (2, "東"), (3, "京")]);
    }
}
