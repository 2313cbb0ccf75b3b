//! Showing where a text says what was searched for.
//!
//! **Invariant:** what comes out is HTML in which the text is escaped and `<mark>` is the only
//! element, whatever markup the text has.

use std::ops::Range;

use tantivy::tokenizer::{TextAnalyzer, TokenStream};

use super::query::Part;

/// Length of an excerpt, in bytes of the text.
const EXCERPT_BYTES: usize = 240;
/// How much of it stands before the first word that was searched for, at most.
const LEAD_BYTES: usize = 60;

/// A word of a text.
struct Found {
    at: Range<usize>,
    /// Which of the words that were searched for it is.
    word: Option<usize>,
}

/// The whole text with its words marked, or `None` when there are none.
pub(super) fn whole(analyzer: &mut TextAnalyzer, text: &str, parts: &[Part]) -> Option<String> {
    let found = found(analyzer, text, parts);
    let any = found.iter().any(|found| found.word.is_some());
    any.then(|| marked(text, 0..text.len(), &found))
}

/// The excerpt that has most of the words, marked, or `None` when there are none.
pub(super) fn excerpt(analyzer: &mut TextAnalyzer, text: &str, parts: &[Part]) -> Option<String> {
    let found = found(analyzer, text, parts);
    let best = best(&found)?;
    let from = found.iter().map(|found| found.at.start);
    let from = from.filter(|from| from + LEAD_BYTES >= best && *from <= best);
    let from = from.min().unwrap_or(best);
    let to = found.iter().map(|found| found.at.end);
    let to = to.filter(|to| *to <= from + EXCERPT_BYTES && *to > best);
    // A single word may be longer than an excerpt.
    let to = to.max();
    let to = to.unwrap_or_else(|| text.floor_char_boundary(from + EXCERPT_BYTES));
    let mut excerpt = String::new();
    if found.first().is_some_and(|first| first.at.start < from) {
        excerpt.push('…');
    }
    excerpt.push_str(&marked(text, from..to, &found));
    if found.last().is_some_and(|last| last.at.end > to) {
        excerpt.push('…');
    }
    Some(excerpt)
}

fn found(analyzer: &mut TextAnalyzer, text: &str, parts: &[Part]) -> Vec<Found> {
    let words: Vec<(&str, bool)> = parts.iter().flat_map(wanted).collect();
    let mut stream = analyzer.token_stream(text);
    let mut all = Vec::new();
    while let Some(token) = stream.next() {
        let is = |(word, open): &(&str, bool)| {
            token.text == *word || (*open && token.text.starts_with(word))
        };
        all.push(Found {
            at: token.offset_from..token.offset_to,
            word: words.iter().position(is),
        });
    }
    all
}

fn wanted(part: &Part) -> impl Iterator<Item = (&str, bool)> {
    let last = part.words.len();
    let words = part.words.iter().enumerate();
    words.map(move |(at, word)| (word.as_str(), part.open && at + 1 == last))
}

/// Where the first word of the best excerpt stands: the one with the most different words.
fn best(found: &[Found]) -> Option<usize> {
    let hits = found
        .iter()
        .filter_map(|found| Some((&found.at, found.word?)));
    let hits: Vec<_> = hits.collect();
    let mut best: Option<(usize, usize)> = None;
    for (index, (at, _)) in hits.iter().enumerate() {
        let end = at.start + EXCERPT_BYTES - LEAD_BYTES;
        let mut words: Vec<usize> = Vec::new();
        for (_, word) in hits.iter().skip(index).take_while(|(at, _)| at.end <= end) {
            if !words.contains(word) {
                words.push(*word);
            }
        }
        if best.is_none_or(|(most, _)| words.len() > most) {
            best = Some((words.len(), at.start));
        }
    }
    best.map(|(_, start)| start)
}

/// A part of the text as HTML.
fn marked(text: &str, part: Range<usize>, found: &[Found]) -> String {
    let mut html = String::new();
    let mut done = part.start;
    let hits = found.iter().filter(|found| found.word.is_some());
    for hit in hits.filter(|hit| hit.at.start >= part.start && hit.at.end <= part.end) {
        escape(&mut html, text.get(done..hit.at.start));
        html.push_str("<mark>");
        escape(&mut html, text.get(hit.at.clone()));
        html.push_str("</mark>");
        done = hit.at.end;
    }
    escape(&mut html, text.get(done..part.end));
    html
}

fn escape(html: &mut String, text: Option<&str>) {
    for c in text.unwrap_or_default().chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::words::analyzer, *};

    fn part(words: &[&str], open: bool) -> Part {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Part { words, open }
    }

    #[test]
    fn words_are_marked_as_they_stand_in_the_text() {
        let parts = [part(&["cafe"], false), part(&["ta"], true)];
        for (text, expected) in [
            (
                "A Café in Tallinn",
                Some("A <mark>Café</mark> in <mark>Tallinn</mark>"),
            ),
            ("cafes", None),
            ("", None),
            (
                "<script>cafe</script>&amp;\"'",
                Some("&lt;script&gt;<mark>cafe</mark>&lt;/script&gt;&amp;amp;&quot;&#39;"),
            ),
            (
                "</mark><img onerror=ta>",
                Some("&lt;/mark&gt;&lt;img onerror=<mark>ta</mark>&gt;"),
            ),
        ] {
            assert_eq!(
                whole(&mut analyzer(), text, &parts).as_deref(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_excerpt_is_where_most_words_are() {
        let filler = "so it goes on and on ".repeat(40);
        let text = format!("red {filler} a red green apple. {filler} green");
        let parts = [part(&["red"], false), part(&["green"], false)];
        let excerpt = excerpt(&mut analyzer(), &text, &parts).unwrap();
        assert!(
            excerpt.contains("<mark>red</mark> <mark>green</mark> apple."),
            "{excerpt}"
        );
        assert!(
            excerpt.starts_with('…') && excerpt.ends_with('…'),
            "{excerpt}"
        );
        assert!(excerpt.len() < 300, "{excerpt}");
        let short = super::excerpt(&mut analyzer(), "only red.", &parts);
        assert_eq!(short.as_deref(), Some("only <mark>red</mark>"));
    }

    proptest! {
        #[test]
        fn no_text_becomes_markup(text in "(.{0,20}|[<>&\"'a /]{0,40}|(a|b|é|東|<){0,400})") {
            let parts = [part(&["a"], true), part(&["東"], false)];
            for html in [
                whole(&mut analyzer(), &text, &parts),
                excerpt(&mut analyzer(), &text, &parts),
            ].into_iter().flatten() {
                let rest = html.replace("<mark>", "").replace("</mark>", "");
                prop_assert!(!rest.contains(['<', '>', '"', '\'']), "{html}");
            }
        }
    }
}
