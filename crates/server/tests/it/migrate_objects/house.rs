//! Buckets of a test, and a server that keeps media in one of them.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use engine_embedded::{S3Endpoint, S3EndpointSettings};
use engine_s3::{S3Blobs, S3Credentials, S3Location, S3Settings};
use futures_util::{StreamExt as _, stream};
use identity::{Clock, Env, SystemAuthority, TenantId, Timestamp};
use serde_json::{Value, json};
use store::{BlobRelocation as _, Blobs as _, ObjectKey, ObjectPrefix};
use zeroize::Zeroizing;

use crate::{
    client::Request,
    process::{Server, tenantry},
    recipes::{bootstrap, succeed},
};

const KEY_ID: &str = "the-id-of-the-test";
const SECRET: &str = "the-secret-of-the-test";

struct Present;

impl Clock for Present {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap())
    }
}

/// A bucket of an object store of its own.
pub(super) struct Bucket {
    name: &'static str,
    pub(super) folder: PathBuf,
    pub(super) endpoint: S3Endpoint,
}

impl Bucket {
    pub(super) async fn start(folder: &Path, name: &'static str) -> Self {
        let folder = folder.join(name);
        let endpoint = S3Endpoint::start(S3EndpointSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder: folder.clone(),
            bucket: name.to_owned(),
            access_key_id: KEY_ID.to_owned(),
            secret_access_key: Zeroizing::new(SECRET.to_owned()),
        });
        let endpoint = endpoint.await.unwrap();
        fs::write(folder.join("id"), KEY_ID).unwrap();
        fs::write(folder.join("secret"), SECRET).unwrap();
        Self {
            name,
            folder,
            endpoint,
        }
    }

    pub(super) fn secret(&self, name: &str) -> String {
        format!("file:{}", self.folder.join(name).display())
    }

    pub(super) fn config(&self) -> Value {
        json!({
            "bucket": self.name, "region": "us-east-1", "endpoint": self.endpoint.url(), "path_style": true,
        })
    }

    fn target(&self) -> Value {
        let secrets =
            json!({"access_key_id": self.secret("id"), "secret_access_key": self.secret("secret")});
        json!({"backend": "s3", "config": self.config(), "secrets": secrets})
    }

    /// The bucket without a server in between.
    pub(super) async fn blobs(&self) -> S3Blobs {
        let url = self.endpoint.url();
        let settings = S3Settings {
            location: S3Location::new(self.name, "us-east-1", Some(&url), true).unwrap(),
            credentials: S3Credentials::new(KEY_ID, Zeroizing::new(SECRET.to_owned())).unwrap(),
        };
        S3Blobs::new(settings, Arc::new(Present)).await.unwrap()
    }

    /// The media of a tenant in development.
    pub(super) async fn keys(&self, tenant: &str) -> Vec<ObjectKey> {
        let prefix = media_of(tenant);
        self.blobs().await.keys(&prefix, None, 1000).await.unwrap()
    }

    /// How many objects it has, of everyone and whole.
    pub(super) fn count(&self) -> usize {
        let shelves = fs::read_dir(self.folder.join(self.name)).unwrap();
        shelves
            .map(|shelf| fs::read_dir(shelf.unwrap().path()).unwrap().count())
            .sum()
    }

    /// Objects that nobody registered, below the media of a tenant.
    pub(super) async fn fill(&self, tenant: &str, objects: usize) {
        let (blobs, prefix) = (&self.blobs().await, &media_of(tenant));
        let puts = stream::iter(0..objects).map(|at| async move {
            let key = prefix.key(&format!("{prefix}as_{at:04}/file")).unwrap();
            let body = Bytes::from(vec![1; 10_000]);
            assert!(blobs.put_if_absent(&key, "text/plain", body).await.unwrap());
        });
        puts.buffer_unordered(16).collect::<()>().await;
    }
}

pub(super) fn media_of(tenant: &str) -> ObjectPrefix {
    let tenant: TenantId = tenant.parse().unwrap();
    ObjectPrefix::of_tenant(&SystemAuthority::assume(), (&tenant, Env::Dev), "media_v2")
}

/// A server that keeps everybody's media in a bucket of the test.
pub(super) struct House {
    pub(super) server: Server,
    pub(super) before: Bucket,
    pub(super) after: Bucket,
}

impl House {
    pub(super) async fn build() -> Self {
        let server = Server::dev();
        let folder = server.folder.path();
        let (before, after) = (
            Bucket::start(folder, "before").await,
            Bucket::start(folder, "after").await,
        );
        let house = Self {
            server,
            before,
            after,
        };
        house.route_everyone().await;
        house
    }

    async fn route_everyone(&self) {
        let operator = bootstrap(&self.server).await;
        let list = Request::new("GET", "/control/routes?limit=1000");
        let listed = succeed(&self.server, &operator, list).await;
        let mut rows = listed["items"].as_array().unwrap().iter();
        let row = rows.find(|row| row["resource_kind"] == "media").unwrap();
        let place = format!("/control/routes/{}", row["id"].as_str().unwrap());
        let put = Request::new("PUT", place).json(&self.before.target());
        succeed(&self.server, &operator, put).await;
    }

    /// Stops the server: what is in the data folder is the command's then, which is given a configuration of it.
    pub(super) async fn stop(&mut self) {
        self.server.terminate();
        self.server.ended(Duration::from_secs(30)).await;
        let config = self.server.folder.path().join("tenantry.toml");
        if !config.exists() {
            let mut init = tenantry();
            init.args([Path::new("init"), Path::new("--config"), &config]);
            let made = init.arg("--data").arg(self.server.data()).output().unwrap();
            assert!(made.status.success(), "{}", said(&made));
        }
    }

    /// The command on the house while its server is stopped.
    pub(super) fn command(&self, more: &[&str]) -> Command {
        let config = self.server.folder.path().join("tenantry.toml");
        let mut command = tenantry();
        command.args(["migrate", "--kind", "media", "--config"]);
        command.arg(config).args(more).stdin(Stdio::null());
        command
    }

    pub(super) fn to_after(&self) -> Command {
        self.to(&self.after.config(), "secret")
    }

    /// A move of the first resident's media to a bucket at `config`, with the secret in a file.
    pub(super) fn to(&self, config: &Value, secret: &str) -> Command {
        let tenant = &self.server.facts.tenants[0];
        let mut command = self.command(&["--tenant", tenant, "--to", "s3"]);
        command.args(["--target", &config.to_string()]);
        for (name, file) in [("access_key_id", "id"), ("secret_access_key", secret)] {
            let reference = self.after.secret(file);
            command.args(["--secret", &format!("{name}={reference}")]);
        }
        command
    }

    pub(super) fn rows(&self) -> String {
        let mut command = tenantry();
        let config = self.server.folder.path().join("tenantry.toml");
        let output = command.args(["routes", "list", "--config"]).arg(config);
        said(&output.output().unwrap())
    }
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&both).into_owned();
    assert!(!said.contains(SECRET), "a secret is printed: {said}");
    said
}

pub(super) fn run(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), said(&output))
}
