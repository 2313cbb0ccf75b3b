//! The audit log, made from configuration and secrets.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use audit::{
    Origin, Signers, Training, Trust, TrustFile,
    service::{Audit, AuditConfig as Settings, TrainingPolicy, WrappingKey},
};
use control::{SecretRef, SecretValue, Secrets};
use identity::{SystemAuthority, TenantId, UserId};
use privacy::TrainPrefs;

use crate::{
    config::{AuditConfig, Config},
    startup::Missing,
    web::Probe,
};

/// The spool in the data folder, unless another place is configured.
const SPOOL: &str = "audit.spool";

/// What only the configuration and its secrets say about the audit log.
pub(crate) struct AuditParts {
    pub(crate) signers: Signers,
    pub(crate) wrapping: WrappingKey,
    pub(crate) settings: Settings,
}

impl AuditParts {
    /// The parts, or `None` with everything that is wrong noted in `missing`.
    pub(crate) fn lay(config: &Config, secrets: &Secrets, missing: &mut Missing) -> Option<Self> {
        let Some(audit) = &config.audit else {
            missing
                .note("the table [audit] of the configuration: origin, signing_keys, wrapping_key");
            return None;
        };
        let signers = signers(audit, secrets, missing);
        let wrapping = wrapping(audit, secrets, missing);
        let anchor = match &audit.anchor {
            Some(path) => missing.collect(anchor(path)).map(Some),
            None => Some(None),
        };
        let retention = audit.retention();
        let named = |error| format!("audit.retention_days: {error}");
        let retention = missing.collect(retention.map_err(named));
        Some(Self {
            signers: signers?,
            wrapping: wrapping?,
            settings: Settings {
                spool: audit
                    .spool
                    .clone()
                    .unwrap_or_else(|| config.data.join(SPOOL)),
                anchor: anchor?,
                former_keys: audit.former_keys.clone(),
                predecessors: predecessors(audit, missing)?,
                epoch_every: audit.epoch_every(),
                retention: retention?,
            },
        })
    }
}

fn resolved(
    reference: &str,
    secrets: &Secrets,
    missing: &mut Missing,
) -> Option<(SecretRef, SecretValue)> {
    let reference: SecretRef = missing.collect(reference.parse())?;
    let value = missing.collect(secrets.resolve(&reference))?;
    Some((reference, value))
}

fn signers(config: &AuditConfig, secrets: &Secrets, missing: &mut Missing) -> Option<Signers> {
    let origin = missing.collect(
        config
            .origin
            .parse::<Origin>()
            .map_err(|error| format!("audit.origin {:?}: {error}", config.origin)),
    );
    let keys: Vec<_> = config
        .signing_keys
        .iter()
        .map(|key| resolved(key, secrets, missing))
        .collect();
    let keys = keys.into_iter().collect::<Option<Vec<_>>>()?;
    let exposed: Vec<&[u8]> = keys.iter().map(|(_, value)| value.expose()).collect();
    let made = Signers::from_secrets(origin?, &exposed);
    missing.collect(made.map_err(|error| format!("audit.signing_keys: {error}")))
}

fn wrapping(config: &AuditConfig, secrets: &Secrets, missing: &mut Missing) -> Option<WrappingKey> {
    let (reference, value) = resolved(&config.wrapping_key, secrets, missing)?;
    let text = std::str::from_utf8(value.expose()).unwrap_or_default();
    let parsed = WrappingKey::parse(text);
    missing.collect(parsed.map_err(|error| format!("the secret {reference}: {error}")))
}

fn predecessors(config: &AuditConfig, missing: &mut Missing) -> Option<Vec<TrustFile>> {
    let all = config.predecessors.iter().map(|predecessor| {
        let trust = predecessor.trust();
        let checked = Trust::new(trust.clone());
        let checked = checked.map_err(|error| format!("audit.predecessors: {error}"));
        missing.collect(checked.map(|_| trust))
    });
    all.collect()
}

/// The anchor's place, if its folder lets it be replaced.
fn anchor(path: &Path) -> Result<PathBuf, String> {
    let replacement = path.with_extension("new");
    let tried = File::create(&replacement).and_then(|_| fs::remove_file(&replacement));
    match tried {
        Ok(()) => Ok(path.to_owned()),
        Err(error) => Err(format!(
            "the audit anchor {}: {error}; audit.anchor says where it is, outside the data folder",
            path.display()
        )),
    }
}

/// Training preferences, as the audit log asks for them.
pub(crate) struct Preferences {
    pub(crate) prefs: Arc<TrainPrefs>,
    pub(crate) authority: SystemAuthority,
}

#[async_trait]
impl TrainingPolicy for Preferences {
    async fn training(&self, tenant: &TenantId, user: &UserId) -> Training {
        let effective = self.prefs.effective_in(&self.authority, tenant, user);
        let effective = effective.await;
        Training {
            allowed: effective.training == privacy::Training::Allow,
            source: effective.source.as_str().into(),
            version: effective.version,
        }
    }
}

/// A frozen audit log keeps records in its spool and says so with every answer; the server goes on.
pub(crate) fn probe(audit: &Arc<Audit>) -> Probe {
    let (audit, asked) = (Arc::clone(audit), Arc::clone(audit));
    let check = move || match audit.frozen() {
        None => Ok(()),
        Some(why) => Err(format!("frozen: {why}")),
    };
    Probe {
        name: "audit",
        check: Arc::new(check),
        role: Some(Arc::new(move || asked.role().as_str())),
        durability: None,
        vital: false,
    }
}
