//! What a search answers.

use identity::Timestamp;
use serde::Serialize;

use super::{kinds::Entry, mark, query::Part, words};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The best first.
    pub items: Vec<Hit>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// How far the index is behind the records.
    pub lag: Lag,
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Hit {
    /// The kind of the record.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its revision, as it is now.
    pub revision: u64,
    /// How well it fits; comparable within one answer alone.
    pub score: f32,
    /// What it is called.
    pub title: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it says what was searched for.
    pub highlights: Highlights,
}

/// Where a record says what was searched for: HTML, in which the text is escaped and `<mark>`
/// is the only element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Highlights {
    /// The title.
    pub title: Option<String>,
    /// The part of the body that says most of it.
    pub body: Option<String>,
}

/// How far an index is behind the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Lag {
    /// In a word.
    pub state: Freshness,
    /// Changes that are not in the index; 1000 means as many or more. Null while it is built.
    pub pending: Option<usize>,
    /// The age of the first of them, in milliseconds. Null while it is built.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>))]
    pub ms: Option<u128>,
}

/// Whether an index knows all records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// It knows everything that was written before the request.
    Current,
    /// It does not know the latest changes yet.
    Behind,
    /// It is built for the first time, and nothing is found yet.
    Building,
}

impl Lag {
    pub(super) const CURRENT: Self = Self {
        state: Freshness::Current,
        pending: Some(0),
        ms: Some(0),
    };
    pub(super) const BUILDING: Self = Self {
        state: Freshness::Building,
        pending: None,
        ms: None,
    };
}

/// How the index of a tenant's environment is on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexState {
    /// How far it is behind.
    pub lag: Lag,
    /// Records in it.
    pub records: Option<u64>,
    /// Up to when it has read the feed of changes.
    pub read_until: Option<Timestamp>,
    /// Whether a new one is being built.
    pub rebuilding: bool,
}

/// Records as they are shown; blocks.
pub(super) fn shown(entries: Vec<(f32, Entry)>, parts: &[Part]) -> Vec<Hit> {
    let mut analyzer = words::analyzer();
    let shown = |(score, entry): (f32, Entry)| Hit {
        kind: entry.kind,
        id: entry.id().to_owned(),
        revision: entry.revision,
        score,
        highlights: Highlights {
            title: mark::whole(&mut analyzer, &entry.title, parts),
            body: mark::excerpt(&mut analyzer, &entry.body, parts),
        },
        title: entry.title,
        tags: entry.tags,
    };
    entries.into_iter().map(shown).collect()
}
