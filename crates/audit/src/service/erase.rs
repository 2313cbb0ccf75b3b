//! Erasure of a subject, and the hold that forbids it.
//!
//! Erasing destroys the subject's keys in the tenant. The records stay, every
//! proof of them holds, and nobody can read the subject's values any more.

use std::sync::Arc;

use identity::{Env, Recorded, Scope, TenantId, UserId};
use serde_json::{Map, Value};
use store::{Batch, CommitError, StoreError};

use super::{Audit, LogId, logs::Log, reader::changes_too_often, subjects::ERASED_MAX};
use crate::{Actor, DatasetEvent, Label, Outcome, Phase, Seq, seal::KeyId};

/// How often a hold, or an erasure, is tried again because a log changed meanwhile.
const TRIES_MAX: usize = 16;
/// Keys that the record of an erasure names.
const KEYS_NAMED_MAX: usize = 100;

/// What an erasure did.
#[derive(Debug)]
pub struct Erased {
    /// How many keys were destroyed; 0 when nothing was sealed for the subject.
    pub keys: usize,
    /// The record of it.
    pub recorded: Recorded,
}

/// Why a subject is not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Nothing may be erased while a hold is on.
    #[error("a legal hold forbids erasure in {0}")]
    Held(Env),
    /// The store does not answer, or records wait in the spool; try again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Audit {
    /// Destroys the keys of `subject` in the scope's tenant, in all environments.
    ///
    /// # Errors
    /// [`EraseError`]; then nothing was destroyed, or what is left is destroyed by
    /// asking again.
    pub async fn erase(
        self: &Arc<Self>,
        scope: &Scope,
        subject: &UserId,
    ) -> Result<Erased, EraseError> {
        let erased = {
            // A hold that is set here meanwhile waits.
            let _round = self.rounds.lock().await;
            self.erase_unless_held(scope, subject).await
        };
        if erased.is_ok() {
            self.forgotten_everywhere().await;
        }
        erased
    }

    async fn erase_unless_held(
        self: &Arc<Self>,
        scope: &Scope,
        subject: &UserId,
    ) -> Result<Erased, EraseError> {
        self.unheld(scope.tenant()).await?;
        if self.spool.holds_of(scope.tenant()) {
            let why = "records wait in the spool, which may hold keys of the subject";
            return Err(StoreError::Unavailable(why.to_owned()).into());
        }
        let tenant = scope.tenant();
        let keys = self.subjects.ids(tenant, subject, KEYS_NAMED_MAX).await?;
        let intent = self.announce(scope, &keys).await?;
        let destroyed = self.destroy(tenant, subject).await;
        // Also when it failed: some keys may be destroyed.
        self.forget_erased(tenant);
        let told = self.tell_erased(tenant).await;
        let (outcome, count) = match &destroyed {
            Ok(keys) => (Outcome::Done, keys.len()),
            Err(EraseError::Held(_)) => (Outcome::Refused(Label::legal_hold()), 0),
            Err(EraseError::Store(_)) => (Outcome::Failed(Label::unavailable()), 0),
        };
        let named = destroyed.as_deref().unwrap_or(&keys);
        let mut event = self.erased(scope, named, count).await;
        event.phase = Phase::Outcome { intent, outcome };
        let recorded = self.record(event).await;
        let keys = destroyed?.len();
        told?;
        Ok(Erased {
            keys,
            // The event is bounded; what cannot be sealed here is a fault of the cipher.
            recorded: recorded.unwrap_or(Recorded::Degraded { why: "cipher" }),
        })
    }

    /// Destroys the subject's keys, unless a hold is on when it happens.
    async fn destroy(&self, tenant: &TenantId, subject: &UserId) -> Result<Vec<KeyId>, EraseError> {
        let mut destroyed = Vec::new();
        let (mut tries, mut all) = (0, false);
        loop {
            let unheld = match self.unheld(tenant).await {
                // The hold came after the erasure.
                Err(EraseError::Held(_)) if all => return Ok(destroyed),
                unheld => unheld?,
            };
            let first = destroyed.is_empty();
            let erased = self.subjects.erase_some(tenant, subject, unheld, first);
            match erased.await {
                Ok(keys) if keys.is_empty() => return Ok(destroyed),
                Ok(keys) => {
                    all = keys.len() < ERASED_MAX;
                    destroyed.extend(keys);
                    tries = 0;
                }
                Err(CommitError::Conflict(_)) if tries < TRIES_MAX => tries += 1,
                Err(CommitError::Conflict(_)) => return Err(changes_too_often().into()),
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
    }

    /// Expects that no hold is on in the tenant, as it is none now: a head that tells of one is
    /// in another state.
    async fn unheld(&self, tenant: &TenantId) -> Result<Batch, EraseError> {
        let mut unheld = Batch::new();
        for env in Env::ALL {
            let id = LogId {
                tenant: tenant.clone(),
                env,
            };
            unheld = match self.logs.find(&id).await? {
                Some(log) => {
                    let (head, version) = self.versioned_head(&log).await?;
                    if head.flags.legal_hold {
                        return Err(EraseError::Held(env));
                    }
                    unheld.expect_version(&self.layout.head(log.slot), version)
                }
                None => unheld.expect_absent(&self.layout.slot(&id)),
            };
        }
        Ok(unheld)
    }

    /// Says on record which keys will be destroyed: they can be named afterwards by nobody.
    async fn announce(self: &Arc<Self>, scope: &Scope, keys: &[KeyId]) -> Result<Seq, StoreError> {
        let mut event = self.erased(scope, keys, 0).await;
        event.phase = Phase::Intent;
        let refused = |why: &str| StoreError::Unavailable(why.to_owned());
        match self.record(event).await {
            Ok(Recorded::Durable { seq }) => {
                Seq::try_from(seq).map_err(|why| StoreError::Corrupt(why.to_string()))
            }
            Ok(Recorded::Degraded { why }) => Err(refused(why)),
            Err(why) => Err(StoreError::Corrupt(why.to_string())),
        }
    }

    /// Names the keys, by which the records that they sealed are found, and not the subject.
    async fn erased(&self, scope: &Scope, keys: &[KeyId], destroyed: usize) -> DatasetEvent {
        let actor = Actor::User {
            id: scope.user().clone(),
            role: Some(scope.auth().role()),
        };
        let named = keys.iter().take(KEYS_NAMED_MAX);
        let named: Vec<String> = named.map(ToString::to_string).collect();
        DatasetEvent {
            tenant: scope.tenant().clone(),
            env: scope.env(),
            project: Some(scope.project().clone()),
            time: self.clock.now(),
            training: self.training_of(scope.tenant(), &actor).await,
            actor,
            action: Label::subject_erased(),
            target: None,
            phase: Phase::Event(Outcome::Done),
            request_id: scope.ids().request_id.clone(),
            traceparent: Some(scope.ids().traceparent.clone()),
            idempotency: None,
            repeated: 1,
            metadata: Map::from_iter([
                ("keys".to_owned(), Value::from(named)),
                ("destroyed".to_owned(), Value::from(destroyed)),
            ]),
            personal: Vec::new(),
        }
    }

    /// Whether a legal hold is on in an environment of the scope's tenant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hold(&self, scope: &Scope, env: Env) -> Result<bool, StoreError> {
        let id = LogId {
            tenant: scope.tenant().clone(),
            env,
        };
        match self.logs.find(&id).await? {
            Some(log) => Ok(self.head_of(&log).await?.flags.legal_hold),
            None => Ok(false),
        }
    }

    /// Puts the scope's log under legal hold, or lifts it. The next epoch tells of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_hold(&self, scope: &Scope, on: bool) -> Result<(), StoreError> {
        if self.frozen().is_some() {
            return Err(StoreError::ReadOnly("the audit log is frozen".to_owned()));
        }
        let log = self.logs.open(&LogId::of(scope)).await?;
        if !self.leads() {
            return self.order_hold(&log, on).await;
        }
        let _round = self.rounds.lock().await;
        let settled = self.settle().await;
        settled.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        for _ in 0..TRIES_MAX {
            if self.try_hold(&log, on, Batch::new()).await? {
                return Ok(());
            }
        }
        Err(changes_too_often())
    }

    /// Puts a hold on, or lifts it, together with `more`. Whether it is so now; if it is not, the
    /// log has changed meanwhile.
    pub(super) async fn try_hold(
        &self,
        log: &Log,
        on: bool,
        more: Batch,
    ) -> Result<bool, StoreError> {
        let key = self.layout.head(log.slot);
        let (mut head, version) = self.versioned_head(log).await?;
        if self.frozen().is_some() || !self.publisher.knows(&head) {
            let why = format!("{}: the stored head was altered", log.id);
            self.contradicted(why).await?;
            return Err(StoreError::ReadOnly("the audit log is frozen".to_owned()));
        }
        let mut leaves = Vec::new();
        let mut batch = more;
        if head.flags.legal_hold != on {
            head.enter(self.publisher.next_epoch());
            head.flags.legal_hold = on;
            batch = batch
                .expect_version(&key, version)
                .put(&key, head.encode()?);
            leaves.push((log.slot, head.leaf(&head.said()).leaf_hash()));
        }
        if batch.writes().is_empty() {
            return Ok(true);
        }
        match self.store_heads(batch, leaves).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}
