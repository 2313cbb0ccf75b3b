//! The store under test.
//!
//! Without variables a development endpoint is started in the test's own process, over a temporary folder.
//! `S3_ENDPOINT` names another server instead, with `S3_BUCKET`, `S3_ACCESS_KEY_ID`,
//! `S3_SECRET_ACCESS_KEY`, and `S3_REGION` (`us-east-1` if it is not set). The bucket is addressed by path
//! unless `S3_PATH_STYLE` is `false`. Each test has tenants of its own, so a bucket can be used again.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use engine_embedded::{S3Endpoint, S3EndpointSettings};
use identity::{Clock, Env, SystemAuthority, Timestamp};
use store::{
    Blobs,
    contract::{
        Scopes, Subject,
        blobs::{BlobsSubject, Browser},
    },
};
use tempfile::TempDir;
use tenantry_engine_s3::{S3Blobs, S3Credentials, S3Location, S3Settings};
use testkit::World;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::sender::Sender;

pub(crate) const BUCKET: &str = "tenantry-test";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const KEY_ID: &str = "test-key";
pub(crate) const SECRET: &str = "a-secret-that-only-tests-use";

/// The system's clock: the server under test has no other.
pub(crate) struct Present;

impl Clock for Present {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap())
    }
}

/// A clock that is always a while behind or ahead.
pub(crate) struct Off(pub(crate) i64);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(Present.now().unix_ms() + self.0 * 1000)
    }
}

pub(crate) struct Store {
    pub(crate) settings: S3Settings,
    pub(crate) sender: Sender,
    scopes: Scopes,
    blobs: parking_lot::RwLock<Arc<S3Blobs>>,
    own: Option<Own>,
}

/// A server of the test itself.
struct Own {
    folder: TempDir,
    endpoint: Mutex<Option<S3Endpoint>>,
}

pub(crate) fn credentials(id: &str, secret: &str) -> S3Credentials {
    S3Credentials::new(id, Zeroizing::new(secret.to_owned())).unwrap()
}

/// The settings of an endpoint on a free port, or on the port of its folder's last start.
pub(crate) fn endpoint_settings(folder: &Path) -> S3EndpointSettings {
    S3EndpointSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        folder: folder.to_owned(),
        bucket: BUCKET.to_owned(),
        access_key_id: KEY_ID.to_owned(),
        secret_access_key: Zeroizing::new(SECRET.to_owned()),
    }
}

/// The server that the variables name, or one of our own.
pub(crate) async fn open() -> Store {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (settings, own) = if let Ok(endpoint) = env::var("S3_ENDPOINT") {
        let region = env::var("S3_REGION").unwrap_or_else(|_| REGION.to_owned());
        let path_style = env::var("S3_PATH_STYLE").map_or(true, |text| text != "false");
        let bucket = variable("S3_BUCKET");
        let location = S3Location::new(&bucket, &region, Some(&endpoint), path_style).unwrap();
        let credentials = credentials(
            &variable("S3_ACCESS_KEY_ID"),
            &variable("S3_SECRET_ACCESS_KEY"),
        );
        (
            S3Settings {
                location,
                credentials,
            },
            None,
        )
    } else {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = S3Endpoint::start(endpoint_settings(folder.path()))
            .await
            .unwrap();
        let location = S3Location::new(BUCKET, REGION, Some(&endpoint.url()), true).unwrap();
        let endpoint = Mutex::new(Some(endpoint));
        let credentials = credentials(KEY_ID, SECRET);
        (
            S3Settings {
                location,
                credentials,
            },
            Some(Own { folder, endpoint }),
        )
    };
    Store::over(settings, own).await
}

impl Store {
    async fn over(settings: S3Settings, own: Option<Own>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let world = World::new();
        let one = format!(
            "t_{}-{}-{}",
            Present.now().unix_ms(),
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let scopes = Scopes {
            one: world.scope(&one, Env::Dev, "u_1").await,
            other_tenant: world.scope(&format!("{one}-other"), Env::Dev, "u_1").await,
            other_env: world.scope(&one, Env::Prod, "u_1").await,
            system: SystemAuthority::assume(),
        };
        let blobs = S3Blobs::new(settings.clone(), Arc::new(Present))
            .await
            .unwrap();
        Self {
            settings,
            sender: Sender::new(),

            scopes,
            blobs: parking_lot::RwLock::new(Arc::new(blobs)),
            own,
        }
    }

    pub(crate) fn blobs(&self) -> Arc<S3Blobs> {
        Arc::clone(&self.blobs.read())
    }

    /// The same bucket, for other credentials or at another time.
    pub(crate) async fn blobs_with(
        &self,
        credentials: S3Credentials,
        clock: Arc<dyn Clock>,
    ) -> S3Blobs {
        let location = self.settings.location.clone();
        S3Blobs::new(
            S3Settings {
                location,
                credentials,
            },
            clock,
        )
        .await
        .unwrap()
    }

    /// Another bucket at the same endpoint.
    pub(crate) async fn blobs_in(&self, bucket: &str) -> S3Blobs {
        let (here, credentials) = (&self.settings.location, self.settings.credentials.clone());
        let location = S3Location::new(bucket, here.region(), here.endpoint(), here.path_style());
        let settings = S3Settings {
            location: location.unwrap(),
            credentials,
        };
        S3Blobs::new(settings, Arc::new(Present)).await.unwrap()
    }

    /// Every file that holds bytes of an object, whole or not; nothing for a server that is not ours.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders: Vec<PathBuf> = self
            .own
            .iter()
            .map(|own| own.folder.path().to_owned())
            .collect();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().unwrap() != "port" {
                    found.push(path);
                }
            }
        }
        found
    }
}

#[async_trait]
impl Subject<dyn Blobs> for Store {
    fn port(&self) -> Arc<dyn Blobs> {
        self.blobs()
    }

    fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    fn now(&self) -> Timestamp {
        Present.now()
    }

    async fn advance(&self, by: Duration) {
        // The server's clock is the system's, so time has to pass.
        tokio::time::sleep(by).await;
    }

    async fn reopen(&self) {
        if let Some(own) = &self.own {
            let mut endpoint = own.endpoint.lock().await;
            if let Some(mut former) = endpoint.take() {
                former.close().await;
            }
            let settings = endpoint_settings(own.folder.path());
            *endpoint = Some(S3Endpoint::start(settings).await.unwrap());
        }
        let blobs = S3Blobs::new(self.settings.clone(), Arc::new(Present)).await;
        *self.blobs.write() = Arc::new(blobs.unwrap());
    }
}

impl BlobsSubject for Store {
    fn browser(&self) -> &dyn Browser {
        &self.sender
    }
}
