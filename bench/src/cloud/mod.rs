//! The profile `cloud` for measurements: Redis, Google's Firestore emulator, an S3 store, and nodes over them.
//!
//! The emulator is the one that `FIRESTORE_EMULATOR_HOST` names; `cargo xtask` starts it. The other two are
//! started here, on free loopback ports over temporary folders.

mod objects;
mod redis;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use engine_firestore::{Firestore, FirestoreLocation, FirestoreSettings};
use serde_json::json;
use store::Documents;
use tempfile::TempDir;
use toml::Table;

use crate::{
    ambient::{SystemClock, SystemEntropy, scratch},
    server::Server,
};
use objects::{BUCKET, KEY_ID, Objects, SECRET};
pub(crate) use redis::RedisServer;

const CONFIG: &str = "tenantry.toml";
/// Where the emulator is.
const EMULATOR: &str = "FIRESTORE_EMULATOR_HOST";

/// A project of the emulator that nobody used before.
pub(crate) struct Project {
    pub(crate) host: String,
    pub(crate) id: String,
}

impl Project {
    /// One of the emulator that the environment names.
    ///
    /// # Errors
    /// When it names none.
    pub(crate) fn fresh() -> Result<Self> {
        let host = std::env::var(EMULATOR);
        let host = host.with_context(|| format!("{EMULATOR} names no emulator"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let id = format!("bench-{now}");
        Ok(Self { host, id })
    }

    /// Its database, as the service names it.
    pub(crate) fn database(&self) -> String {
        format!("projects/{}/databases/(default)", self.id)
    }

    /// Our engine over it.
    ///
    /// # Errors
    /// When the emulator does not answer.
    pub(crate) async fn documents(&self) -> Result<Arc<dyn Documents>> {
        let location = FirestoreLocation::emulator(&self.id, None, &self.host)?;
        let settings = FirestoreSettings::new(location, None)?;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let firestore = Firestore::connect(&settings, clock, entropy).await?;
        firestore.ping().await?;
        Ok(firestore.documents())
    }
}

/// An installation of the profile `cloud`, and what it stands on; all ends with this value.
pub(crate) struct Cloud<'a> {
    /// The server's.
    pub(crate) binary: &'a Path,
    folder: TempDir,
    pub(crate) redis: RedisServer,
    objects: Objects,
}

impl<'a> Cloud<'a> {
    /// Starts the backends and makes the installation.
    ///
    /// # Errors
    /// When one of them is missing, or `init` refuses.
    pub(crate) fn found(binary: &'a Path) -> Result<Self> {
        let folder = scratch()?;
        let cloud = Self {
            binary,
            redis: RedisServer::start()?,
            objects: Objects::start(&folder.path().join("objects"))?,
            folder,
        };
        cloud.init()?;
        Ok(cloud)
    }

    fn init(&self) -> Result<()> {
        let project = Project::fresh()?;
        let firestore = json!({"project": project.id, "emulator": project.host});
        let s3 = json!({
            "bucket": BUCKET, "region": "us-east-1", "endpoint": self.objects.url, "path_style": true,
        });
        let mut command = Command::new(self.binary);
        command.args(["init", "--profile", "cloud", "--redis", self.redis.url()]);
        command.args([
            "--firestore",
            &firestore.to_string(),
            "--s3",
            &s3.to_string(),
        ]);
        for (name, value) in [("access_key_id", KEY_ID), ("secret_access_key", SECRET)] {
            let file = self.path(name);
            fs::write(&file, value)?;
            let reference = format!("s3.{name}=file:{}", file.display());
            command.args(["--secret", &reference]);
        }
        command.arg("--config").arg(self.path(CONFIG));
        command.arg("--data").arg(self.path("data"));
        let made = command.output()?;
        if !made.status.success() {
            bail!("init: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(())
    }

    /// A file or folder of the installation.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its folder, which outlives the backends.
    pub(crate) fn into_folder(self) -> TempDir {
        self.folder
    }

    /// `count` nodes, all with one member, who signed up at the first.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(crate) fn nodes(&self, count: usize) -> Result<Vec<Server>> {
        let mut nodes: Vec<Server> = Vec::with_capacity(count);
        for at in 0..count {
            let (config, data) = self.node(at)?;
            let member = nodes.first().map(|node| node.member.clone());
            nodes.push(Server::serve(self.binary, &config, &data, member)?);
        }
        Ok(nodes)
    }

    /// The configuration of a node: that of the installation, with a data folder and an anchor of its own, and
    /// as quiet as `tenantry dev`.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn node(&self, at: usize) -> Result<(PathBuf, PathBuf)> {
        let mut config: Table = fs::read_to_string(self.path(CONFIG))?.parse()?;
        let data = self.path(&format!("node-{at}"));
        let mut set = |table: &str, name: &str, value: String| {
            let table = config.entry(table).or_insert_with(|| Table::new().into());
            let table = table.as_table_mut().context("a table")?;
            table.insert(name.to_owned(), value.into());
            Ok::<_, anyhow::Error>(())
        };
        set("audit", "anchor", format!("{}.anchor", data.display()))?;
        set("log", "filter", "warn".to_owned())?;
        let file = self.path(&format!("node-{at}.toml"));
        fs::write(&file, config.to_string())?;
        Ok((file, data))
    }
}
