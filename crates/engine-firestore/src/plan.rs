//! A batch as the writes of one commit.
//!
//! A commit takes a document once, so what a batch expects of it and does to it become one write.
//! What is expected alone becomes a `verify`.

use std::collections::{HashMap, hash_map::Entry};

use gcloud_sdk::google::firestore::v1::{Precondition, precondition::ConditionType};
use identity::Timestamp;
use store::{Batch, DocKey, Expect, Write};

use crate::{
    names::{Names, Token},
    record::{self, UpdateTime},
    wire::{self, Operation},
};

/// Documents that have ended and are still stored, by their keys: who expects nothing there
/// expects them as they are.
pub(crate) type Ended = HashMap<DocKey, UpdateTime>;

/// What is done with one document.
struct Step<'a> {
    key: &'a DocKey,
    expect: Option<Expect>,
    write: Option<&'a Write>,
}

/// What is done with each document of a batch.
pub(crate) struct Plan<'a> {
    steps: Vec<Step<'a>>,
    something_ends: bool,
    contradicts_itself: bool,
}

impl<'a> Plan<'a> {
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let mut plan = Self {
            steps: Vec::new(),
            something_ends: batch.writes().iter().any(|(_, write)| end(write).is_some()),
            contradicts_itself: false,
        };
        let mut places = HashMap::new();
        for (key, expect) in batch.expectations() {
            let step = plan.step(&mut places, key);
            let former = step.and_then(|step| step.expect.replace(*expect));
            plan.contradicts_itself |= former.is_some_and(|former| former != *expect);
        }
        for (key, write) in batch.writes() {
            if let Some(step) = plan.step(&mut places, key) {
                step.write = Some(write);
            }
        }
        plan
    }

    fn step(
        &mut self,
        places: &mut HashMap<&'a DocKey, usize>,
        key: &'a DocKey,
    ) -> Option<&mut Step<'a>> {
        let place = match places.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.steps.push(Step {
                    key,
                    expect: None,
                    write: None,
                });
                *new.insert(self.steps.len() - 1)
            }
        };
        self.steps.get_mut(place)
    }

    /// A document that the batch puts ends.
    pub(crate) fn something_ends(&self) -> bool {
        self.something_ends
    }

    /// Two expectations of one document differ, so one of them does not hold.
    pub(crate) fn contradicts_itself(&self) -> bool {
        self.contradicts_itself
    }

    /// The documents of which something is expected.
    pub(crate) fn expected(&self) -> impl Iterator<Item = &'a DocKey> {
        let expected = self.steps.iter().filter(|step| step.expect.is_some());
        expected.map(|step| step.key)
    }

    /// The documents that are put, and when they end.
    pub(crate) fn puts(&self) -> impl Iterator<Item = (&'a DocKey, Option<Timestamp>)> {
        self.steps.iter().filter_map(|step| match step.write? {
            Write::Put { expires_at, .. } => Some((step.key, *expires_at)),
            Write::Delete => None,
        })
    }

    /// The writes of the commit `token`.
    pub(crate) fn writes(
        &self,
        names: &Names,
        token: Token,
        ended: &Ended,
    ) -> impl Iterator<Item = wire::Write> {
        self.steps.iter().map(move |step| {
            let name = names.document(step.key);
            let expect = |expect| precondition(expect, ended.get(step.key).copied());
            wire::Write {
                current_document: step.expect.map(expect),
                operation: Some(self.operation(step, name, token)),
            }
        })
    }

    fn operation(&self, step: &Step<'_>, name: String, token: Token) -> Operation {
        match step.write {
            Some(Write::Put { value, expires_at }) => Operation::Update(record::stored(
                name,
                value,
                token,
                *expires_at,
                self.something_ends,
            )),
            Some(Write::Delete) => Operation::Delete(name),
            None => Operation::Verify(name),
        }
    }
}

fn end(write: &Write) -> Option<Timestamp> {
    match write {
        Write::Put { expires_at, .. } => *expires_at,
        Write::Delete => None,
    }
}

fn precondition(expect: Expect, ended: Option<UpdateTime>) -> Precondition {
    let condition = match (expect, ended) {
        (Expect::Absent, None) => ConditionType::Exists(false),
        (Expect::Absent, Some(updated)) => ConditionType::UpdateTime(updated.moment()),
        (Expect::Version(version), _) => {
            ConditionType::UpdateTime(UpdateTime::of_version(version).moment())
        }
    };
    Precondition {
        condition_type: Some(condition),
    }
}

/// The receipt of a commit, or a seal in its place: whichever is first keeps the other out.
pub(crate) fn receipt(name: String, ends: Timestamp, sealed: bool) -> wire::Write {
    let receipt = record::receipt(name, ends, sealed);
    wire::Write {
        current_document: Some(precondition(Expect::Absent, None)),
        operation: Some(Operation::Update(receipt)),
    }
}
