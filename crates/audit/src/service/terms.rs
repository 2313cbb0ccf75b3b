//! What a record is found by in the index of its log.
//!
//! Names that are no one's, such as an action, a request or the id of a thing, are in the leaf in clear,
//! and their terms are plain hashes. A person's id is neither in the leaf nor
//! hashed into a term, because whoever guesses an id could look for its hash. A person
//! is found by the **id of the key** that seals the person's values: it was drawn by chance, it
//! stands on the record's sealed part anyway, and nothing but the document of the key
//! says whose it is. Erasure destroys that document, so afterwards nobody, whoever
//! holds the index, can say which terms were the person's, and a query by the id asks for nothing.
//!
//! Indexing therefore opens nothing and needs no key: the trees never wait for a secret.
//!
//! **Invariant:** a record has a term of every key that may have sealed the id of its
//! actor or target. Where several persons' values are sealed, which is whose shows
//! only when they are opened, so each key counts for both; the query looks.

use std::collections::BTreeSet;

use identity::TenantId;
use store::StoreError;

use super::{Audit, Filter};
use crate::{
    Hash, Leaf, LeafActor, LeafTargetId, Record,
    index::{IndexField, TERMS_MAX, Term},
    seal::{InvalidSealed, KeyId, key_ids},
};

/// Keys of one person that a query asks for; with more, it looks at records of everyone.
const KEYS_ASKED_MAX: usize = 24;
/// Action, request, idempotency key, and two for each box that a sealed part can have, the actor's,
/// the target's and those of further values.
const TERMS: usize = 3 + 2 * (2 + crate::event::PERSONAL_MAX);
const _: () = assert!(TERMS <= TERMS_MAX);

/// The terms of a record.
pub(super) fn terms(record: &Record, leaf: &Leaf) -> Result<Vec<Term>, InvalidSealed> {
    let keys = key_ids(&record.sealed)?;
    let by_keys = |field| keys.iter().map(move |key| of_key(field, *key));
    let mut terms = vec![
        Term::new(IndexField::Action, leaf.action.as_str().as_bytes()),
        Term::new(IndexField::TraceId, leaf.request_id.as_str().as_bytes()),
    ];
    terms.extend(leaf.idempotency.map(of_idempotency));
    match &leaf.actor {
        LeafActor::User { .. } => terms.extend(by_keys(IndexField::Actor)),
        LeafActor::System { name } => terms.push(of_name(IndexField::Actor, name.as_str())),
        LeafActor::Anonymous {} => {}
    }
    match leaf.target.as_ref().map(|target| &target.id) {
        Some(LeafTargetId::User(_)) => terms.extend(by_keys(IndexField::Target)),
        Some(LeafTargetId::Thing(id)) => terms.push(of_name(IndexField::Target, id)),
        None => {}
    }
    Ok(terms)
}

fn of_idempotency(key: Hash) -> Term {
    Term::new(IndexField::Idempotency, key.as_bytes())
}

fn of_name(field: IndexField, name: &str) -> Term {
    Term::new(field, name.as_bytes())
}

fn of_key(field: IndexField, key: KeyId) -> Term {
    Term::new(field, &key.0)
}

impl Audit {
    /// Groups of terms: a record that `filter` takes has one of each.
    pub(super) async fn asked(
        &self,
        tenant: &TenantId,
        filter: &Filter,
    ) -> Result<Vec<Vec<Term>>, StoreError> {
        let mut groups = Vec::new();
        let plain = [
            (IndexField::TraceId, &filter.trace_id),
            (IndexField::Action, &filter.action),
        ];
        for (field, value) in plain {
            groups.extend(value.as_deref().map(|value| vec![of_name(field, value)]));
        }
        groups.extend(filter.idempotency.map(|key| vec![of_idempotency(key)]));
        let persons = [
            (IndexField::Target, &filter.target),
            (IndexField::Actor, &filter.actor),
        ];
        for (field, id) in persons {
            if let Some(id) = id {
                groups.extend(self.asked_by_id(tenant, field, id).await?);
            }
        }
        Ok(groups)
    }

