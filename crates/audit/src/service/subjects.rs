//! The keys of subjects: made when first needed, destroyed by erasure.
//!
//! A subject may have several keys. Each is stored under its own id, where a
//! reader looks, and below its subject, where erasure looks.
//!
//! **Invariant:** a key that sealed a record is stored before the record is, or
//! travels with it in the spool.

use std::{collections::BTreeSet, collections::HashMap, sync::Arc, time::Duration};

use identity::{Entropy, TenantId, UserId};
use quick_cache::sync::Cache;
use store::{Batch, CommitError, Documents, Listing, StoreError};

use super::{layout::Layout, nodes::Fresh, wrap::WrappingKey};
use crate::seal::{KeyId, SubjectKey, SubjectKeys};

/// Keys that are remembered.
const KEYS_MAX: usize = 64 * 1024;
/// How often a key is found or made again because the subject was erased meanwhile.
const TRIES_MAX: usize = 4;
/// Keys of one subject that one step of an erasure destroys.
pub(super) const ERASED_MAX: usize = 100;

/// A key that is not stored yet, because the store did not answer.
#[derive(Clone)]
pub(super) struct Provisional {
    pub(super) subject: UserId,
    pub(super) key: KeyId,
    pub(super) wrapped: Vec<u8>,
}

/// How long a key may take to be found or stored; then a new one goes with the record.
const FIND_MAX: Duration = Duration::from_millis(500);

pub(super) struct Subjects {
    documents: Arc<dyn Documents>,
    layout: Layout,
    entropy: Arc<dyn Entropy>,
    wrapping: WrappingKey,
    by_subject: Cache<(TenantId, UserId), Arc<SubjectKey>>,
    by_id: Cache<(TenantId, KeyId), Arc<SubjectKey>>,
    /// Whether what is remembered can be trusted, where other nodes erase, too.
    fresh: Option<Arc<Fresh>>,
}

impl Subjects {
    pub(super) fn new(
        documents: Arc<dyn Documents>,
        layout: Layout,
        entropy: Arc<dyn Entropy>,
        wrapping: WrappingKey,
        fresh: Option<Arc<Fresh>>,
    ) -> Self {
        Self {
            documents,
            layout,
            entropy,
            wrapping,
            by_subject: Cache::new(KEYS_MAX),
            by_id: Cache::new(KEYS_MAX),
            fresh,
        }
    }

    fn are_remembered(&self) -> bool {
        self.fresh.as_ref().is_none_or(|fresh| fresh.is_fresh())
    }

    /// Forgets the keys of a tenant's persons, or all.
    pub(super) fn forget(&self, tenant: Option<&TenantId>) {
        let others = |of: &TenantId| tenant.is_some_and(|tenant| tenant != of);
        self.by_subject.retain(|(of, _), _| others(of));
        self.by_id.retain(|(of, _), _| others(of));
    }

    /// A key for each of `subjects`. Where the store does not answer, the key is
    /// new and comes with what the spool must keep of it.
    pub(super) async fn sealing(
        &self,
        tenant: &TenantId,
        subjects: BTreeSet<&UserId>,
    ) -> (SubjectKeys, Vec<Provisional>) {
        let mut keys = SubjectKeys::new();
        let mut provisional = Vec::new();
        for subject in subjects {
            let remembered = self.by_subject.get(&(tenant.clone(), subject.clone()));
            let remembered = remembered.filter(|_| self.are_remembered());
            let key = match remembered {
                Some(key) => Some(key),
                None => match self.find_in_time(tenant, subject).await {
                    Ok(key) => Some(key),
                    Err(error) => {
                        tracing::warn!(%error, "a subject's key is not stored yet");
                        self.make(tenant, subject).map(|(key, made)| {
                            provisional.push(made);
                            key
                        })
                    }
                },
            };
            if let Some(key) = key {
                keys.insert(subject.clone(), key);
            }
        }
        (keys, provisional)
    }

