//! Queries: the records that may match, in the order of the log.

use std::ops::RangeInclusive;

use identity::Timestamp;

use super::{
    Index, IndexError, Pages, Term,
    entry::millis,
    reader::{Allowance, Part, Stop},
};
use crate::Seq;

/// Most candidates of one answer.
pub const CANDIDATES_MAX: usize = 1000;
/// Most terms of a query, together.
pub const QUERY_TERMS_MAX: usize = 64;
/// Most pages that one call reads, each from the store.
pub const QUERY_READS_MAX: usize = 256;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Of each group a record has one term at least; without groups, all records are asked for.
    /// At most [`QUERY_TERMS_MAX`] terms together.
    pub terms: Vec<Vec<Term>>,
    /// Only records after this one.
    pub after: Option<Seq>,
    /// Only records that happened then or later.
    pub from: Option<Timestamp>,
    /// Only records that happened then or earlier.
    pub to: Option<Timestamp>,
    /// At most so many, 1 to [`CANDIDATES_MAX`]; it is clamped.
    pub limit: usize,
}

/// Records that may match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// Their places, rising. Each is to be checked against its record.
    pub seqs: Vec<Seq>,
    /// Where to go on: every record that matches, up to this one, was in `seqs`.
    pub next_after: Option<Seq>,
    /// Whether the index has no more. Records after [`Index::last`] are not known to it.
    pub complete: bool,
}

impl Index {
    /// Finds records that may match `query`, in bounded work.
    ///
    /// An answer that is not complete may be short, or empty: the call read
    /// [`QUERY_READS_MAX`] pages, and got on by one record at least.
    ///
    /// # Errors
    /// [`IndexError::Refused`] for too many terms; [`IndexError::Stale`] when pages that this
    /// state knows are gone, so that it is to be read again; [`IndexError::Damaged`];
    /// [`IndexError::Store`].
    pub async fn candidates(&self, pages: &Pages, query: &Query) -> Result<Candidates, IndexError> {
        if query.terms.iter().map(Vec::len).sum::<usize>() > QUERY_TERMS_MAX {
            return Err(IndexError::Refused);
        }
        let mut search = Search::new(self, pages, query);
        let parts = self.segments().map(Part::of_segment);
        for mut part in parts.chain(Part::of_tail(self)) {
            if *part.seqs.end() < search.next {
                continue;
            }
            match search.part(&mut part).await {
                Ok(()) if search.is_full() => return search.answer(self.last),
                Ok(()) => search.next = search.next.max(part.seqs.end() + 1),
                Err(Stop::Spent) => return search.answer(self.last),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        search.answer(self.last)
    }
}

struct Search<'a> {
    allowance: Allowance<'a>,
    /// The hashes of the terms, the groups of the rarest fields first.
    groups: Vec<Vec<u64>>,
    times: Option<RangeInclusive<u64>>,
    limit: usize,
    /// The first record that was not considered.
    next: u64,
    found: Vec<u64>,
}

impl<'a> Search<'a> {
    fn new(index: &Index, pages: &'a Pages, query: &Query) -> Self {
        let mut groups = query.terms.clone();
        groups.iter_mut().for_each(|group| group.sort_unstable());
        groups.sort_unstable();
        let hashes = |group: Vec<Term>| group.into_iter().map(Term::hash).collect();
        let times = (query.from.is_some() || query.to.is_some())
            .then(|| query.from.map_or(0, millis)..=query.to.map_or(u64::MAX, millis));
        Self {
            allowance: Allowance {
                pages,
                reads: QUERY_READS_MAX,
            },
            groups: groups.into_iter().map(hashes).collect(),
            times,
            limit: query.limit.clamp(1, CANDIDATES_MAX),
            next: query.after.map_or(1, |seq| seq.get() + 1).max(index.floor),
            found: Vec::new(),
        }
    }

    const fn is_full(&self) -> bool {
        self.found.len() >= self.limit
    }

    /// Takes what one part has from `next` on.
    async fn part(&mut self, part: &mut Part<'_>) -> Result<(), Stop> {
        let mut seqs = part.seqs.clone();
        if let Some(times) = &self.times {
            match part.within(&mut self.allowance, times).await? {
                Some(within) => seqs = within,
                None => return Ok(()),
            }
        }
        self.next = self.next.max(*seqs.start());
        while self.next <= *seqs.end() && !self.is_full() {
            match self.agree(part).await? {
                Some(seq) if seq == self.next => {
                    self.found.push(seq);
                    self.next += 1;
                }
                // Nothing between has a term of each group.
                Some(seq) => self.next = seq,
                None => break,
            }
        }
        Ok(())
    }

    /// `next`, if it has a term of each group; or the first record after it that the first
    /// group without it has; `None` when a group has none.
    async fn agree(&mut self, part: &mut Part<'_>) -> Result<Option<u64>, Stop> {
        for group in &self.groups {
            let mut first: Option<u64> = None;
            for term in group {
                let found = part.posting(&mut self.allowance, *term, self.next).await?;
                first = first.into_iter().chain(found).min();
            }
            if first != Some(self.next) {
                return Ok(first);
            }
        }
        Ok(Some(self.next))
    }

    fn answer(self, last: u64) -> Result<Candidates, IndexError> {
        let seq = |seq: u64| Seq::try_from(seq).map_err(|_| IndexError::Damaged);
        let seqs: Result<Vec<Seq>, _> = self.found.into_iter().map(seq).collect();
        Ok(Candidates {
            seqs: seqs?,
            next_after: Seq::try_from(self.next - 1).ok(),
            complete: self.next > last,
        })
    }
}