    /// The terms of an id, which may be a person's or another's; `None` if there are too many.
    async fn asked_by_id(
        &self,
        tenant: &TenantId,
        field: IndexField,
        id: &str,
    ) -> Result<Option<Vec<Term>>, StoreError> {
        let mut terms = BTreeSet::from([of_name(field, id)]);
        if let Ok(person) = id.parse() {
            let keys = self
                .subjects
                .ids(tenant, &person, KEYS_ASKED_MAX + 1)
                .await?;
            if keys.len() > KEYS_ASKED_MAX {
                return Ok(None);
            }
            terms.extend(keys.into_iter().map(|key| of_key(field, key)));
        }
        Ok(Some(terms.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use identity::{Env, RequestId, Timestamp, UserId};

    use super::*;
    use crate::{
        Actor, DatasetEvent, Outcome, Personal, Phase, Target, TargetId, Training,
        seal::{SubjectKey, SubjectKeys, seal},
    };

    struct Counting(std::sync::atomic::AtomicU8);

    impl identity::Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let next = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            bytes.fill(next);
        }
    }

    fn terms_of(
        actor: Actor,
        target: Option<TargetId>,
        persons: &[&str],
    ) -> (Vec<Term>, SubjectKeys) {
        let entropy = Counting(1.into());
        let event = DatasetEvent {
            tenant: "t_a".parse().unwrap(),
            env: Env::Prod,
            project: None,
            time: Timestamp::from_unix_ms(0),
            actor,
            action: "a.do".parse().unwrap(),
            target: target.map(|id| Target {
                kind: "thing".parse().unwrap(),
                id,
            }),
            phase: Phase::Event(Outcome::Done),
            request_id: RequestId::parse("req-1").unwrap(),
            traceparent: None,
            training: Training {
                allowed: false,
                source: "system".into(),
                version: 0,
            },
            idempotency: Some(Hash::of(&[b"key"])),
            repeated: 1,
            metadata: serde_json::Map::new(),
            personal: (0..)
                .zip(persons)
                .map(|(number, id)| Personal {
                    name: format!("value.{number}").parse().unwrap(),
                    subject: user(id),
                    value: "x".to_owned(),
                })
                .collect(),
        };
        let subjects = event.subjects().into_iter();
        let keys: SubjectKeys = subjects
            .map(|id| (id.clone(), SubjectKey::generate(&entropy).into()))
            .collect();
        let record = seal(&event, &keys, &entropy).unwrap();
        let leaf = Leaf::parse(&record.leaf).unwrap();
        (terms(&record, &leaf).unwrap(), keys)
    }

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    fn acting(id: &str) -> Actor {
        Actor::User {
            id: user(id),
            role: None,
        }
    }

    #[test]
    fn a_person_is_a_key_and_never_an_id() {
        let (terms, keys) = terms_of(acting("u_a"), Some(TargetId::User(user("u_b"))), &[]);
        for field in [IndexField::Actor, IndexField::Target] {
            for id in ["u_a", "u_b"] {
                assert!(terms.contains(&of_key(field, keys[&user(id)].id())));
                assert!(!terms.contains(&of_name(field, id)));
            }
        }
        assert_eq!(terms.len(), 7);
    }

    #[test]
    fn who_acts_alone_is_no_target() {
        let thing = Some(TargetId::Thing("th_1".into()));
        let (terms, keys) = terms_of(acting("u_a"), thing, &["u_a"]);
        let key = keys[&user("u_a")].id();
        assert!(terms.contains(&of_key(IndexField::Actor, key)));
        assert!(!terms.contains(&of_key(IndexField::Target, key)));
        assert!(terms.contains(&of_name(IndexField::Target, "th_1")));
        assert!(terms.contains(&of_name(IndexField::Action, "a.do")));
        assert!(terms.contains(&of_name(IndexField::TraceId, "req-1")));
        let recovery = Actor::System("recovery".parse().unwrap());
        let (terms, _) = terms_of(recovery, None, &["u_a"]);
        assert!(terms.contains(&of_name(IndexField::Actor, "recovery")));
        assert_eq!(terms.len(), 4);
    }

    #[test]
    fn the_most_persons_are_not_too_many_terms() {
        let persons = ["u_1", "u_2", "u_3", "u_4", "u_5", "u_6", "u_7", "u_8"];
        let (terms, _) = terms_of(acting("u_a"), Some(TargetId::User(user("u_b"))), &persons);
        assert_eq!(terms.len(), TERMS);
    }
}
