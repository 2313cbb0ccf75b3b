//! Where records are stored, and as what.

use identity::Scope;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use store::{DocKey, Document, Partition, StoreError};

use crate::{Id, IdempotencyKey, Model, NexusError};

/// What the ids of documents begin with: personal records are stored under their user, so
/// that nobody else's request can name them.
pub(crate) fn prefix<M: Model>(scope: &Scope) -> String {
    if M::PERSONAL {
        format!("{}/", scope.user())
    } else {
        String::new()
    }
}

/// The id of a record, of which `document` is the document's.
pub(crate) fn id_in<M: Model>(document: &Document) -> Result<Id<M>, NexusError> {
    let id = document.id.rsplit('/').next().unwrap_or_default();
    id.parse().map_err(|_| damaged(document))
}

pub(crate) fn live<M: Model>(scope: &Scope, id: &Id<M>) -> DocKey {
    let id = format!("{}{id}", prefix::<M>(scope));
    DocKey::new(&Partition::in_scope(scope, M::KIND), id)
}

pub(crate) fn deleted<M: Model>(scope: &Scope, id: &Id<M>) -> DocKey {
    let id = format!("{}/{}{id}", M::KIND, prefix::<M>(scope));
    DocKey::new(&Partition::in_scope(scope, "deleted_records"), id)
}

/// Says which record has a slot.
pub(crate) fn slot<M: Model>(scope: &Scope, slot: &str) -> DocKey {
    let id = format!("{}/{slot}", M::KIND);
    DocKey::new(&Partition::in_scope(scope, "record_slots"), id)
}

/// The partition of the members of groups.
pub(crate) fn groups(scope: &Scope) -> Partition {
    Partition::in_scope(scope, "record_groups")
}

/// What the members of a group of the user begin with.
pub(crate) fn group<M: Model>(scope: &Scope, group: &str) -> String {
    format!("{}/{}/{group}/", M::KIND, scope.user())
}

/// A key belongs to its user, so that nobody finds another's record with it.
pub(crate) fn idempotency_key<M: Model>(scope: &Scope, key: &IdempotencyKey) -> DocKey {
    let id = format!("{}/{}/{}", M::KIND, scope.user(), key.as_str());
    DocKey::new(&Partition::in_scope(scope, "record_keys"), id)
}

pub(crate) fn fingerprint<T: Serialize>(asked: &T) -> String {
    let text = serde_json::to_vec(asked).unwrap_or_default();
    let hash = Sha256::digest(text);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, NexusError> {
    let encoded = serde_json::to_vec(value);
    encoded.map_err(|error| StoreError::Corrupt(error.to_string()).into())
}

pub(crate) fn decode<T: DeserializeOwned>(document: &Document) -> Result<T, NexusError> {
    serde_json::from_slice(&document.value).map_err(|_| damaged(document))
}

pub(crate) fn damaged(document: &Document) -> NexusError {
    StoreError::Corrupt(format!("the record {} is damaged", document.id)).into()
}
