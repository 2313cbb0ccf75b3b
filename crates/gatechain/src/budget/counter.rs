//! What is stored of a budget: the counter, and the slices that are lent.

use std::collections::BTreeMap;

use identity::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use smol_str::SmolStr;
use store::{DocKey, Documents, StoreError, Version};

use crate::stored;

/// What is known of a budget in one window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counter {
    /// What was spent from slices that were given back.
    pub(super) spent: u64,
    /// What is lent.
    pub(super) slices: BTreeMap<SmolStr, Lent>,
}

/// A slice as the counter knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lent {
    pub(super) granted: u64,
    pub(super) until: Timestamp,
}

/// A slice as its borrower keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slice {
    pub(super) granted: u64,
    pub(super) spent: u64,
}

impl Counter {
    /// What is spent or lent: all that the limit has to hold.
    pub(super) fn taken(&self) -> u64 {
        let lent = self.slices.values().map(|lent| lent.granted);
        lent.fold(self.spent, u64::saturating_add)
    }

    /// Slices whose lease has ended.
    pub(super) fn ended(&self, now: Timestamp) -> Vec<SmolStr> {
        let ended = self.slices.iter().filter(|(_, lent)| lent.until <= now);
        ended.map(|(id, _)| id.clone()).collect()
    }

    /// Takes back a slice from which `spent` was spent.
    pub(super) fn take_back(&mut self, id: &str, spent: u64) {
        if self.slices.remove(id).is_some() {
            self.spent = self.spent.saturating_add(spent);
        }
    }
}

/// A value and its state; a document that is not there has none.
pub(super) struct Stored<T> {
    pub(super) value: T,
    pub(super) version: Option<Version>,
}

pub(super) async fn read<T: DeserializeOwned>(
    documents: &dyn Documents,
    key: &DocKey,
) -> Result<Option<Stored<T>>, StoreError> {
    let Some(document) = documents.get(key).await? else {
        return Ok(None);
    };
    Ok(Some(Stored {
        value: opened(key, &document.value)?,
        version: Some(document.version),
    }))
}

pub(super) fn opened<T: DeserializeOwned>(key: &DocKey, bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = |why| StoreError::Corrupt(format!("{} {}: {why}", key.partition, key.id));
    stored::open(key, bytes).map_err(damaged)
}
