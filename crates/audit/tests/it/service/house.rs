//! An audit log over a [`Vault`], which is opened again and again.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::TryStreamExt;
use identity::{
    Clock, Entropy, Env, Recorded, RequestIds, Role, Scope, SystemAuthority, TenantId, UserId,
};
use store::{Documents, EventLog};
use tenantry_audit::{
    DatasetEvent, Phase, Seq, Signers, Training, Trust, TrustFile,
    service::{
        Audit, AuditConfig, AuditDeps, AuditRecorder, Entry, OpenAuditError, TrainingPolicy,
        WrappingKey,
    },
    verify,
};
use testkit::World;

use super::vault::Vault;
use crate::world::{self, ORIGIN};

/// Everybody allows training.
pub(crate) struct Allowed;

#[async_trait]
impl TrainingPolicy for Allowed {
    async fn training(&self, _: &TenantId, _: &UserId) -> Training {
        Training {
            allowed: true,
            source: "user".into(),
            version: 4,
        }
    }
}

/// Everything that survives a stop: the store, the disk, the secrets.
pub(crate) struct House {
    pub(crate) vault: Arc<Vault>,
    pub(crate) world: World,
    pub(crate) folder: tempfile::TempDir,
    /// Whether checkpoints are kept outside the store.
    pub(crate) anchored: bool,
    pub(crate) origin: &'static str,
    pub(crate) signing: u64,
    pub(crate) former_keys: Vec<String>,
    pub(crate) predecessors: Vec<TrustFile>,
    pub(crate) wrapping: u8,
    pub(crate) training: Arc<dyn TrainingPolicy>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self {
            vault: Arc::default(),
            world: World::new(),
            folder: tempfile::tempdir().unwrap(),
            anchored: true,
            origin: ORIGIN,
            signing: 2,
            former_keys: Vec::new(),
            predecessors: Vec::new(),
            wrapping: 9,
            training: Arc::new(Allowed),
        }
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.path().join("audit.spool")
    }

    /// A name of its own for each log, as operators are told.
    pub(crate) fn anchor(&self) -> PathBuf {
        let name = self.origin.replace('/', "-");
        self.folder.path().join(format!("{name}.anchor"))
    }

    pub(crate) async fn try_open(&self) -> Result<Arc<Audit>, OpenAuditError> {
        self.open_over(Arc::clone(&self.vault), self.spool()).await
    }

    pub(crate) async fn open_over<E: Documents + EventLog + 'static>(
        &self,
        engine: Arc<E>,
        spool: PathBuf,
    ) -> Result<Arc<Audit>, OpenAuditError> {
        self.open_engine(engine.clone(), engine, spool).await
    }

    pub(crate) async fn open_engine(
        &self,
        documents: Arc<dyn Documents>,
        events: Arc<dyn EventLog>,
        spool: PathBuf,
    ) -> Result<Arc<Audit>, OpenAuditError> {
        let anchor = self.anchored.then(|| self.anchor());
        let (deps, config) = self.parts(documents, events, spool, anchor);
        Audit::open(deps, config).await
    }

    /// What a log of this house is made of.
    pub(crate) fn parts(
        &self,
        documents: Arc<dyn Documents>,
        events: Arc<dyn EventLog>,
        spool: PathBuf,
        anchor: Option<PathBuf>,
    ) -> (AuditDeps, AuditConfig) {
        let deps = AuditDeps {
            documents,
            events,
            clock: Arc::clone(&self.world.clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&self.world.entropy) as Arc<dyn Entropy>,
            authority: SystemAuthority::assume(),
            signers: self.signers(),
            wrapping: WrappingKey::parse(&BASE64_STANDARD.encode([self.wrapping; 32])).unwrap(),
            training: Arc::clone(&self.training),
        };
        let config = AuditConfig {
            spool,
            anchor,
            former_keys: self.former_keys.clone(),
            predecessors: self.predecessors.clone(),
            epoch_every: Duration::from_secs(1),
            retention: None,
        };
        (deps, config)
    }

    /// Opens the log, and expects nothing wrong with it.
    pub(crate) async fn open(&self) -> Arc<Audit> {
        let audit = self.try_open().await.unwrap();
        assert_eq!(audit.frozen(), None);
        audit
    }

    pub(crate) fn signers(&self) -> Signers {
        world::signers_of(self.origin, self.signing)
    }

    /// What a verifier trusts who knows all keys of this house.
    pub(crate) fn trust(&self) -> Trust {
        let mut keys = self.signers().verifier_keys().to_vec();
        keys.extend(self.former_keys.iter().cloned());
        Trust::new(TrustFile {
            origin: self.origin.to_owned(),
            keys,
            tenant: None,
            env: None,
            slot: None,
        })
        .unwrap()
    }

    pub(crate) async fn scope(&self, tenant: &str, env: Env) -> Scope {
        self.world
            .scope_as(tenant, env, "u_owner", Role::Owner)
            .await
    }

    pub(crate) fn ids(&self, request: &str) -> RequestIds {
        RequestIds::from_headers(Some(request), None, &*self.world.entropy)
    }

    /// What stands in the checkpoint's number of epochs.
    pub(crate) fn epochs(&self, audit: &Audit) -> u64 {
        let note = audit.checkpoint();
        note.map_or(0, |note| self.trust().checkpoint(&note).unwrap().size)
    }

    /// The whole export of a scope's log.
    pub(crate) async fn export(&self, audit: &Arc<Audit>, scope: &Scope) -> Vec<u8> {
        let lines = audit.export(scope, Seq::FIRST, None, None).await.unwrap();
        lines.try_collect::<Vec<_>>().await.unwrap().concat()
    }

    /// Checks everything that can be checked of a scope's log from outside; gives its records.
    pub(crate) async fn sound(&self, audit: &Arc<Audit>, scope: &Scope) -> Vec<Entry> {
        assert_eq!(audit.frozen(), None);
        let entries = all(audit, scope).await;
        let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq.get()).collect();
        assert_eq!(seqs, (1..=entries.len() as u64).collect::<Vec<_>>());
        if entries.is_empty() {
            return entries;
        }
        let trust = self.trust();
        // The export proves them all.
        for entry in entries.first().into_iter().chain(entries.last()) {
            assert_eq!(entry.leaf.tenant, *scope.tenant());
            assert_eq!(entry.leaf.env, scope.env());
            let receipt = audit.receipt(scope, entry.seq, None).await.unwrap();
            let verified = verify::receipt(&receipt, &trust, None).unwrap();
            assert_eq!(verified.leaf, entry.leaf);
            assert_eq!(verified.opened, entry.opened.fields);
        }
        let export = self.export(audit, scope).await;
        let report = verify::export(&export[..], &trust, None).unwrap();
        assert_eq!(report.records, entries.len() as u64);
        assert!(report.is_complete());
        entries
    }
}

