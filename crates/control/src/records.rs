//! What all services stand on: documents as JSON, and changes that are told.
//!
//! Stored values are JSON objects. They evolve by fields with serde defaults;
//! unknown fields of a newer writer are ignored.

use std::sync::Arc;

use identity::{Clock, Entropy, Precondition, Scope, SystemAuthority, TenantId, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use store::{
    Batch, CommitError, DocKey, Document, Documents, Page, PageRequest, Partition, Throttle,
    ThrottleKey, Version, Versioned,
};

use crate::{Change, ControlError, Invalidations, rate::CONTROL_CREATES};

/// How often a change is tried again because others changed the same records.
///
/// Of those who race, one succeeds in each round, so this many racers all end.
pub(crate) const CONTENTION_TRIES_MAX: usize = 24;

/// Runs an attempt (`async` → `Result<Option<T>>`) until it is not overtaken by others.
macro_rules! settle {
    ($attempt:expr) => {{
        for _ in 0..$crate::records::CONTENTION_TRIES_MAX {
            if let Some(done) = $attempt.await? {
                return Ok(done);
            }
        }
        Err($crate::ControlError::contended())
    }};
}
pub(crate) use settle;

/// The ports of the control plane, and what is common to its use of them.
pub(crate) struct Core {
    pub(crate) documents: Arc<dyn Documents>,
    pub(crate) throttle: Arc<dyn Throttle>,
    pub(crate) authority: SystemAuthority,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) changes: Arc<Invalidations>,
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes one of the records that the scope's tenant may make.
    pub(crate) async fn take_create(&self, scope: &Scope) -> Result<(), ControlError> {
        let key = ThrottleKey::of_tenant(scope, CONTROL_CREATES.name);
        CONTROL_CREATES.take(&*self.throttle, &key).await
    }

    /// Control data that spans tenants.
    pub(crate) fn system(&self, kind: &'static str) -> Partition {
        Partition::of_system(&self.authority, kind)
    }

    /// Control data of one tenant.
    pub(crate) fn tenant(&self, tenant: &TenantId, kind: &'static str) -> Partition {
        Partition::of_tenant(&self.authority, tenant, kind)
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        key: &DocKey,
    ) -> Result<Option<Versioned<T>>, ControlError> {
        let document = self.documents.get(key).await?;
        document
            .map(|document| {
                Ok(Versioned {
                    value: decode(&key.partition, &document)?,
                    version: document.version,
                })
            })
            .transpose()
    }

    /// One page of a partition, with the ids.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        partition: &Partition,
        request: &PageRequest,
    ) -> Result<Page<(String, Versioned<T>)>, ControlError> {
        let page = request.read(&*self.documents, partition).await?;
        page.try_map(|document| {
            let value = decode(partition, &document)?;
            let version = document.version;
            Ok((document.id, Versioned { value, version }))
        })
    }

    /// Commits; `None` when an expectation did not hold.
    ///
    /// Every one of `changes` is told when this ends, however it ends: a batch
    /// whose outcome is unknown may have been applied.
    pub(crate) async fn commit(
        &self,
        batch: Batch,
        changes: Vec<Change>,
    ) -> Result<Option<Version>, ControlError> {
        let _told = self.changes.tell_afterwards(changes);
        match self.documents.commit(batch).await {
            Ok(version) => Ok(Some(version)),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Changes one record, again if others change it meanwhile.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Stale`], and what `change` returns.
    pub(crate) async fn update<T: Serialize + DeserializeOwned + Send>(
        &self,
        key: &DocKey,
        precondition: &Precondition,
        changes: &[Change],
        change: impl Fn(T) -> Result<T, ControlError> + Send + Sync,
    ) -> Result<Versioned<T>, ControlError> {
        settle!(self.try_update(key, precondition, changes, &change))
    }

    async fn try_update<T: Serialize + DeserializeOwned + Send>(
        &self,
        key: &DocKey,
        precondition: &Precondition,
        changes: &[Change],
        change: &(impl Fn(T) -> Result<T, ControlError> + Send + Sync),
    ) -> Result<Option<Versioned<T>>, ControlError> {
        let read = self.get::<T>(key).await?.ok_or(ControlError::NotFound)?;
        check(precondition, read.version)?;
        let value = change(read.value)?;
        let batch = Batch::new()
            .expect_version(key, read.version)
            .put(key, encode(&value)?);
        let version = self.commit(batch, changes.to_vec()).await?;
        Ok(version.map(|version| Versioned { value, version }))
    }
}

/// Refuses a state that the caller did not name.
///
/// # Errors
/// [`ControlError::Stale`].
pub(crate) fn check(precondition: &Precondition, stored: Version) -> Result<(), ControlError> {
    let holds = precondition.holds(Some(stored.0));
    holds.then_some(()).ok_or(ControlError::Stale)
}

/// Demands that `key` is still as it was read.
pub(crate) fn expect_as_read<T>(batch: Batch, key: &DocKey, read: Option<&Versioned<T>>) -> Batch {
    match read {
        Some(read) => batch.expect_version(key, read.version),
        None => batch.expect_absent(key),
    }
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ControlError> {
    serde_json::to_vec(value).map_err(|error| ControlError::Internal(error.to_string()))
}

pub(crate) fn decode<T: DeserializeOwned>(
    partition: &Partition,
    document: &Document,
) -> Result<T, ControlError> {
    serde_json::from_slice(&document.value).map_err(|error| {
        ControlError::Internal(format!("{partition} {} is damaged: {error}", document.id))
    })
}
