//! Making a data folder: keys that only its owner can read, and the configuration that refers to them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::{Entropy, KeyState};

use crate::config::{AuthConfig, Config, KeyConfig};

/// Bytes of chance in a generated secret.
const SECRET_BYTES: usize = 32;

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

    /// The reference to a generated secret, which is made if it is not there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn secret(&self, name: &str, entropy: &dyn Entropy) -> anyhow::Result<String> {
        let file = self.secrets.join(name);
        let mut bytes = [0_u8; SECRET_BYTES];
        entropy.fill(&mut bytes);
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file);
        match created {
            Ok(mut created) => {
                writeln!(created, "{}", URL_SAFE_NO_PAD.encode(bytes))?;
                created.sync_all()?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("the secret {} cannot be written", file.display()));
            }
        }
        Ok(format!("file:{}", file.display()))
    }

    /// The configuration of a fresh installation in this folder.
    ///
    /// # Errors
    /// When its signing key cannot be made.
    pub(crate) fn config(
        &self,
        issuer: &str,
        bootstrap_key: String,
        entropy: &dyn Entropy,
    ) -> anyhow::Result<Config> {
        let key = KeyConfig {
            kid: "k1".to_owned(),
            secret: self.secret("signing.key", entropy)?,
            state: KeyState::Active,
        };
        let auth = AuthConfig::fresh(issuer, bootstrap_key, key);
        Ok(Config::fresh(self.path.clone(), auth))
    }
}

fn make_private(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the folder {} cannot be made", path.display()))
}
