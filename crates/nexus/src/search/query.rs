//! What is searched for: any text is a query, and none is an error but for its size.
//!
//! A record is found when each word of the query is in its title, its tags or its body.
//! Words in quotes stand next to each other. The last word may be the beginning of one,
//! unless something follows it, for it may still be being written.

use tantivy::tokenizer::TextAnalyzer;

use super::{kinds::Searched, words};
use crate::Invalid;

/// Longest query, in bytes.
const QUERY_BYTES_MAX: usize = 512;
/// Most words of a query.
const QUERY_WORDS_MAX: usize = 32;
/// Longest tag that is asked for, in bytes.
const TAG_BYTES_MAX: usize = 256;
/// Items of a page unless the caller asks for another number.
const LIMIT_DEFAULT: usize = 20;
/// Most items of a page.
const LIMIT_MAX: usize = 100;
/// How deep a ranking can be paged through, in items.
const DEPTH_MAX: usize = 1000;

/// A search, valid from birth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub(super) parts: Vec<Part>,
    /// Only of these kinds; of all, when there are none.
    pub(super) kinds: Vec<&'static str>,
    pub(super) tag: Option<String>,
    pub(super) after: usize,
    pub(super) limit: usize,
}

/// A search as it arrives.
#[derive(Debug, Clone, Default)]
pub struct Asking<'a> {
    /// What people wrote.
    pub text: &'a str,
    /// Names of kinds with commas between them.
    pub kind: Option<&'a str>,
    /// A tag that all have.
    pub tag: Option<&'a str>,
    /// Where the page before ended.
    pub after: Option<&'a str>,
    /// Items of a page.
    pub limit: Option<usize>,
}

/// What a record has to have: words that stand next to each other, often one alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) words: Vec<String>,
    /// Whether the last of them may be the beginning of a word.
    pub(super) open: bool,
}

impl Asked {
    /// A search from what a request says.
    ///
    /// # Errors
    /// The first thing that is not acceptable: too long, nothing to search for, an unknown kind,
    /// a limit of 0, or an `after` that is none.
    pub fn parse(asking: &Asking<'_>) -> Result<Self, Invalid> {
        if asking.text.len() > QUERY_BYTES_MAX {
            let why = format!("has more than {QUERY_BYTES_MAX} bytes");
            return Err(Invalid::new("q", why));
        }
        let parts = parts(&mut words::analyzer(), asking.text);
        let count: usize = parts.iter().map(|part| part.words.len()).sum();
        if count > QUERY_WORDS_MAX {
            let why = format!("has more than {QUERY_WORDS_MAX} words");
            return Err(Invalid::new("q", why));
        }
        if count == 0 && asking.tag.is_none() {
            return Err(Invalid::new("q", "names no word to search for"));
        }
        if asking.tag.is_some_and(|tag| tag.len() > TAG_BYTES_MAX) {
            let why = format!("has more than {TAG_BYTES_MAX} bytes");
            return Err(Invalid::new("tag", why));
        }
        Ok(Self {
            parts,
            kinds: kinds(asking.kind)?,
            tag: asking.tag.map(str::to_owned),
            after: after(asking.after)?,
            limit: limit(asking.limit)?,
        })
    }

    /// What to send as `after` for the items behind the first `count` of the ranking.
    pub(super) fn next(count: usize) -> Option<String> {
        (count < DEPTH_MAX).then(|| count.to_string())
    }
}

fn kinds(names: Option<&str>) -> Result<Vec<&'static str>, Invalid> {
    let Some(names) = names else {
        return Ok(Vec::new());
    };
    let kind = |name: &str| match Searched::named(name) {
        Some(searched) => Ok(searched.kind),
        None => {
            let known: Vec<_> = Searched::ALL.iter().map(|searched| searched.kind).collect();
            let why = format!(
                "is none of the kinds that are searched: {}",
                known.join(", ")
            );
            Err(Invalid::new("kind", why))
        }
    };
    names.split(',').map(kind).collect()
}

