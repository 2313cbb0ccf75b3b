//! Sealing: personal values under the keys of their subjects.
//!
//! [`seal`] turns an event into a [`Record`]: a leaf with a commitment for each
//! personal value, and one box per subject with the values and their salts,
//! encrypted with AES-256-GCM under the subject's key. Destroying that key is
//! erasure: the leaf, its hash and every proof stay as they were.
//!
//! A box is bound to its leaf: the hash of the leaf, which names tenant,
//! environment and commitments, is its associated data.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use identity::{Entropy, UserId};

use crate::{
    Actor, DatasetEvent, Field, Hash, Leaf, LeafActor, LeafError, LeafTarget, LeafTargetId,
    Opening, Record, Salt, TargetId,
    event::{PERSONAL_MAX, PERSONAL_VALUE_BYTES_MAX},
};

mod boxes;
mod key;
mod open;

pub use boxes::{InvalidSealed, SEALED_BYTES_MAX, key_ids};
pub use key::{KEY_ID_BYTES, KeyId, SUBJECT_KEY_BYTES, SubjectKey};
pub use open::{OpenError, Opened, check_openings, open};

/// The keys of an event's subjects.
pub type SubjectKeys = HashMap<UserId, Arc<SubjectKey>>;

/// Why an event cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The record would be too large or could not be read back.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// A personal value is too long, named twice, or there are too many.
    #[error("a personal value is not acceptable: {0}")]
    Personal(&'static str),
    /// A subject has no key.
    #[error("a subject of the event has no key")]
    KeyMissing,
    /// The cipher refused.
    #[error("the personal values could not be encrypted")]
    Cipher,
}

/// Makes the record of `event`, with fresh salts and nonces from `entropy`.
///
/// `keys` holds a key for each of [`DatasetEvent::subjects`].
///
/// # Errors
/// As [`SealError`] says; nothing is ever cut to fit.
pub fn seal(
    event: &DatasetEvent,
    keys: &SubjectKeys,
    entropy: &dyn Entropy,
) -> Result<Record, SealError> {
    seal_leaf(event, keys, entropy).map(|sealed| sealed.record)
}

/// A record, with what would have to be worked out again of its bytes.
pub(crate) struct SealedLeaf {
    pub(crate) record: Record,
    pub(crate) leaf: Leaf,
    /// The hash of the leaf, as it stands in the tree.
    pub(crate) hash: Hash,
}

/// See [`seal`].
pub(crate) fn seal_leaf(
    event: &DatasetEvent,
    keys: &SubjectKeys,
    entropy: &dyn Entropy,
) -> Result<SealedLeaf, SealError> {
    let mut personal = Committing {
        entropy,
        subjects: BTreeMap::new(),
    };
    let leaf = leaf_of(event, &mut personal)?;
    let bytes = leaf.encode()?;
    let hash = Hash::of_leaf(&bytes);
    let sealed = boxes::seal(hash, &personal.subjects, keys, entropy)?;
    let record = Record {
        leaf: bytes,
        sealed,
    };
    Ok(SealedLeaf { record, leaf, hash })
}

/// What is sealed for each subject.
type Openings<'a> = BTreeMap<&'a UserId, BTreeMap<Field, Opening>>;

struct Committing<'a> {
    entropy: &'a dyn Entropy,
    subjects: Openings<'a>,
}

impl<'a> Committing<'a> {
    fn commit(&mut self, subject: &'a UserId, field: Field, value: &str) -> crate::Commitment {
        let opening = Opening {
            salt: Salt::generate(self.entropy),
            value: value.to_owned(),
        };
        let made = opening.commitment(&field);
        self.subjects
            .entry(subject)
            .or_default()
            .insert(field, opening);
        made
    }
}

fn leaf_of<'a>(event: &'a DatasetEvent, personal: &mut Committing<'a>) -> Result<Leaf, SealError> {
    if event.personal.len() > PERSONAL_MAX {
        return Err(SealError::Personal("there are too many"));
    }
    let actor = match &event.actor {
        Actor::User { id, role } => LeafActor::User {
            id: personal.commit(id, Field::ActorId, id.as_str()),
            role: *role,
        },
        Actor::System(name) => LeafActor::System { name: name.clone() },
        Actor::Anonymous => LeafActor::Anonymous {},
    };
    let target = event.target.as_ref().map(|target| LeafTarget {
        kind: target.kind.clone(),
        id: match &target.id {
            TargetId::Thing(id) => LeafTargetId::Thing(id.clone()),
            TargetId::User(id) => {
                LeafTargetId::User(personal.commit(id, Field::TargetId, id.as_str()))
            }
        },
    });
    let mut values = BTreeMap::new();
    for value in &event.personal {
        if value.value.len() > PERSONAL_VALUE_BYTES_MAX {
            return Err(SealError::Personal("it is too long"));
        }
        let field = Field::Personal(value.name.clone());
        let made = personal.commit(&value.subject, field, &value.value);
        if values.insert(value.name.clone(), made).is_some() {
            return Err(SealError::Personal("it is named twice"));
        }
    }
    Ok(Leaf {
        tenant: event.tenant.clone(),
        env: event.env,
        project: event.project.clone(),
        time: event.time,
        action: event.action.clone(),
        phase: event.phase.clone(),
        actor,
        target,
        request_id: event.request_id.clone(),
        traceparent: event.traceparent.clone(),
        training: event.training.clone(),
        idempotency: event.idempotency,
        repeated: event.repeated,
        metadata: event.metadata.clone(),
        personal: values,
    })
}
