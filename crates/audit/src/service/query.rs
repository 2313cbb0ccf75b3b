//! Questions to a log: which records, in the order of their seqs.

use identity::{Scope, Timestamp};

use super::{Audit, Entry, ReadError};
use crate::{Field, LeafActor, LeafTargetId};

/// Records that one question looks at; the answer says where to go on.
pub const LOOKED_AT_MAX: usize = 2_000;

/// What records must be like; what is absent is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The id of the user who acted, or the part of the system.
    pub actor: Option<String>,
    /// The action, whole.
    pub action: Option<String>,
    /// The id of what was acted upon.
    pub target: Option<String>,
    /// The request.
    pub trace_id: Option<String>,
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// Not after this moment.
    pub to: Option<Timestamp>,
}

/// A part of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryPage {
    /// In the order of their seqs.
    pub entries: Vec<Entry>,
    /// Ask again after this seq; `None` when everything that is there was looked at.
    pub next: Option<u64>,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let is = |asked: &Option<String>, found: Option<&str>| {
            asked.as_deref().is_none_or(|asked| found == Some(asked))
        };
        is(&self.actor, actor(entry))
            && is(&self.action, Some(entry.leaf.action.as_str()))
            && is(&self.target, target(entry))
            && is(&self.trace_id, Some(entry.leaf.request_id.as_str()))
            && self.from.is_none_or(|from| entry.leaf.time >= from)
            && self.to.is_none_or(|to| entry.leaf.time <= to)
    }
}

/// Who acted, if it is known still.
pub(crate) fn actor(entry: &Entry) -> Option<&str> {
    match &entry.leaf.actor {
        LeafActor::User { .. } => opened(entry, &Field::ActorId),
        LeafActor::System { name } => Some(name.as_str()),
        LeafActor::Anonymous {} => None,
    }
}

/// What was acted upon, if it is known still.
pub(crate) fn target(entry: &Entry) -> Option<&str> {
    match &entry.leaf.target.as_ref()?.id {
        LeafTargetId::Thing(id) => Some(id),
        LeafTargetId::User(_) => opened(entry, &Field::TargetId),
    }
}

fn opened<'a>(entry: &'a Entry, field: &Field) -> Option<&'a str> {
    let opening = entry.opened.fields.get(field)?;
    Some(&opening.value)
}

impl Audit {
    /// Up to `limit` records of the scope's log after the seq `after` that `filter` takes.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn query(
        &self,
        scope: &Scope,
        filter: &Filter,
        after: u64,
        limit: usize,
    ) -> Result<EntryPage, ReadError> {
        let mut page = EntryPage {
            entries: Vec::new(),
            next: Some(after),
        };
        let mut looked_at = 0;
        while looked_at < LOOKED_AT_MAX {
            let from = page.next.unwrap_or(after);
            let some = self.entries(scope, from, limit).await?;
            if some.is_empty() {
                page.next = None;
                return Ok(page);
            }
            looked_at += some.len();
            for entry in some {
                page.next = Some(entry.seq.get());
                if filter.takes(&entry) {
                    page.entries.push(entry);
                }
                if page.entries.len() == limit {
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }
}