    async fn find_in_time(
        &self,
        tenant: &TenantId,
        subject: &UserId,
    ) -> Result<Arc<SubjectKey>, StoreError> {
        let late = |_| Err(StoreError::Unavailable("it takes too long".to_owned()));
        let found = self.find_or_make(tenant, subject);
        let found = tokio::time::timeout(FIND_MAX, found).await;
        found.unwrap_or_else(late)
    }

    /// The key of a subject that is not remembered. Whoever asks at the same time gets the
    /// same one, so that a query by the subject has few keys to ask for.
    async fn find_or_make(
        &self,
        tenant: &TenantId,
        subject: &UserId,
    ) -> Result<Arc<SubjectKey>, StoreError> {
        let place = (tenant.clone(), subject.clone());
        for _ in 0..TRIES_MAX {
            let found = self
                .by_subject
                .get_or_insert_async(&place, self.found_or_made(tenant, subject));
            let key = found.await?;
            // An erasure in between has not seen what was just remembered.
            let stored = self.layout.key(tenant, key.id());
            if self.documents.get(&stored).await?.is_some() {
                return Ok(key);
            }
            self.by_subject.remove(&place);
        }
        let why = "a subject is erased all the time";
        Err(StoreError::Unavailable(why.to_owned()))
    }

    async fn found_or_made(
        &self,
        tenant: &TenantId,
        subject: &UserId,
    ) -> Result<Arc<SubjectKey>, StoreError> {
        if let Some(key) = self.find(tenant, subject).await? {
            return Ok(key);
        }
        let made = self.make(tenant, subject);
        let cipher = || StoreError::Unavailable("the cipher refuses a key".to_owned());
        let (key, made) = made.ok_or_else(cipher)?;
        self.store(tenant, &[made]).await?;
        Ok(key)
    }

    async fn find(
        &self,
        tenant: &TenantId,
        subject: &UserId,
    ) -> Result<Option<Arc<SubjectKey>>, StoreError> {
        let first = self.stored(tenant, subject, 1).await?;
        Ok(first
            .first()
            .and_then(|(_, wrapped)| self.wrapping.unwrap(tenant, wrapped).ok())
            .map(Arc::new))
    }

    fn make(&self, tenant: &TenantId, subject: &UserId) -> Option<(Arc<SubjectKey>, Provisional)> {
        let key = SubjectKey::generate(&*self.entropy);
        let made = Provisional {
            subject: subject.clone(),
            key: key.id(),
            wrapped: self.wrapping.wrap(tenant, &key, &*self.entropy)?,
        };
        Some((Arc::new(key), made))
    }

