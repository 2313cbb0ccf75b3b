//! A condition that does not weigh: the records of which a field has one of some values.
//!
//! It costs nothing where all records fulfil it, and a look at each list of records for those that are
//! asked about. A union of terms would walk all their records, however few are asked about.

use tantivy::{
    DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term,
    postings::SegmentPostings,
    query::{AllScorer, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight},
    schema::{Field, IndexRecordOption},
};

/// The condition. Each record has one value in the field at most.
#[derive(Debug, Clone)]
pub(super) struct OneOf {
    field: Field,
    values: Vec<Term>,
}

impl OneOf {
    pub(super) fn new<'a>(field: Field, values: impl IntoIterator<Item = &'a str>) -> Self {
        let values = values.into_iter();
        Self {
            values: values
                .map(|text| Term::from_field_text(field, text))
                .collect(),
            field,
        }
    }
}

impl Query for OneOf {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for OneOf {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let index = reader.inverted_index(self.field)?;
        let mut lists = Vec::with_capacity(self.values.len());
        let mut records = 0;
        for value in &self.values {
            if let Some(list) = index.read_postings(value, IndexRecordOption::Basic)? {
                records += list.doc_freq();
                lists.push(list);
            }
        }
        // Both count what was deleted and is still in the segment.
        if records == reader.max_doc() {
            return Ok(Box::new(AllScorer::new(records)));
        }
        let any = Any::of(lists, records);
        Ok(Box::new(ConstScorer::new(any, 0.0)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        let why = "a condition does not weigh".to_owned();
        Err(TantivyError::InvalidArgument(why))
    }
}

/// What is in any of some lists.
struct Any {
    lists: Vec<SegmentPostings>,
    doc: DocId,
    records: u32,
}

impl Any {
    fn of(lists: Vec<SegmentPostings>, records: u32) -> Self {
        let doc = first(&lists);
        Self {
            lists,
            doc,
            records,
        }
    }
}

fn first(lists: &[SegmentPostings]) -> DocId {
    lists.iter().map(DocSet::doc).min().unwrap_or(TERMINATED)
}

impl DocSet for Any {
    fn advance(&mut self) -> DocId {
        match self.doc {
            TERMINATED => TERMINATED,
            doc => self.seek(doc + 1),
        }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        for list in &mut self.lists {
            if list.doc() < target {
                list.seek(target);
            }
        }
        self.doc = first(&self.lists);
        self.doc
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use tantivy::{
        Index, TantivyDocument,
        collector::{Count, DocSetCollector},
        query::{BooleanQuery, TermQuery},
        schema::{STRING, Schema},
    };

    use super::*;

    /// An index of records that have a value and a word each; every third was deleted.
    fn index(values: &[&str]) -> (Index, Field, Field) {
        let mut schema = Schema::builder();
        let value = schema.add_text_field("value", STRING);
        let word = schema.add_text_field("word", STRING);
        let index = Index::create_in_ram(schema.build());
        let mut writer = index.writer_with_num_threads(1, 20_000_000).unwrap();
        for n in 0..3_000 {
            let mut document = TantivyDocument::default();
            document.add_text(value, values[n % values.len()]);
            document.add_text(word, if n % 3 == 0 { "gone" } else { "kept" });
            writer.add_document(document).unwrap();
        }
        writer.commit().unwrap();
        writer.delete_term(Term::from_field_text(word, "gone"));
        writer.commit().unwrap();
        (index, value, word)
    }

    #[test]
    fn it_finds_what_a_union_of_terms_finds() {
        let (index, value, word) = index(&["a", "b", "c", "a", "d"]);
        let searcher = index.reader().unwrap().searcher();
        for asked in [
            &[][..],
            &["a"],
            &["x"],
            &["b", "d"],
            &["d", "x", "b", "c"],
            &["a", "b", "c", "d"],
        ] {
            let terms = asked.iter().map(|text| Term::from_field_text(value, text));
            let union = BooleanQuery::new_multiterms_query(terms.collect());
            let ours = OneOf::new(value, asked.iter().copied());
            let found = searcher.search(&ours, &DocSetCollector).unwrap();
            assert_eq!(
                found,
                searcher.search(&union, &DocSetCollector).unwrap(),
                "{asked:?}"
            );
            let kept = TermQuery::new(
                Term::from_field_text(word, "kept"),
                IndexRecordOption::Basic,
            );
            let both = BooleanQuery::intersection(vec![Box::new(ours), Box::new(kept)]);
            assert_eq!(searcher.search(&both, &Count).unwrap(), found.len());
        }
    }
}
