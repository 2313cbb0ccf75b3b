//! An audit log over the embedded engine, composed as the server composes it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use audit::{
    Actor, DatasetEvent, Label, Origin, Outcome, Phase, Signers, Target, TargetId, Training,
    service::{Audit, AuditConfig, AuditDeps, TrainingPolicy, WrappingKey},
    signer::generate_secret,
};
use engine_embedded::Embedded;
use identity::{Clock, Env, Recorded, RequestIds, Role, SystemAuthority, TenantId, UserId};
use serde_json::{Map, Value};

use crate::ambient::{SystemClock, SystemEntropy};

/// How often an epoch is closed.
pub(super) const EPOCH_EVERY: Duration = Duration::from_secs(1);

const ORIGIN: &str = "bench.invalid/audit";
const WRAPPING_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// An open audit log and its engine.
pub(super) struct Installation {
    engine: Embedded,
    pub(super) audit: Arc<Audit>,
}

/// Opens the engine in `folder`, or begins one.
pub(super) fn engine(folder: &Path) -> Result<Embedded> {
    std::fs::create_dir_all(folder)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    Ok(Embedded::open(&folder.join("store"), clock, entropy)?)
}

/// The keys that sign what is in `folder`.
pub(super) fn signers(folder: &Path) -> Result<Signers> {
    let (file, origin) = (folder.join("secret"), ORIGIN.parse::<Origin>()?);
    if !file.exists() {
        let secret = generate_secret(&origin, &SystemEntropy)?;
        std::fs::write(&file, secret.as_bytes())?;
    }
    Ok(Signers::from_secrets(origin, &[&std::fs::read(&file)?])?)
}

impl Installation {
    /// Opens what is in `folder`, or begins.
    pub(super) async fn open(folder: &Path) -> Result<Self> {
        Self::over(engine(folder)?, folder).await
    }

    /// Opens the audit log in an engine that is open.
    pub(super) async fn over(engine: Embedded, folder: &Path) -> Result<Self> {
        let deps = AuditDeps {
            documents: engine.documents(),
            events: engine.events(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            authority: SystemAuthority::assume(),
            signers: signers(folder)?,
            wrapping: WrappingKey::parse(WRAPPING_KEY)?,
            training: Arc::new(Denied),
        };
        let config = AuditConfig {
            spool: folder.join("spool"),
            anchor: Some(folder.join("anchor")),
            former_keys: Vec::new(),
            predecessors: Vec::new(),
            epoch_every: EPOCH_EVERY,
            retention: None,
        };
        let audit = Audit::open(deps, config).await?;
        let opened = Self { engine, audit };
        opened.check()?;
        Ok(opened)
    }

    /// Fails when the log was frozen: then nothing that is measured counts.
    pub(super) fn check(&self) -> Result<()> {
        match self.audit.frozen() {
            Some(why) => bail!("the audit log is frozen: {why}"),
            None => Ok(()),
        }
    }

    /// The records of the last epoch, by the size of the checkpoint.
    pub(super) fn epochs(&self) -> Result<u64> {
        let note = self.audit.checkpoint();
        let Some(note) = note else { return Ok(0) };
        let size = note.lines().nth(1).context("a checkpoint has a size")?;
        Ok(size.parse()?)
    }

    /// Closes the engine, so that the folder can be opened again.
    pub(super) async fn close(self) {
        self.engine.close().await;
    }
}

/// Appends, and insists that the record is durable in its log.
pub(super) async fn record(audit: &Arc<Audit>, event: DatasetEvent) -> Result<()> {
    match audit.record(event).await? {
        Recorded::Durable { .. } => Ok(()),
        Recorded::Degraded { why } => bail!("a record is degraded: {why}"),
    }
}

/// Writes events as a request of a member makes them.
pub(super) struct Scribe {
    ids: RequestIds,
    action: Label,
    kind: Label,
}

impl Scribe {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            ids: RequestIds::from_headers(None, None, &SystemEntropy),
            action: "control.project.create".parse()?,
            kind: "project".parse()?,
        })
    }

    /// A project was created: the id of the user is sealed, the rest is in clear.
    pub(super) fn by_user(&self, tenant: TenantId, user: UserId, n: u64) -> DatasetEvent {
        let role = Some(Role::Admin);
        self.event(tenant, Actor::User { id: user, role }, n)
    }

    /// The same by a part of the installation, so that there is no subject.
    pub(super) fn by_system(&self, tenant: TenantId, n: u64) -> DatasetEvent {
        self.event(tenant, Actor::System(self.kind.clone()), n)
    }

    fn event(&self, tenant: TenantId, actor: Actor, n: u64) -> DatasetEvent {
        DatasetEvent {
            tenant,
            env: Env::Prod,
            project: None,
            time: SystemClock.now(),
            actor,
            action: self.action.clone(),
            target: Some(Target {
                kind: self.kind.clone(),
                id: TargetId::Thing(format!("p_{n:016x}").into()),
            }),
            phase: Phase::Event(Outcome::Done),
            request_id: self.ids.request_id.clone(),
            traceparent: Some(self.ids.traceparent.clone()),
            training: Training {
                allowed: false,
                source: "system".into(),
                version: 0,
            },
            idempotency: None,
            repeated: 1,
            metadata: Map::from_iter([("method".to_owned(), Value::from("POST"))]),
            personal: Vec::new(),
        }
    }
}

/// Nobody agreed to training.
struct Denied;

#[async_trait]
impl TrainingPolicy for Denied {
    async fn training(&self, _: &TenantId, _: &UserId) -> Training {
        Training {
            allowed: false,
            source: "system".into(),
            version: 0,
        }
    }
}
