//! Where records are stored, and as what.

use identity::Scope;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use store::{DocKey, Document, Partition, StoreError};

use crate::{Id, IdempotencyKey, Model, NexusError};

pub(crate) fn live<M: Model>(scope: &Scope, id: &Id<M>) -> DocKey {
    DocKey::new(&Partition::in_scope(scope, M::KIND), id.as_str())
}

pub(crate) fn deleted<M: Model>(scope: &Scope, id: &Id<M>) -> DocKey {
    let id = format!("{}/{id}", M::KIND);
    DocKey::new(&Partition::in_scope(scope, "deleted_records"), id)
}

/// A key belongs to its user, so that nobody finds another's record with it.
pub(crate) fn idempotency_key<M: Model>(scope: &Scope, key: &IdempotencyKey) -> DocKey {
    let id = format!("{}/{}/{}", M::KIND, scope.user(), key.as_str());
    DocKey::new(&Partition::in_scope(scope, "record_keys"), id)
}

pub(crate) fn fingerprint<M: Model>(value: &M) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
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
