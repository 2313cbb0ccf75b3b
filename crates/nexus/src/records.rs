//! The small core under every kind of record.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use gatechain::{CommitRefused, Committed, Permit};
use identity::{Clock, Entropy, Precondition, Scope};
use serde::{Deserialize, Serialize};
use store::{Batch, DocKey, Document, Documents, Page, PageRequest, Partition, Versioned};

use crate::{
    Create, Delete, Id, Invalid, Model, NexusError, Record, Replace, Restore,
    feed::noted,
    keys::{damaged, decode, deleted, encode, fingerprint, idempotency_key, live},
    record::Stored,
};

/// How long a deleted record can be restored.
const RESTORABLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long an idempotency key stands for its request.
const IDEMPOTENCY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What the records stand on.
#[derive(Clone)]
pub struct NexusDeps {
    /// Where they are.
    pub documents: Arc<dyn Documents>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub entropy: Arc<dyn Entropy>,
}

/// All records of the kind `M`.
pub struct Records<M> {
    deps: NexusDeps,
    kind: PhantomData<fn() -> M>,
}

/// A key under which a client makes one record, however often it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// 1 to 255 bytes of visible ASCII.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// For what an idempotency key stands.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    id: String,
    /// SHA-256 of the request, in hexadecimal.
    request: String,
}

/// A record as it was read or made.
type Read<M> = Versioned<Stored<M>>;

/// A change that is worked out and not yet done: the writes, and the record after them.
struct Change<M> {
    batch: Batch,
    record: Record<M>,
}

/// What comes of a request to make a record.
enum Creation<M> {
    New(Change<M>),
    MadeBefore(Record<M>),
}

/// A record that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made<M> {
    /// The record.
    pub record: Record<M>,
    /// Whether an earlier request with the same idempotency key made it.
    pub duplicate: bool,
}

impl<M: Model> Records<M> {
    /// The records in `deps.documents`.
    #[must_use]
    pub const fn new(deps: NexusDeps) -> Self {
        Self {
            deps,
            kind: PhantomData,
        }
    }

