//! The levels as documents: one record each, read through a short memory.
//!
//! **Invariant:** a record changes only in a batch that expects the state from
//! which the change was computed, so no word is lost in a race.

use std::{sync::Arc, time::Duration};

use identity::{Clock, Precondition, SystemAuthority, TenantId, UserId};
use store::{Batch, CommitError, DocKey, Document, Documents, Partition};

use crate::{
    Preference, PrivacyError, Training,
    fresh::Fresh,
    preference::{Party, StoredPreference},
};

/// The records of a tenant (its own and one a user), and that of the system.
const KIND: &str = "train_prefs";
/// How long the store may take to tell a preference; then it is unreadable.
const LOAD_MAX: Duration = Duration::from_secs(2);
/// How often a change is tried again because others changed the same level.
const CONTENTION_TRIES_MAX: usize = 24;

/// Where something can be said about training; the same in all environments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Level {
    /// For everyone on this system.
    System,
    /// For a tenant.
    Tenant(TenantId),
    /// For one member of a tenant.
    User(TenantId, UserId),
}

/// The records of all levels.
pub(crate) struct Records {
    documents: Arc<dyn Documents>,
    clock: Arc<dyn Clock>,
    authority: SystemAuthority,
    pub(crate) fresh: Fresh<Level, Preference>,
}

impl Records {
    pub(crate) fn new(
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
        authority: SystemAuthority,
    ) -> Self {
        Self {
            documents,
            clock,
            authority,
            fresh: Fresh::new(),
        }
    }

    /// What a level says; `None` when it cannot be read.
    pub(crate) async fn level(&self, level: Level) -> Option<Preference> {
        let before = match self.fresh.get(&level, self.clock.now()) {
            Ok(preference) => return Some(preference),
            Err(before) => before,
        };
        // Boxed, so that the future of the usual case stays small.
        match Box::pin(self.load(&level)).await {
            Ok(preference) => {
                self.fresh.keep(&level, preference, &before);
                Some(preference)
            }
            Err(cause) => {
                metrics::counter!("tenantry_train_prefs_unreadable_total").increment(1);
                tracing::warn!(%cause, "a training preference is unreadable and counts as denied");
                None
            }
        }
    }

    async fn load(&self, level: &Level) -> Result<Preference, PrivacyError> {
        let key = self.key(level);
        let read = tokio::time::timeout(LOAD_MAX, self.documents.get(&key)).await;
        let read =
            read.map_err(|_| PrivacyError::Unavailable("the store takes too long".to_owned()))??;
        let stored = read.map(|document| decode(&key, &document)).transpose()?;
        Ok(stored.unwrap_or_default().sum_up())
    }

    /// Lets `party` say something at a level, or withdraw what it said.
    ///
    /// # Errors
    /// [`PrivacyError::Stale`], [`PrivacyError::Unavailable`], [`PrivacyError::Internal`].
    pub(crate) async fn change(
        &self,
        level: &Level,
        party: Party,
        to: Option<Training>,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        for _ in 0..CONTENTION_TRIES_MAX {
            if let Some(changed) = self.try_change(level, party, to, precondition).await? {
                return Ok(changed);
            }
        }
        Err(PrivacyError::Unavailable(
            "too many concurrent changes of the same preference".to_owned(),
        ))
    }

    /// `None` when others changed the level meanwhile.
    async fn try_change(
        &self,
        level: &Level,
        party: Party,
        to: Option<Training>,
        precondition: &Precondition,
    ) -> Result<Option<Preference>, PrivacyError> {
        let key = self.key(level);
        let (stored, batch) = match self.documents.get(&key).await? {
            None => (
                StoredPreference::default(),
                Batch::new().expect_absent(&key),
            ),
            Some(document) => (
                decode(&key, &document)?,
                Batch::new().expect_version(&key, document.version),
            ),
        };
        let before = stored.sum_up();
        check(precondition, &before)?;
        if to.is_none() && !stored.heard(party) {
            return Ok(Some(before));
        }
        let changed = stored.change(party, to, self.clock.now());
        let value = serde_json::to_vec(&changed)
            .map_err(|error| PrivacyError::Internal(error.to_string()))?;
        // However the commit ends: one whose outcome is unknown may have been applied.
        let _forgotten = self.fresh.forget_afterwards(level);
        match self.documents.commit(batch.put(&key, value)).await {
            Ok(_) => Ok(Some(changed.sum_up())),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    fn key(&self, level: &Level) -> DocKey {
        let authority = &self.authority;
        match level {
            Level::System => DocKey::new(&Partition::of_system(authority, KIND), "system"),
            Level::Tenant(tenant) => {
                DocKey::new(&Partition::of_tenant(authority, tenant, KIND), "tenant")
            }
            // A user's id starts with `u_`, so it is never `tenant`.
            Level::User(tenant, user) => DocKey::new(
                &Partition::of_tenant(authority, tenant, KIND),
                user.as_str(),
            ),
        }
    }
}

fn decode(key: &DocKey, document: &Document) -> Result<StoredPreference, PrivacyError> {
    serde_json::from_slice(&document.value).map_err(|error| {
        let (partition, id) = (&key.partition, &key.id);
        PrivacyError::Internal(format!("{partition} {id} is damaged: {error}"))
    })
}

/// Refuses a level in a state that the caller did not name; what was withdrawn does not exist.
fn check(precondition: &Precondition, stored: &Preference) -> Result<(), PrivacyError> {
    let exists = stored.said.is_some() || *precondition != Precondition::Exists;
    let holds = exists && precondition.holds(Some(stored.version));
    holds.then_some(()).ok_or(PrivacyError::Stale)
}
