//! Documents: small records with versions, changed only by atomic batches.

use async_trait::async_trait;
use bytes::Bytes;
use identity::Timestamp;

use crate::{Partition, StoreError};

/// Longest document id, in bytes.
pub const DOCUMENT_ID_BYTES_MAX: usize = 512;
/// Largest document, in bytes (Firestore allows 1 MiB with its overhead).
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024;
/// Most expectations and writes in a batch, together (Firestore allows 500 writes).
pub const BATCH_STEPS_MAX: usize = 400;
/// Most bytes of all values in a batch, together (Firestore allows 10 MiB with its overhead).
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most documents of one page.
pub const LIST_LIMIT_MAX: usize = 1000;

/// Names one document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocKey {
    /// The group it is listed in.
    pub partition: Partition,
    /// Its id there: 1 to [`DOCUMENT_ID_BYTES_MAX`] bytes, no control characters.
    pub id: String,
}

impl DocKey {
    /// The document `id` of `partition`.
    #[must_use]
    pub fn new(partition: &Partition, id: impl Into<String>) -> Self {
        Self {
            partition: partition.clone(),
            id: id.into(),
        }
    }
}

/// Identifies one state of a document. Opaque: compare for equality alone.
///
/// A version is never given twice for one key, not even after a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// One document, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its id in its partition.
    pub id: String,
    /// Which state this is.
    pub version: Version,
    /// What was put.
    pub value: Bytes,
    /// When it ends by itself, if it does.
    pub expires_at: Option<Timestamp>,
}

/// What a batch demands of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// It does not exist.
    Absent,
    /// It exists, in this state.
    Version(Version),
}

/// What a batch does to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Creates or replaces it; from `expires_at` on it does not exist.
    Put {
        /// The new value, at most [`DOCUMENT_BYTES_MAX`].
        value: Bytes,
        /// When it ends by itself, if it does.
        expires_at: Option<Timestamp>,
    },
    /// Deletes it; deleting what does not exist is in order.
    Delete,
}

/// Expectations and writes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    expectations: Vec<(DocKey, Expect)>,
    writes: Vec<(DocKey, Write)>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands that `key` does not exist.
    #[must_use]
    pub fn expect_absent(mut self, key: &DocKey) -> Self {
        self.expectations.push((key.clone(), Expect::Absent));
        self
    }

    /// Demands that `key` is in the state `version`.
    #[must_use]
    pub fn expect_version(mut self, key: &DocKey, version: Version) -> Self {
        self.expectations
            .push((key.clone(), Expect::Version(version)));
        self
    }

    /// Creates or replaces `key`.
    #[must_use]
    pub fn put(mut self, key: &DocKey, value: impl Into<Bytes>) -> Self {
        self.writes.push((
            key.clone(),
            Write::Put {
                value: value.into(),
                expires_at: None,
            },
        ));
        self
    }

    /// Creates or replaces `key`, which ends by itself at `expires_at`.
    #[must_use]
    pub fn put_until(
        mut self,
        key: &DocKey,
        value: impl Into<Bytes>,
        expires_at: Timestamp,
    ) -> Self {
        let write = Write::Put {
            value: value.into(),
            expires_at: Some(expires_at),
        };
        self.writes.push((key.clone(), write));
        self
    }

    /// Deletes `key`.
    #[must_use]
    pub fn delete(mut self, key: &DocKey) -> Self {
        self.writes.push((key.clone(), Write::Delete));
        self
    }

    /// What must hold, in the order it was demanded.
    #[must_use]
    pub fn expectations(&self) -> &[(DocKey, Expect)] {
        &self.expectations
    }

    /// What is written.
    #[must_use]
    pub fn writes(&self) -> &[(DocKey, Write)] {
        &self.writes
    }

    /// Checks the limits that every engine enforces alike; engines call it first.
    ///
    /// # Errors
    /// [`StoreError::Limit`] names the first limit that is exceeded: steps, id
    /// length or form, value size, all values together, or one key written twice.
    pub fn check(&self) -> Result<(), StoreError> {
        let limit = |why: String| Err(StoreError::Limit(why));
        if self.expectations.len() + self.writes.len() > BATCH_STEPS_MAX {
            return limit(format!("a batch has at most {BATCH_STEPS_MAX} steps"));
        }
        let mut written = std::collections::HashSet::new();
        for key in self
            .expectations
            .iter()
            .map(|(key, _)| key)
            .chain(self.writes.iter().map(|(key, _)| key))
        {
            if key.id.is_empty()
                || key.id.len() > DOCUMENT_ID_BYTES_MAX
                || key.id.chars().any(char::is_control)
            {
                return limit(format!(
                    "a document id has 1 to {DOCUMENT_ID_BYTES_MAX} bytes and no control characters"
                ));
            }
        }
        for (key, write) in &self.writes {
            if !written.insert(key) {
                return limit("a batch writes a document once".to_owned());
            }
            if matches!(write, Write::Put { value, .. } if value.len() > DOCUMENT_BYTES_MAX) {
                return limit(format!("a document has at most {DOCUMENT_BYTES_MAX} bytes"));
            }
        }
        if self.value_bytes() > BATCH_BYTES_MAX {
            return limit(format!(
                "the values of a batch have at most {BATCH_BYTES_MAX} bytes"
            ));
        }
        Ok(())
    }

    /// Bytes of all values that it puts.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        self.writes
            .iter()
            .map(|(_, write)| match write {
                Write::Put { value, .. } => value.len(),
                Write::Delete => 0,
            })
            .sum()
    }
}

/// Why a batch changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// An expectation did not hold; here is the first that failed.
    #[error("the document {} is not in the expected state", .0.id)]
    Conflict(DocKey),
    /// The engine failed. After [`StoreError::Unavailable`] the batch may
    /// nevertheless have been applied; expectations make a retry safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which documents of a partition to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only ids that start with this.
    pub prefix: String,
    /// Only ids after this one (exclusive).
    pub after: Option<String>,
    /// At most this many, 1 to [`LIST_LIMIT_MAX`]; engines clamp it.
    pub limit: usize,
}

/// Durable home of documents.
///
/// Laws, proved for every engine by `store::contract::documents`:
/// 1. What a `commit` that returned `Ok` wrote is seen by every later `get` and `list`, also after a crash.
/// 2. A batch whose expectations do not all hold changes nothing and is a `Conflict` that names the first such key.
/// 3. A batch is atomic across partitions: a reader sees all of it or nothing.
/// 4. `list` returns ids in byte order, strictly after `after`, with the prefix, at most `limit`.
/// 5. Partitions are apart: no call for one ever returns or changes a document of another.
/// 6. From `expires_at` on a document does not exist, for reads, lists and expectations alike; until then
///    reads and lists say when that is.
/// 7. A version is never given twice for one key; every put gives a new one.
/// 8. Of concurrent commits that expect the same state of a key and write it, exactly one succeeds.
/// 9. A batch over a limit is refused with `Limit` and changes nothing.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Returns the document, or `None` when there is none.
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError>;
    /// Returns the documents that `listing` selects, as they are at one moment.
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError>;
    /// Applies `batch` durably; all puts of it share the returned version.
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError>;
}