    /// One page of the records of the scope's tenant and environment, ordered by id.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn list(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<Page<Record<M>>, NexusError> {
        let partition = Partition::in_scope(scope, M::KIND);
        let page = page.read(&*self.deps.documents, &partition).await?;
        page.try_map(|document| {
            let id = document.id.parse().map_err(|_| damaged(&document))?;
            Ok(decode::<Stored<M>>(&document)?.with_id(id))
        })
    }

    /// One record, or `None`: foreign, unknown and deleted ones are alike.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn find(&self, scope: &Scope, id: &Id<M>) -> Result<Option<Record<M>>, NexusError> {
        let read = self.read(&live::<M>(scope, id)).await?;
        Ok(read.map(|read| read.value.with_id(id.clone())))
    }

    async fn read(&self, key: &DocKey) -> Result<Option<Read<M>>, NexusError> {
        let document = self.deps.documents.get(key).await?;
        document
            .map(|document| {
                Ok(Versioned {
                    value: decode(&document)?,
                    version: document.version,
                })
            })
            .transpose()
    }

    /// Makes a record; asked again with the same idempotency key, gives the one it made.
    ///
    /// # Errors
    /// [`NexusError::Invalid`], [`NexusError::IdempotencyConflict`], [`NexusError::Denied`]
    /// when the gates have closed meanwhile, [`NexusError::Store`].
    pub async fn create(
        &self,
        scope: &Scope,
        permit: Permit<Create<M>>,
    ) -> Result<Made<M>, NexusError> {
        let asked = permit.mutation();
        let (value, key) = (asked.value.clone(), asked.key.clone());
        let made = |record| Made {
            record,
            duplicate: true,
        };
        let change = match self.creation(scope, &value, key.as_ref()).await? {
            Creation::New(change) => change,
            // The permit is dropped, and gives back what it reserved.
            Creation::MadeBefore(record) => return Ok(made(record)),
        };
        match permit.commit(change.batch).await {
            Ok(_) => Ok(Made {
                record: change.record,
                duplicate: false,
            }),
            // Another request with this key was faster.
            Err(CommitRefused::Conflict(_)) => {
                match self.creation(scope, &value, key.as_ref()).await? {
                    Creation::MadeBefore(record) => Ok(made(record)),
                    Creation::New(_) => Err(NexusError::Contended),
                }
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// Replaces what a record says.
    ///
    /// # Errors
    /// [`NexusError::Invalid`], [`NexusError::NotFound`], [`NexusError::Stale`],
    /// [`NexusError::Denied`], [`NexusError::Store`].
    pub async fn replace(
        &self,
        scope: &Scope,
        permit: Permit<Replace<M>>,
    ) -> Result<Record<M>, NexusError> {
        let change = self.replacement(scope, permit.mutation()).await?;
        done(permit.commit(change.batch).await, change.record)
    }

    /// Deletes a record; it can be restored for 30 days.
    ///
    /// # Errors
    /// [`NexusError::NotFound`], [`NexusError::Stale`], [`NexusError::Denied`],
    /// [`NexusError::Store`].
    pub async fn delete(
        &self,
        scope: &Scope,
        permit: Permit<Delete<M>>,
    ) -> Result<Record<M>, NexusError> {
        let change = self.deletion(scope, permit.mutation()).await?;
        done(permit.commit(change.batch).await, change.record)
    }

    /// Brings a deleted record back, as a new revision.
    ///
    /// # Errors
    /// [`NexusError::NotFound`] when none was deleted, or too long ago;
    /// [`NexusError::Denied`], [`NexusError::Store`].
    pub async fn restore(
        &self,
        scope: &Scope,
        permit: Permit<Restore<M>>,
    ) -> Result<Record<M>, NexusError> {
        let change = self.restoration(scope, &permit.mutation().id).await?;
        done(permit.commit(change.batch).await, change.record)
    }

    /// What makes a new record, or the record that the key has made before.
    async fn creation(
        &self,
        scope: &Scope,
        value: &M,
        key: Option<&IdempotencyKey>,
    ) -> Result<Creation<M>, NexusError> {
        value.check()?;
        let request = fingerprint(value);
        let key = key.map(|key| idempotency_key::<M>(scope, key));
        if let Some(key) = &key
            && let Some(document) = self.deps.documents.get(key).await?
        {
            let record = self.made_before(scope, &document, &request).await?;
            return Ok(Creation::MadeBefore(record));
        }
        self.check_references(scope, value).await?;
        let id = Id::generate(&*self.deps.entropy);
        let now = self.deps.clock.now();
        let stored = Stored {
            revision: 1,
            project: scope.project().clone(),
            created_by: scope.user().clone(),
            created_at: now,
            updated_by: scope.user().clone(),
            updated_at: now,
            value: value.clone(),
        };
        let place = live::<M>(scope, &id);
        let mut batch = Batch::new()
            .expect_absent(&place)
            .put(&place, encode(&stored)?);
        if let Some(key) = &key {
            let kept = StoredKey {
                id: id.to_string(),
                request,
            };
            batch = batch
                .expect_absent(key)
                .put_until(key, encode(&kept)?, now.plus(IDEMPOTENCY));
        }
        let batch = noted(batch, scope, &id, now);
        let record = stored.with_id(id);
        Ok(Creation::New(Change { batch, record }))
    }

    async fn made_before(
        &self,
        scope: &Scope,
        key: &Document,
        request: &str,
    ) -> Result<Record<M>, NexusError> {
        let kept: StoredKey = decode(key)?;
        if kept.request != request {
            return Err(NexusError::IdempotencyConflict);
        }
        let id = kept.id.parse().map_err(|_| damaged(key))?;
        let record = self.find(scope, &id).await?;
        record.ok_or(NexusError::NotFound)
    }

    /// What replaces the value of a record.
    async fn replacement(
        &self,
        scope: &Scope,
        asked: &Replace<M>,
    ) -> Result<Change<M>, NexusError> {
        let Replace { id, value, .. } = asked;
        value.check()?;
        let place = live::<M>(scope, id);
        let read = self.read(&place).await?.ok_or(NexusError::NotFound)?;
        check(&asked.precondition, &read)?;
        self.check_references(scope, value).await?;
        let stored = Stored {
            revision: read.value.revision + 1,
            updated_by: scope.user().clone(),
            updated_at: self.deps.clock.now(),
            value: value.clone(),
            ..read.value
        };
        let batch = Batch::new()
            .expect_version(&place, read.version)
            .put(&place, encode(&stored)?);
        let batch = noted(batch, scope, id, stored.updated_at);
        let record = stored.with_id(id.clone());
        Ok(Change { batch, record })
    }

    /// What moves a record to where it can be restored from.
    async fn deletion(&self, scope: &Scope, asked: &Delete<M>) -> Result<Change<M>, NexusError> {
        let id = &asked.id;
        let (place, grave) = (live::<M>(scope, id), deleted::<M>(scope, id));
        let read = self.read(&place).await?.ok_or(NexusError::NotFound)?;
        check(&asked.precondition, &read)?;
        let now = self.deps.clock.now();
        let until = now.plus(RESTORABLE);
        let batch = Batch::new()
            .expect_version(&place, read.version)
            .delete(&place)
            .put_until(&grave, encode(&read.value)?, until);
        let batch = noted(batch, scope, id, now);
        let record = read.value.with_id(id.clone());
        Ok(Change { batch, record })
    }

    /// What brings a deleted record back, as a new revision.
    async fn restoration(&self, scope: &Scope, id: &Id<M>) -> Result<Change<M>, NexusError> {
        let (place, grave) = (live::<M>(scope, id), deleted::<M>(scope, id));
        let read = self.read(&grave).await?.ok_or(NexusError::NotFound)?;
        let stored = Stored {
            revision: read.value.revision + 1,
            updated_by: scope.user().clone(),
            updated_at: self.deps.clock.now(),
            ..read.value
        };
        let batch = Batch::new()
            .expect_version(&grave, read.version)
            .expect_absent(&place)
            .delete(&grave)
            .put(&place, encode(&stored)?);
        let batch = noted(batch, scope, id, stored.updated_at);
        let record = stored.with_id(id.clone());
        Ok(Change { batch, record })
    }

    /// Refuses a value that names records which are not there.
    async fn check_references(&self, scope: &Scope, value: &M) -> Result<(), NexusError> {
        for reference in value.references() {
            let key = DocKey::new(&Partition::in_scope(scope, reference.kind), reference.id);
            if self.deps.documents.get(&key).await?.is_none() {
                let invalid = Invalid::new(reference.pointer, "there is no such record");
                return Err(invalid.into());
            }
        }
        Ok(())
    }
}

fn done<M, T>(
    outcome: Result<Committed<T>, CommitRefused>,
    record: Record<M>,
) -> Result<Record<M>, NexusError> {
    outcome.map(|_| record).map_err(NexusError::from)
}

fn check<M>(precondition: &Precondition, read: &Read<M>) -> Result<(), NexusError> {
    let holds = precondition.holds(Some(read.value.revision));
    holds.then_some(()).ok_or(NexusError::Stale)
}
