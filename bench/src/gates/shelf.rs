//! Documents in memory: what is measured is the deciding, not an engine.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use store::{
    Batch, CommitError, DocKey, Document, Documents, Expect, Listing, Partition, StoreError,
    Version, Write,
};

#[derive(Default)]
pub(super) struct Shelf(Mutex<Held>);

#[derive(Default)]
struct Held {
    partitions: HashMap<Partition, BTreeMap<String, Document>>,
    last: u64,
}

impl Held {
    fn get(&self, key: &DocKey) -> Option<&Document> {
        self.partitions.get(&key.partition)?.get(&key.id)
    }
}

#[async_trait]
impl Documents for Shelf {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(held.get(key).cloned())
    }

    async fn list(&self, of: &Partition, listing: &Listing) -> Result<Vec<Document>, StoreError> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let documents = held
            .partitions
            .get(of)
            .into_iter()
            .flat_map(BTreeMap::values);
        let documents = documents
            .filter(|one| one.id.starts_with(&listing.prefix))
            .filter(|one| listing.after.as_ref().is_none_or(|after| one.id > *after));
        Ok(documents.take(listing.limit).cloned().collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, expected) in batch.expectations() {
            let found = held.get(key).map(|document| document.version);
            let holds = match expected {
                Expect::Absent => found.is_none(),
                Expect::Version(version) => found == Some(*version),
            };
            if !holds {
                return Err(CommitError::Conflict(key.clone()));
            }
        }
        held.last += 1;
        let version = Version(held.last);
        for (key, write) in batch.writes() {
            let partition = held.partitions.entry(key.partition.clone()).or_default();
            match write {
                Write::Delete => drop(partition.remove(&key.id)),
                Write::Put { value, .. } => {
                    let document = Document {
                        id: key.id.clone(),
                        version,
                        value: value.clone(),
                        expires_at: None,
                    };
                    partition.insert(key.id.clone(), document);
                }
            }
        }
        Ok(version)
    }
}
