//! Which kinds of records are searched, and how they are read.

use identity::{Action, Role, Scope, Timestamp};
use store::{Document, Partition};

use crate::{Atom, Card, Memory, Model, NexusError, Pack, Snippet, keys::decode, record::Stored};

/// A kind that is searched, without its type.
#[derive(Clone, Copy)]
pub(super) struct Searched {
    /// What it is called.
    pub(super) kind: &'static str,
    /// Who may read it.
    role: Role,
    read: fn(&Document) -> Result<Entry, NexusError>,
}

/// A record as the search knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: &'static str,
    /// The id of its document, which of a personal record is its user, `/` and its id.
    pub(super) place: String,
    pub(super) revision: u64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) tags: Vec<String>,
    /// The user who alone finds it, or the project in which alone it is found.
    pub(super) reader: Option<String>,
    /// When it ends by itself, if it does.
    pub(super) ends: Option<Timestamp>,
}

impl Searched {
    const fn of<M: Model>() -> Self {
        Self {
            kind: M::KIND,
            role: <M::Read as Action>::ROLE,
            read: entry::<M>,
        }
    }

    /// All of them.
    pub(super) const ALL: [Self; 5] = [
        Self::of::<Card>(),
        Self::of::<Atom>(),
        Self::of::<Pack>(),
        Self::of::<Memory>(),
        Self::of::<Snippet>(),
    ];

    /// The kind by its name.
    pub(super) fn named(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|searched| searched.kind == kind)
    }

    /// Where the records of a scope are.
    pub(super) fn partition(self, scope: &Scope) -> Partition {
        Partition::in_scope(scope, self.kind)
    }

    /// Whether the caller may read records of the kind.
    pub(super) fn is_open_to(self, scope: &Scope) -> bool {
        scope.auth().role() >= self.role
    }

    /// The record in a document; a damaged one is not found.
    pub(super) fn entry(self, document: &Document) -> Option<Entry> {
        let entry = (self.read)(document);
        if let Err(error) = &entry {
            tracing::warn!(%error, kind = self.kind, "a record is not searched");
        }
        entry.ok()
    }
}

impl Entry {
    /// Whether one of `readers` may find it.
    pub(super) fn is_for(&self, readers: &[String]) -> bool {
        let reader = self.reader.as_ref();
        reader.is_none_or(|reader| readers.contains(reader))
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        let (_, id) = self.place.rsplit_once('/').unwrap_or(("", &self.place));
        id
    }

    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(String::len).sum();
        self.title.len() + self.body.len() + tags
    }
}

fn entry<M: Model>(document: &Document) -> Result<Entry, NexusError> {
    let stored: Stored<M> = decode(document)?;
    let (indexed, ends) = (stored.value.indexed(), stored.value.expires_at());
    Ok(Entry {
        kind: M::KIND,
        place: document.id.clone(),
        revision: stored.revision,
        title: indexed.title.into_owned(),
        body: indexed.body.into_owned(),
        tags: indexed.tags.into_owned(),
        reader: reader(&stored),
        ends,
    })
}

/// For whom a record is; ids of users and of projects differ in how they begin.
fn reader<M: Model>(stored: &Stored<M>) -> Option<String> {
    if M::PERSONAL {
        return Some(stored.created_by.to_string());
    }
    M::OF_PROJECT.then(|| stored.project.to_string())
}
