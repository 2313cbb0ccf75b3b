//! What the index keeps of a record: words to find it by, and its name. No text is kept.

use std::{ops::Bound, sync::OnceLock};

use identity::Timestamp;
use tantivy::{
    TantivyDocument, Term,
    query::RangeQuery,
    schema::{Field, INDEXED, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions},
    tokenizer::TokenizerManager,
};

use super::{kinds::Entry, words};

/// For whom a record is that everyone may read.
pub(super) const EVERYONE: &str = "*";

/// The fields of the index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// The kind and the place: what a change replaces.
    pub(super) key: Field,
    /// The kind.
    pub(super) kind: Field,
    /// Each tag as a whole.
    pub(super) tag: Field,
    /// Who finds it: [`EVERYONE`], one user, or a project.
    pub(super) reader: Field,
    /// When the record ends by itself, in milliseconds since 1970.
    pub(super) ends: Field,
    /// The words of the title.
    pub(super) title: Field,
    /// The words of the tags.
    pub(super) tags: Field,
    /// The words of the body.
    pub(super) body: Field,
}

impl Fields {
    /// The fields, which are the same in every index.
    pub(super) fn get() -> Self {
        built().1
    }

    /// What an index is made with.
    pub(super) fn schema() -> Schema {
        built().0.clone()
    }

    /// The name of a record in the index.
    pub(super) fn key(self, kind: &str, place: &str) -> Term {
        Term::from_field_text(self.key, &key(kind, place))
    }

    /// What ended by itself until `now`.
    pub(super) fn ended(self, now: Timestamp) -> RangeQuery {
        let now = Term::from_field_i64(self.ends, now.unix_ms());
        RangeQuery::new(Bound::Unbounded, Bound::Included(now))
    }

    /// What the index keeps of `entry`.
    pub(super) fn document(self, entry: &Entry) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_text(self.key, key(entry.kind, &entry.place));
        document.add_text(self.kind, entry.kind);
        let reader = entry.reader.as_deref().unwrap_or(EVERYONE);
        document.add_text(self.reader, reader);
        document.add_text(self.title, &entry.title);
        document.add_text(self.body, &entry.body);
        if let Some(ends) = entry.ends {
            document.add_i64(self.ends, ends.unix_ms());
        }
        for tag in &entry.tags {
            document.add_text(self.tag, tag);
            document.add_text(self.tags, tag);
        }
        document
    }
}

/// Teaches an index what a word is.
pub(super) fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(words::WORDS, words::analyzer());
    tokenizers
}

fn key(kind: &str, place: &str) -> String {
    format!("{kind}/{place}")
}

fn built() -> &'static (Schema, Fields) {
    static BUILT: OnceLock<(Schema, Fields)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let indexing = |tokenizer: &str, option| {
            let indexing = TextFieldIndexing::default();
            indexing.set_tokenizer(tokenizer).set_index_option(option)
        };
        let whole = indexing("raw", IndexRecordOption::Basic).set_fieldnorms(false);
        let whole = TextOptions::default().set_indexing_options(whole);
        let worded = indexing(words::WORDS, IndexRecordOption::WithFreqsAndPositions);
        let worded = TextOptions::default().set_indexing_options(worded);
        let mut schema = Schema::builder();
        let fields = Fields {
            key: schema.add_text_field("key", whole.clone() | STORED),
            kind: schema.add_text_field("kind", whole.clone()),
            tag: schema.add_text_field("tag", whole.clone()),
            reader: schema.add_text_field("reader", whole),
            ends: schema.add_i64_field("ends", INDEXED),
            title: schema.add_text_field("title", worded.clone()),
            tags: schema.add_text_field("tags", worded.clone()),
            body: schema.add_text_field("body", worded),
        };
        (schema.build(), fields)
    })
}