pub(crate) fn recorder(audit: &Arc<Audit>) -> AuditRecorder {
    AuditRecorder::new(Arc::clone(audit))
}

/// An event in a tenant's log, by a user, with a personal value.
pub(crate) fn event(tenant: &str, env: Env, user: &str, n: usize) -> DatasetEvent {
    world::event(&tenant.parse().unwrap(), env, &user.parse().unwrap(), n)
}

/// Records an event where it belongs; gives its seq.
pub(crate) async fn put(audit: &Arc<Audit>, event: DatasetEvent) -> u64 {
    match audit.record(event).await.unwrap() {
        Recorded::Durable { seq } => seq,
        degraded @ Recorded::Degraded { .. } => panic!("{degraded:?}"),
    }
}

/// All records of a scope's log.
pub(crate) async fn all(audit: &Audit, scope: &Scope) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.seq.get());
        let some = audit.entries(scope, after, 1000).await.unwrap();
        if some.is_empty() {
            return entries;
        }
        entries.extend(some);
    }
}

/// Records whose numbers (`n` in the metadata) are those of [`event`].
pub(crate) fn numbers(entries: &[Entry]) -> Vec<u64> {
    let number = |entry: &Entry| {
        entry
            .leaf
            .metadata
            .get("n")
            .and_then(serde_json::Value::as_u64)
    };
    entries.iter().filter_map(number).collect()
}

/// How each intent ended; panics when one did not end exactly once.
pub(crate) fn endings(entries: &[Entry]) -> Vec<(u64, String)> {
    let mut ended = Vec::new();
    for intent in entries.iter().filter(|one| one.leaf.phase == Phase::Intent) {
        let outcomes: Vec<String> = entries
            .iter()
            .filter_map(|one| match &one.leaf.phase {
                Phase::Outcome {
                    intent: of,
                    outcome,
                } if *of == intent.seq => {
                    assert!(one.seq > intent.seq);
                    Some(outcome.to_string())
                }
                _ => None,
            })
            .collect();
        assert_eq!(outcomes.len(), 1, "intent {}: {outcomes:?}", intent.seq);
        ended.extend(outcomes.into_iter().map(|one| (intent.seq.get(), one)));
    }
    let outcomes = entries
        .iter()
        .filter(|one| matches!(one.leaf.phase, Phase::Outcome { .. }));
    assert_eq!(
        outcomes.count(),
        ended.len(),
        "an outcome without an intent"
    );
    ended
}
