//! Making a data folder: keys that only its owner can read, and the configuration that refers to them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use audit::Origin;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use identity::{Entropy, KeyState};
use zeroize::Zeroizing;

use crate::config::{AuditConfig, AuthConfig, Config, KeyConfig, S3EndpointConfig};

/// Bytes of chance in a generated secret.
const SECRET_BYTES: usize = 32;
/// Bytes of chance in the name of an audit log.
const ORIGIN_CHANCE_BYTES: usize = 4;

/// The files that a data folder begins with.
pub(crate) struct Folder {
    /// The folder, as an absolute path.
    pub(crate) path: PathBuf,
    secrets: PathBuf,
}

impl Folder {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn prepare(path: &Path) -> anyhow::Result<Self> {
        make_private(path)?;
        let path = fs::canonicalize(path)
            .with_context(|| format!("the folder {} cannot be used", path.display()))?;
        let secrets = path.join("secrets");
        make_private(&secrets)?;
        Ok(Self { path, secrets })
    }

    /// The file of a generated secret, which is made if it is not there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn secret(&self, name: &str, entropy: &dyn Entropy) -> anyhow::Result<PathBuf> {
        self.keep(name, || {
            let mut bytes = [0_u8; SECRET_BYTES];
            entropy.fill(&mut bytes);
            Ok(URL_SAFE_NO_PAD.encode(bytes).into())
        })
    }

    /// The file of a secret, which is written as `make` says if it is not there.
    fn keep(
        &self,
        name: &str,
        make: impl FnOnce() -> anyhow::Result<Zeroizing<String>>,
    ) -> anyhow::Result<PathBuf> {
        let file = self.secrets.join(name);
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file);
        match created {
            Ok(mut created) => {
                writeln!(created, "{}", *make()?)?;
                created.sync_all()?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("the secret {} cannot be written", file.display()));
            }
        }
        Ok(file)
    }

    /// The configuration of a fresh installation in this folder.
    ///
    /// # Errors
    /// When its keys cannot be made.
    pub(crate) fn config(
        &self,
        issuer: &str,
        bootstrap_key: String,
        entropy: &dyn Entropy,
    ) -> anyhow::Result<Config> {
        let key = KeyConfig {
            kid: "k1".to_owned(),
            secret: reference(&self.secret("signing.key", entropy)?),
            state: KeyState::Active,
        };
        let auth = AuthConfig::fresh(issuer, bootstrap_key, key);
        let audit = self.audit(issuer, entropy)?;
        let s3_endpoint = S3EndpointConfig::fresh(
            reference(&self.secret("s3-access-key-id", entropy)?),
            reference(&self.secret("s3-secret-access-key", entropy)?),
        );
        Ok(Config {
            s3_endpoint: Some(s3_endpoint),
            ..Config::fresh(self.path.clone(), auth, audit)
        })
    }

    /// The audit log of this folder: its keys are made once, and its name with them.
    fn audit(&self, issuer: &str, entropy: &dyn Entropy) -> anyhow::Result<AuditConfig> {
        let signing = self.keep("audit-signing.key", || {
            let origin = new_origin(issuer, entropy)?;
            Ok(audit::signer::generate_secret(&origin, entropy)?)
        })?;
        let wrapping = self.keep("audit-wrapping.key", || {
            let mut bytes = Zeroizing::new([0_u8; SECRET_BYTES]);
            entropy.fill(&mut *bytes);
            Ok(STANDARD.encode(*bytes).into())
        })?;
        let origin =
            audit::signer::origin_of_secret(&Zeroizing::new(fs::read_to_string(&signing)?))
                .with_context(|| format!("{} is no signing key", signing.display()))?;
        Ok(AuditConfig::fresh(
            &origin,
            reference(&signing),
            reference(&wrapping),
            self.anchor(&origin),
        ))
    }

    /// Beside the folder, so that it is not replaced together with it.
    fn anchor(&self, origin: &Origin) -> PathBuf {
        let name = origin.as_str().rsplit('/').next().unwrap_or_default();
        self.path.with_file_name(format!("tenantry-{name}.anchor"))
    }
}

/// A file as a reference for the secret resolver.
pub(crate) fn reference(file: &Path) -> String {
    format!("file:{}", file.display())
}

/// A name that no other installation has.
fn new_origin(issuer: &str, entropy: &dyn Entropy) -> anyhow::Result<Origin> {
    let host = issuer.split("://").last().unwrap_or(issuer);
    let mut chance = [0_u8; ORIGIN_CHANCE_BYTES];
    entropy.fill(&mut chance);
    let chance: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}/{chance}", host.trim_end_matches('/')).parse()?)
}

/// Makes a folder that only its owner can enter, if it is not there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_private(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the folder {} cannot be made", path.display()))
}
