//! The secondary index over documents in memory: against a model, at its cost, and in failures.

mod cost;
mod damage;
mod model;
mod shelf;
mod upkeep;

use identity::Timestamp;
use tenantry_audit::{
    Seq,
    index::{Candidates, Index, IndexError, IndexEvent, IndexField, Pages, Query, Term},
};

pub(super) fn seq(number: u64) -> Seq {
    Seq::try_from(number).unwrap()
}

pub(super) fn time(unix_ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(unix_ms)
}

pub(super) fn term(field: IndexField, value: u64) -> Term {
    Term::new(field, &value.to_be_bytes())
}

/// Asks for records that have all of `terms`.
pub(super) fn each(terms: Vec<Term>) -> Vec<Vec<Term>> {
    terms.into_iter().map(|term| vec![term]).collect()
}

pub(super) fn event(number: u64, unix_ms: i64, terms: Vec<Term>) -> IndexEvent {
    IndexEvent {
        seq: seq(number),
        time: time(unix_ms),
        terms,
    }
}

/// All candidates, call after call; each call gets on.
pub(super) async fn all(
    index: &Index,
    pages: &Pages,
    query: &Query,
) -> Result<Vec<u64>, IndexError> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let Candidates {
            seqs,
            next_after,
            complete,
        } = index.candidates(pages, &query).await?;
        assert!(seqs.len() <= query.limit);
        assert!(seqs.iter().all(|seq| Some(*seq) <= next_after));
        found.extend(seqs.into_iter().map(Seq::get));
        assert!(found.is_sorted_by(|a, b| a < b));
        if complete {
            assert!(next_after >= index.last());
            return Ok(found);
        }
        assert!(next_after > query.after, "a call gets on");
        query.after = next_after;
    }
}
