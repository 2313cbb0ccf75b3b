//! The small core under every kind of record.

use std::{marker::PhantomData, sync::Arc};

use gatechain::{CommitRefused, Committed, Permit};
use identity::{Precondition, Scope};
use store::{DocKey, Page, PageRequest, Partition, Versioned};

use crate::{
    Body, Create, Delete, Id, Model, Nexus, NexusError, Patch, Publication, Publish, Publishable,
    Record, Replace, Restore,
    change::Creation,
    keys::{damaged, decode, group, groups, id_in, live, prefix, slot},
    nexus::Core,
    record::Stored,
};

/// Longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// All records of the kind `M`.
#[derive(Clone)]
pub struct Records<M> {
    pub(crate) core: Arc<Core>,
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

/// A record as it was read.
pub(crate) type Read<M> = Versioned<Stored<M>>;

/// A record that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made<M> {
    /// The record.
    pub record: Record<M>,
    /// Whether an earlier request with the same idempotency key made it.
    pub duplicate: bool,
}

impl<M: Model> Records<M> {
    pub(crate) fn of(nexus: &Nexus) -> Self {
        Self {
            core: Arc::clone(&nexus.0),
            kind: PhantomData,
        }
    }

    /// One page of the records that the caller finds, in the order in which they were made.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn list(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<Page<Record<M>>, NexusError> {
        let partition = Partition::in_scope(scope, M::KIND);
        let (documents, prefix) = (&*self.core.deps.documents, prefix::<M>(scope));
        let page = page.read_prefixed(documents, &partition, &prefix).await?;
        page.try_map(|document| {
            let id = id_in(&document)?;
            Ok(decode::<Stored<M>>(&document)?.with_id(id))
        })
    }

    /// One page of a group of the caller's records, in the order in which they were made.
    ///
    /// A record that ends while the page is read is left out.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn list_group(
        &self,
        scope: &Scope,
        name: &str,
        page: &PageRequest,
    ) -> Result<Page<Record<M>>, NexusError> {
        let (documents, prefix) = (&*self.core.deps.documents, group::<M>(scope, name));
        let groups = groups(scope);
        let mut page = page.read_prefixed(documents, &groups, &prefix).await?;
        let mut records = Vec::with_capacity(page.items.len());
        for member in std::mem::take(&mut page.items) {
            if let Some(record) = self.find(scope, &id_in(&member)?).await? {
                records.push(record);
                page.items.push(member);
            }
        }
        let mut records = records.into_iter();
        page.try_map(|member| records.next().ok_or_else(|| damaged(&member)))
    }

    /// One record, or `None`: foreign, unknown and deleted ones are alike.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn find(&self, scope: &Scope, id: &Id<M>) -> Result<Option<Record<M>>, NexusError> {
        let read = self.read(&live::<M>(scope, id)).await?;
        Ok(read.map(|read| read.value.with_id(id.clone())))
    }

    /// The record that has the slot `name`.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn find_in_slot(
        &self,
        scope: &Scope,
        name: &str,
    ) -> Result<Option<Record<M>>, NexusError> {
        let held = slot::<M>(scope, name);
        let Some(document) = self.core.deps.documents.get(&held).await? else {
            return Ok(None);
        };
        let id: Id<M> = decode(&document)?;
        self.find(scope, &id).await
    }

    pub(crate) async fn read(&self, key: &DocKey) -> Result<Option<Read<M>>, NexusError> {
        let document = self.core.deps.documents.get(key).await?;
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
    /// [`NexusError::Invalid`], [`NexusError::IdempotencyConflict`], [`NexusError::Taken`],
    /// [`NexusError::Full`], [`NexusError::Denied`] when the gates have closed meanwhile,
    /// [`NexusError::Store`].
    pub async fn create(
        &self,
        scope: &Scope,
        permit: Permit<Create<M>>,
    ) -> Result<Made<M>, NexusError> {
        let _turn = self.core.turn::<M>(scope).await;
        let asked = permit.mutation();
        let (body, key) = (asked.value.clone(), asked.key.clone());
        let made = |record| Made {
            record,
            duplicate: true,
        };
        let change = match self.creation(scope, &body, key.as_ref()).await? {
            Creation::New(change) => change,
            // The permit is dropped, and gives back what it reserved.
            Creation::MadeBefore(record) => return Ok(made(record)),
        };
        match permit.commit(change.batch).await {
            Ok(_) => Ok(Made {
                record: change.record,
                duplicate: false,
            }),
            // Another request was faster, with this key or for this slot.
            Err(CommitRefused::Conflict(_)) => {
                match self.creation(scope, &body, key.as_ref()).await? {
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
    /// [`NexusError::Full`], [`NexusError::Denied`], [`NexusError::Contended`] when `If-Match`
    /// still holds after another change, [`NexusError::Store`].
    pub async fn replace(
        &self,
        scope: &Scope,
        permit: Permit<Replace<M>>,
    ) -> Result<Record<M>, NexusError> {
        let _turn = self.core.turn::<M>(scope).await;
        let Replace {
            id,
            value,
            precondition,
            ..
        } = permit.mutation();
        value.check()?;
        let (id, asked) = (id.clone(), precondition.clone());
        let change = self.change(scope, &id, &asked, |before, writing| {
            M::written(value.clone(), Some(before), writing)
        });
        let change = change.await?;
        let outcome = permit.commit(change.batch).await;
        self.done(scope, outcome, change.record, &asked).await
    }

    /// Changes a part of what a record says.
    ///
    /// # Errors
    /// As [`Records::replace`].
    pub async fn patch(
        &self,
        scope: &Scope,
        permit: Permit<Patch<M>>,
    ) -> Result<Record<M>, NexusError> {
        let _turn = self.core.turn::<M>(scope).await;
        let Patch {
            id,
            patch,
            precondition,
            ..
        } = permit.mutation();
        let (id, asked) = (id.clone(), precondition.clone());
        let change = self.change(scope, &id, &asked, |before, writing| {
            M::written(patch.applied_to(before)?, Some(before), writing)
        });
        let change = change.await?;
        let outcome = permit.commit(change.batch).await;
        self.done(scope, outcome, change.record, &asked).await
    }

    /// Deletes a record; it can be restored for 30 days, unless it would have ended before.
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
        let asked = permit.mutation().precondition.clone();
        let outcome = permit.commit(change.batch).await;
        self.done(scope, outcome, change.record, &asked).await
    }

    /// Brings a deleted record back, as a new revision.
    ///
    /// # Errors
    /// [`NexusError::NotFound`] when none was deleted, or too long ago; [`NexusError::Taken`],
    /// [`NexusError::Full`], [`NexusError::Denied`], [`NexusError::Store`].
    pub async fn restore(
        &self,
        scope: &Scope,
        permit: Permit<Restore<M>>,
    ) -> Result<Record<M>, NexusError> {
        let _turn = self.core.turn::<M>(scope).await;
        let id = permit.mutation().id.clone();
        let change = self.restoration(scope, &id).await?;
        match permit.commit(change.batch).await {
            Ok(_) => Ok(change.record),
            Err(CommitRefused::Conflict(_)) => {
                self.restoration(scope, &id).await?;
                Err(NexusError::Contended)
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// The record that a commit made; who was late learns what is there now.
    async fn done<T>(
        &self,
        scope: &Scope,
        outcome: Result<Committed<T>, CommitRefused>,
        record: Record<M>,
        asked: &Precondition,
    ) -> Result<Record<M>, NexusError> {
        match outcome {
            Ok(_) => Ok(record),
            Err(CommitRefused::Conflict(_)) => {
                let now = self.find(scope, &record.id).await?;
                let now = now.ok_or(NexusError::NotFound)?;
                let holds = asked.holds(Some(now.revision));
                Err(if holds {
                    NexusError::Contended
                } else {
                    NexusError::Stale
                })
            }
            Err(refused) => Err(refused.into()),
        }
    }
}

impl<B: Publishable> Records<Publication<B>> {
    /// Makes what the draft says what is published.
    ///
    /// # Errors
    /// [`NexusError::NotFound`], [`NexusError::Stale`], [`NexusError::Denied`],
    /// [`NexusError::Store`].
    pub async fn publish(
        &self,
        scope: &Scope,
        permit: Permit<Publish<B>>,
    ) -> Result<Record<Publication<B>>, NexusError> {
        let Publish { id, precondition } = permit.mutation();
        let (id, asked) = (id.clone(), precondition.clone());
        let change = self.change(scope, &id, &asked, |before, writing| {
            Ok(before.published(writing))
        });
        let change = change.await?;
        let outcome = permit.commit(change.batch).await;
        self.done(scope, outcome, change.record, &asked).await
    }
}