    /// Stores keys; storing one again changes nothing.
    pub(super) async fn store(
        &self,
        tenant: &TenantId,
        keys: &[Provisional],
    ) -> Result<(), StoreError> {
        let batch = keys.iter().fold(Batch::new(), |batch, made| {
            self.putting(tenant, batch, made)
        });
        match self.documents.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
            Err(CommitError::Conflict(key)) => Err(StoreError::Corrupt(key.id)),
        }
    }

    /// The keys with these ids, as far as they were not destroyed.
    pub(super) async fn opening(
        &self,
        tenant: &TenantId,
        ids: impl IntoIterator<Item = KeyId>,
    ) -> Result<HashMap<KeyId, Arc<SubjectKey>>, StoreError> {
        let mut keys = HashMap::new();
        for id in ids {
            if let Some(key) = self.key(tenant, id).await? {
                keys.insert(id, key);
            }
        }
        Ok(keys)
    }

    async fn key(
        &self,
        tenant: &TenantId,
        id: KeyId,
    ) -> Result<Option<Arc<SubjectKey>>, StoreError> {
        let remembered = self.by_id.get(&(tenant.clone(), id));
        if let Some(key) = remembered.filter(|_| self.are_remembered()) {
            return Ok(Some(key));
        }
        let place = self.layout.key(tenant, id);
        let Some(stored) = self.documents.get(&place).await? else {
            return Ok(None);
        };
        let key = self.wrapping.unwrap(tenant, &stored.value);
        let key = Arc::new(key.map_err(|error| StoreError::Corrupt(error.to_string()))?);
        self.by_id.insert((tenant.clone(), id), Arc::clone(&key));
        // An erasure in between has not seen what was just remembered.
        if self.documents.get(&place).await?.is_none() {
            self.by_id.remove(&(tenant.clone(), id));
            return Ok(None);
        }
        Ok(Some(key))
    }

    /// The ids of up to `limit` keys of `subject`; none after an erasure.
    pub(super) async fn ids(
        &self,
        tenant: &TenantId,
        subject: &UserId,
        limit: usize,
    ) -> Result<Vec<KeyId>, StoreError> {
        let keys = self.stored(tenant, subject, limit).await?;
        Ok(keys.into_iter().map(|(id, _)| id).collect())
    }

    /// Destroys keys of `subject`, if `unheld` holds; says which, none when there are no more.
    /// The `first` time it is noted for other nodes, whose spools may hold further ones.
    ///
    /// What they sealed can be read by nobody from then on.
    pub(super) async fn erase_some(
        &self,
        tenant: &TenantId,
        subject: &UserId,
        unheld: Batch,
        first: bool,
    ) -> Result<Vec<KeyId>, CommitError> {
        let keys = self.stored(tenant, subject, ERASED_MAX).await?;
        let mut batch = keys.iter().fold(unheld, |batch, (key, _)| {
            batch
                .delete(&self.layout.subject_key(tenant, subject, *key))
                .delete(&self.layout.key(tenant, *key))
        });
        if first && self.fresh.is_some() {
            let mark = self.wrapping.mark(tenant, subject);
            batch = batch.put(&self.layout.tombstone(tenant, &mark), Vec::new());
        }
        if !batch.writes().is_empty() {
            self.documents.commit(batch).await?;
        }
        self.by_subject.remove(&(tenant.clone(), subject.clone()));
        for (key, _) in &keys {
            self.by_id.remove(&(tenant.clone(), *key));
        }
        Ok(keys.into_iter().map(|(key, _)| key).collect())
    }

    /// Stores keys that come from the spool, except those of subjects that were erased on
    /// another node: nobody can say whether it was before the record was made.
    pub(super) async fn store_spooled(
        &self,
        tenant: &TenantId,
        keys: &[Provisional],
    ) -> Result<(), StoreError> {
        if self.fresh.is_none() {
            return self.store(tenant, keys).await;
        }
        for made in keys {
            let mark = self.wrapping.mark(tenant, &made.subject);
            let unless = Batch::new().expect_absent(&self.layout.tombstone(tenant, &mark));
            match self
                .documents
                .commit(self.putting(tenant, unless, made))
                .await
            {
                Ok(_) => {}
                Err(CommitError::Store(error)) => return Err(error),
                Err(CommitError::Conflict(_)) => {
                    tracing::warn!(key = %made.key, "its subject was erased while it waited");
                }
            }
        }
        Ok(())
    }

    fn putting(&self, tenant: &TenantId, batch: Batch, made: &Provisional) -> Batch {
        let below_subject = self.layout.subject_key(tenant, &made.subject, made.key);
        batch
            .put(&below_subject, made.wrapped.clone())
            .put(&self.layout.key(tenant, made.key), made.wrapped.clone())
    }

    async fn stored(
        &self,
        tenant: &TenantId,
        subject: &UserId,
        limit: usize,
    ) -> Result<Vec<(KeyId, bytes::Bytes)>, StoreError> {
        let listing = Listing {
            prefix: Layout::subject_prefix(subject),
            after: None,
            limit,
        };
        let partition = self.layout.subjects(tenant);
        let rows = self.documents.list(&partition, &listing).await?;
        rows.into_iter()
            .map(|row| {
                let id = row.value.first_chunk().copied().map(KeyId);
                let id = id.ok_or_else(|| StoreError::Corrupt(row.id.clone()))?;
                Ok((id, row.value))
            })
            .collect()
    }
}
