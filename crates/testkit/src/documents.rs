//! Documents in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use identity::{Clock, Timestamp};
use parking_lot::RwLock;
use store::{
    Batch, CommitError, DocKey, Document, Documents, Expect, LIST_LIMIT_MAX, Listing, Partition,
    StoreError, Version, Write,
};

/// [`Documents`] that live as long as this value.
pub struct MemoryDocuments {
    clock: Arc<dyn Clock>,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    partitions: HashMap<Partition, BTreeMap<String, Stored>>,
    last_version: u64,
}

struct Stored {
    version: Version,
    value: Bytes,
    expires_at: Option<Timestamp>,
}

impl Stored {
    fn document(&self, id: &str) -> Document {
        Document {
            id: id.to_owned(),
            version: self.version,
            value: self.value.clone(),
            expires_at: self.expires_at,
        }
    }
}

impl Held {
    fn get(&self, key: &DocKey, now: Timestamp) -> Option<&Stored> {
        let stored = self.partitions.get(&key.partition)?.get(&key.id)?;
        stored
            .expires_at
            .is_none_or(|end| end > now)
            .then_some(stored)
    }

    fn write(&mut self, key: &DocKey, write: &Write, version: Version) {
        let partition = self.partitions.entry(key.partition.clone()).or_default();
        match write {
            Write::Put { value, expires_at } => {
                let stored = Stored {
                    version,
                    value: value.clone(),
                    expires_at: *expires_at,
                };
                partition.insert(key.id.clone(), stored);
            }
            Write::Delete => {
                partition.remove(&key.id);
            }
        }
    }
}

impl MemoryDocuments {
    /// No documents yet; they end by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            held: RwLock::default(),
        }
    }
}

#[async_trait]
impl Documents for MemoryDocuments {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        let held = self.held.read();
        Ok(held
            .get(key, self.clock.now())
            .map(|stored| stored.document(&key.id)))
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        let (held, now) = (self.held.read(), self.clock.now());
        let Some(documents) = held.partitions.get(partition) else {
            return Ok(Vec::new());
        };
        let page = documents
            .iter()
            .filter(|(id, _)| id.starts_with(&listing.prefix))
            .filter(|(id, _)| listing.after.as_ref().is_none_or(|after| *id > after))
            .filter(|(_, stored)| stored.expires_at.is_none_or(|end| end > now))
            .take(listing.limit.clamp(1, LIST_LIMIT_MAX))
            .map(|(id, stored)| stored.document(id));
        Ok(page.collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        batch.check()?;
        let (mut held, now) = (self.held.write(), self.clock.now());
        for (key, expected) in batch.expectations() {
            let found = held.get(key, now).map(|stored| stored.version);
            let holds = match expected {
                Expect::Absent => found.is_none(),
                Expect::Version(version) => found == Some(*version),
            };
            if !holds {
                return Err(CommitError::Conflict(key.clone()));
            }
        }
        held.last_version += 1;
        let version = Version(held.last_version);
        for (key, write) in batch.writes() {
            held.write(key, write, version);
        }
        Ok(version)
    }
}