fn after(after: Option<&str>) -> Result<usize, Invalid> {
    let Some(after) = after else {
        return Ok(0);
    };
    let count = after.parse().ok().filter(|count| *count < DEPTH_MAX);
    count.ok_or_else(|| Invalid::new("after", "is no cursor of this list"))
}

fn limit(limit: Option<usize>) -> Result<usize, Invalid> {
    match limit.unwrap_or(LIMIT_DEFAULT) {
        0 => Err(Invalid::new("limit", "must be 1 at least")),
        limit => Ok(limit.min(LIMIT_MAX)),
    }
}

/// Takes a query apart: what stands between spaces or quotes belongs together.
fn parts(analyzer: &mut TextAnalyzer, text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for (at, quoted) in text.split('"').enumerate() {
        if at % 2 == 1 {
            parts.push(words::words(analyzer, quoted));
        } else {
            let pieces = quoted.split_whitespace();
            parts.extend(pieces.map(|piece| words::words(analyzer, piece)));
        }
    }
    parts.retain(|words| !words.is_empty());
    let writing = text.chars().next_back().is_some_and(char::is_alphanumeric)
        && text.matches('"').count().is_multiple_of(2);
    let last = parts.len();
    let part = |(at, words)| Part {
        words,
        open: writing && at + 1 == last,
    };
    parts.into_iter().enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let parts = parts(&mut words::analyzer(), text);
        let shown = parts.iter().map(|part| {
            let more = if part.open { "*" } else { "" };
            format!("{}{more}", part.words.join("+"))
        });
        shown.collect()
    }

    #[test]
    fn a_query_is_words_phrases_and_a_beginning() {
        for (text, expected) in [
            ("", vec![]),
            ("  \t ", vec![]),
            ("Red app", vec!["red", "app*"]),
            ("red app ", vec!["red", "app"]),
            ("\"red apple\" pie", vec!["red+apple", "pie*"]),
            ("pie \"red apple\"", vec!["pie", "red+apple"]),
            ("pie \"red app", vec!["pie", "red+app"]),
            ("tax-payer", vec!["tax+payer*"]),
            ("東京", vec!["東+京*"]),
            (
                "title:secret AND (a OR b)~2^3",
                vec!["title+secret", "and", "a", "or", "b+2+3*"],
            ),
            ("* ? + - ! [ } : \\ /", vec![]),
            ("\"\" \"", vec![]),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_much_is_refused_by_name() {
        let many = "a ".repeat(33);
        let long = "a".repeat(513);
        let asking = |text| Asking {
            text,
            ..Asking::default()
        };
        for (asking, name) in [
            (asking(&*long), "q"),
            (asking(&*many), "q"),
            (asking(""), "q"),
            (asking("?!"), "q"),
            (
                Asking {
                    kind: Some("users"),
                    ..asking("a")
                },
                "kind",
            ),
            (
                Asking {
                    kind: Some(""),
                    ..asking("a")
                },
                "kind",
            ),
            (
                Asking {
                    tag: Some(&long),
                    ..asking("a")
                },
                "tag",
            ),
            (
                Asking {
                    after: Some("-1"),
                    ..asking("a")
                },
                "after",
            ),
            (
                Asking {
                    after: Some("1000"),
                    ..asking("a")
                },
                "after",
            ),
            (
                Asking {
                    limit: Some(0),
                    ..asking("a")
                },
                "limit",
            ),
        ] {
            assert_eq!(
                Asked::parse(&asking).unwrap_err().pointer,
                name,
                "{asking:?}"
            );
        }
        let tag = Asking {
            tag: Some("t"),
            limit: Some(1000),
            ..asking("")
        };
        assert_eq!(Asked::parse(&tag).unwrap().limit, 100);
    }

    proptest! {
        #[test]
        fn any_text_is_a_query(text in ".{0,200}") {
            let parts = parts(&mut words::analyzer(), &text);
            prop_assert!(parts.iter().all(|part| !part.words.is_empty()));
        }
    }
}
