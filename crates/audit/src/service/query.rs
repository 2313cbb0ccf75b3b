//! Questions to a log: which records, in the order of their seqs.

use std::sync::Arc;

use identity::{Scope, Timestamp};

use store::READ_EVENTS_MAX;

use super::{
    Audit, Entry, LogId, ReadError, leaves::Leaves, logs::Log, reader::changes_too_often,
    stored::StoredHead,
};
use crate::{
    Field, Hash, LeafActor, LeafTargetId, Seq,
    index::{self, IndexError, Term},
};

/// Records that one question looks at; the answer says where to go on.
pub const LOOKED_AT_MAX: usize = 2_000;
/// How often one question asks the index; so it reads a bounded number of pages.
const LOOKUPS_MAX: usize = 8;
/// So many candidates are asked for at least, because some may be none.
const CANDIDATES_MIN: usize = 64;
/// How often a question is tried again because the log changed meanwhile.
const TRIES_MAX: usize = 8;
/// From this try on, a page that is not there counts as lost.
const STALE_MAX: usize = 4;

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
    /// The hash of the caller's idempotency key.
    pub idempotency: Option<Hash>,
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// Not after this moment.
    pub to: Option<Timestamp>,
}

/// A part of the answer.
#[derive(Debug, Clone, PartialEq, Default)]
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
            && (self.idempotency.is_none() || self.idempotency == entry.leaf.idempotency)
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
    /// The index of the log names the records that may be among them; those that it does
    /// not know yet, about the last second's, are looked through. So the cost grows
    /// with the answer, and not with the log.
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
        match self.logs.find(&LogId::of(scope)).await? {
            Some(log) => self.query_log(&log, filter, after, limit).await,
            None => Ok(EntryPage::default()),
        }
    }

    /// See [`Audit::query`].
    pub(super) async fn query_log(
        &self,
        log: &Arc<Log>,
        filter: &Filter,
        after: u64,
        limit: usize,
    ) -> Result<EntryPage, ReadError> {
        let terms = self.asked(&log.id.tenant, filter).await?;
        let mut indexed = *filter != Filter::default();
        for tried in 0..TRIES_MAX {
            let head = self.head_of(log).await?;
            let mut search = Search {
                audit: self,
                log,
                head: &head,
                leaves: Leaves::new(log, &head.state),
                filter,
                limit,
                looked_at: 0,
                entries: Vec::new(),
                at: after.max(head.oldest() - 1),
            };
            match search.find(indexed.then_some(&terms)).await {
                Ok(next) => {
                    return Ok(EntryPage {
                        entries: search.entries,
                        next,
                    });
                }
                // The log was integrated, or trimmed, meanwhile.
                Err(Failed::Read(ReadError::Removed { .. })) => {}
                Err(Failed::Index(IndexError::Stale)) if tried < STALE_MAX => {}
                Err(Failed::Read(error)) => return Err(error),
                Err(Failed::Index(error)) => {
                    tracing::error!(log = %log.id, %error, "an audit index cannot be used");
                    if self.logs.are_tended() {
                        log.lose_index();
                        self.logs.mark(log);
                    }
                    indexed = false;
                }
            }
        }
        Err(changes_too_often().into())
    }
}

/// Why a search came to no end.
enum Failed {
    Read(ReadError),
    Index(IndexError),
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<IndexError> for Failed {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Store(error) => Self::Read(error.into()),
            other => Self::Index(other),
        }
    }
}

/// One look through a log as one head tells of it.
struct Search<'a> {
    audit: &'a Audit,
    log: &'a Log,
    head: &'a StoredHead,
    leaves: Leaves<'a>,
    filter: &'a Filter,
    limit: usize,
    looked_at: usize,
    entries: Vec<Entry>,
    /// Everything up to this seq was considered.
    at: u64,
}

impl Search<'_> {
    /// Finds what there is, by the index if `terms` are given; returns where to go on.
    async fn find(&mut self, terms: Option<&Vec<Vec<Term>>>) -> Result<Option<u64>, Failed> {
        let goes_on = match terms {
            Some(terms) => self.look_up(terms).await?,
            None => true,
        };
        if goes_on && self.look_through().await? {
            return Ok(None);
        }
        Ok(Some(self.at))
    }

    fn is_done(&self) -> bool {
        self.entries.len() >= self.limit || self.looked_at >= LOOKED_AT_MAX
    }

    /// Looks at the records that the index names; whether there may be more after it.
    async fn look_up(&mut self, terms: &[Vec<Term>]) -> Result<bool, Failed> {
        let (audit, index) = (self.audit, &self.head.index);
        let pages = audit.layout.index(&audit.documents, &self.log.id);
        let last = self.head.indexed();
        let mut query = index::Query {
            terms: terms.to_vec(),
            after: None,
            from: self.filter.from,
            to: self.filter.to,
            limit: 0,
        };
        for _ in 0..LOOKUPS_MAX {
            if self.at >= last {
                return Ok(true);
            }
            query.after = Seq::try_from(self.at).ok();
            query.limit = (self.limit - self.entries.len()).max(CANDIDATES_MIN);
            let found = index.candidates(&pages, &query).await?;
            for run in found.seqs.chunk_by(|a, b| a.get() + 1 == b.get()) {
                self.look_at(run).await?;
                if self.is_done() {
                    return Ok(false);
                }
            }
            self.at = self.at.max(found.next_after.map_or(0, Seq::get));
        }
        Ok(self.at >= last)
    }

    /// Looks at records that follow each other.
    async fn look_at(&mut self, run: &[Seq]) -> Result<(), ReadError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return Ok(());
        };
        self.at = first.index();
        while self.at < last.get() && !self.is_done() {
            let limit = usize::try_from(last.get() - self.at).unwrap_or(READ_EVENTS_MAX);
            if !self.take(limit).await? {
                return Err(self.audit.missing(self.log, self.at + 1).await);
            }
        }
        Ok(())
    }

    /// Looks at the records that are left; whether there are no more.
    async fn look_through(&mut self) -> Result<bool, ReadError> {
        let wanted = *self.filter == Filter::default();
        while !self.is_done() {
            let missing = self.limit - self.entries.len();
            let limit = if wanted { missing } else { CANDIDATES_MIN };
            if !self.take(limit).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks at up to `limit` records after the last; whether there was one.
    async fn take(&mut self, limit: usize) -> Result<bool, ReadError> {
        let (audit, leaves) = (self.audit, &mut self.leaves);
        let entries = audit.entries_after(leaves, self.at, limit).await?;
        let some = !entries.is_empty();
        for entry in entries {
            if self.is_done() {
                break;
            }
            self.looked_at += 1;
            self.at = entry.seq.get();
            if self.filter.takes(&entry) {
                self.entries.push(entry);
            }
        }
        Ok(some)
    }
}
