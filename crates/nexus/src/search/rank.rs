//! From a search to its ranking: BM25, where words of the title weigh more than those of
//! tags, and those more than the body's.

use std::collections::BTreeSet;

use tantivy::{
    Searcher, TantivyError, Term,
    collector::TopDocs,
    query::{
        AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery,
        PhrasePrefixQuery, PhraseQuery, Query, TermQuery,
    },
    schema::{Field, IndexRecordOption, TantivyDocument, Value},
};

use super::{
    fields::{EVERYONE, Fields},
    generation::Fault,
    one_of::OneOf,
    query::{Asked, Part},
};

/// Most words that are ranked each by itself for the beginning of one.
const EXPANSIONS_MAX: usize = 64;
/// Most words that the last word of a phrase may be the beginning of, in each segment.
const PHRASE_EXPANSIONS_MAX: u32 = 1000;
/// What a word weighs that only begins as asked.
const BEGINNING: f32 = 0.6;

/// Whose search it is: the kinds that they may read, and what they read as.
pub(super) struct Reader {
    pub(super) kinds: Vec<&'static str>,
    /// The user, and the project.
    pub(super) names: [String; 2],
}

/// A record in a ranking.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked {
    pub(super) kind: String,
    /// The id of its document.
    pub(super) place: String,
    pub(super) score: f32,
}

/// The ranking from place `from`, at most `limit`; blocks.
pub(super) fn ranking(
    searcher: &Searcher,
    asked: &Asked,
    reader: &Reader,
    from: usize,
    limit: usize,
) -> Result<Vec<Ranked>, Fault> {
    let query = query(searcher, asked, reader)?;
    let top = TopDocs::with_limit(limit).and_offset(from);
    let top = searcher.search(&query, &top.order_by_score())?;
    let fields = Fields::get();
    let ranked = |(score, address)| {
        let document: TantivyDocument = searcher.doc(address)?;
        let key = document.get_first(fields.key).and_then(|key| key.as_str());
        let Some((kind, place)) = key.and_then(|key| key.split_once('/')) else {
            return Err(TantivyError::InternalError("a record has no name".to_owned()).into());
        };
        let (kind, place) = (kind.to_owned(), place.to_owned());
        Ok(Ranked { kind, place, score })
    };
    top.into_iter().map(ranked).collect()
}

fn query(searcher: &Searcher, asked: &Asked, reader: &Reader) -> Result<BooleanQuery, Fault> {
    let fields = Fields::get();
    let kinds = reader.kinds.iter().copied();
    let kinds = kinds.filter(|kind| asked.kinds.is_empty() || asked.kinds.contains(kind));
    let names = reader.names.iter().map(String::as_str);
    let mut clauses: Vec<Box<dyn Query>> = vec![
        Box::new(OneOf::new(fields.kind, kinds)),
        Box::new(OneOf::new(fields.reader, names.chain([EVERYONE]))),
    ];
    if let Some(tag) = &asked.tag {
        let tag = Term::from_field_text(fields.tag, tag);
        let tagged = TermQuery::new(tag, IndexRecordOption::Basic);
        clauses.push(Box::new(ConstScoreQuery::new(Box::new(tagged), 0.0)));
    }
    for part in &asked.parts {
        clauses.push(anywhere(searcher, fields, part)?);
    }
    Ok(BooleanQuery::intersection(clauses))
}

/// The part, in any of the fields.
fn anywhere(searcher: &Searcher, fields: Fields, part: &Part) -> Result<Box<dyn Query>, Fault> {
    let weights = [(fields.title, 3.0), (fields.tags, 2.0), (fields.body, 1.0)];
    let mut anywhere: Vec<Box<dyn Query>> = Vec::new();
    for (field, weight) in weights {
        let query = within(searcher, field, part)?;
        anywhere.push(Box::new(BoostQuery::new(query, weight)));
    }
    Ok(Box::new(BooleanQuery::union(anywhere)))
}

/// The part, in one field.
fn within(searcher: &Searcher, field: Field, part: &Part) -> Result<Box<dyn Query>, Fault> {
    let term = |word: &String| Term::from_field_text(field, word);
    let query: Box<dyn Query> = match (part.words.as_slice(), part.open) {
        ([], _) => Box::new(AllQuery),
        ([word], false) => scored(term(word)),
        ([word], true) => beginning(searcher, field, word)?,
        (words, false) => Box::new(PhraseQuery::new(words.iter().map(term).collect())),
        (words, true) => {
            let mut phrase = PhrasePrefixQuery::new(words.iter().map(term).collect());
            phrase.set_max_expansions(PHRASE_EXPANSIONS_MAX);
            Box::new(phrase)
        }
    };
    Ok(query)
}

fn scored(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

/// The word, or what it is the beginning of. Few such words are ranked each by itself; if there
/// are many, all count alike beside the word.
fn beginning(searcher: &Searcher, field: Field, word: &str) -> Result<Box<dyn Query>, Fault> {
    let whole = scored(Term::from_field_text(field, word));
    let mut queries = vec![whole];
    match expansions(searcher, field, word)? {
        Some(words) => {
            for longer in words.iter().filter(|longer| *longer != word) {
                let term = scored(Term::from_field_text(field, longer));
                queries.push(Box::new(BoostQuery::new(term, BEGINNING)));
            }
        }
        None => {
            let mut all = PhrasePrefixQuery::new(vec![Term::from_field_text(field, word)]);
            all.set_max_expansions(u32::MAX);
            queries.push(Box::new(BoostQuery::new(Box::new(all), BEGINNING)));
        }
    }
    Ok(Box::new(DisjunctionMaxQuery::new(queries)))
}

/// The words that begin with `word`, unless there are too many.
fn expansions(
    searcher: &Searcher,
    field: Field,
    word: &str,
) -> Result<Option<BTreeSet<String>>, Fault> {
    let mut found = BTreeSet::new();
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(field)?;
        let mut terms = index.terms().range().ge(word.as_bytes()).into_stream()?;
        while terms.advance() && terms.key().starts_with(word.as_bytes()) {
            found.insert(String::from_utf8_lossy(terms.key()).into_owned());
            if found.len() > EXPANSIONS_MAX {
                return Ok(None);
            }
        }
    }
    Ok(Some(found))
}
