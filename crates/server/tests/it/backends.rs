//! What servers of the profile `cloud` share: Redis, Firestore and an S3 store, all real.
//!
//! `TENANTRY_TEST_PROFILE=cloud` puts the servers of the whole suite on them, but for the tests that
//! `embedded-only.txt` lists with a reason.
//!
//! `REDIS_URL`, `FIRESTORE_EMULATOR_HOST` and `S3_ENDPOINT` name others than those that a test would start itself;
//! `S3_ENDPOINT` comes with the variables of the S3 engine's own tests. Names in them are new ones for each test.

use std::{
    env,
    net::SocketAddr,
    path::Path,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{SystemTime, UNIX_EPOCH},
};

use engine_embedded::{S3Endpoint, S3EndpointSettings};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{FirestoreEmulator, RedisServer};
use tokio::sync::oneshot;
use url::Url;
use zeroize::Zeroizing;

/// Where the profile of the suite is named.
const PROFILE: &str = "TENANTRY_TEST_PROFILE";
const BUCKET: &str = "of-the-cloud";

/// Whether the suite runs on the profile `cloud`.
pub(crate) fn on_cloud() -> bool {
    match env::var(PROFILE).as_deref() {
        Err(_) | Ok("embedded") => false,
        Ok("cloud") => true,
        Ok(other) => panic!("{PROFILE} is {other}, neither embedded nor cloud"),
    }
}

/// The three of them; those that are a test's own end with this value.
pub(crate) struct Backends {
    pub(crate) redis: Option<RedisServer>,
    pub(crate) emulator: Option<FirestoreEmulator>,
    pub(crate) s3: Option<Objects>,
    places: Places,
    /// Objects and secrets.
    pub(crate) folder: TempDir,
}

/// What `init` is told of them.
#[derive(Default)]
struct Places {
    redis: Value,
    firestore: Value,
    s3: Value,
    secrets: Vec<String>,
}

impl Backends {
    /// Those of the profile that the suite runs on; none on `embedded`.
    pub(crate) fn of_profile() -> Option<Self> {
        on_cloud().then(Self::named)
    }

    /// A Redis and an S3 store of one's own, which can be made to fail. Firestore's emulator takes seconds to start and
    /// has a project for everyone, so it is shared if one is named; what fails is the way to it.
    pub(crate) fn own() -> Self {
        let mut backends = Self::none();
        backends.own_redis();
        backends.some_firestore();
        backends.own_s3();
        backends
    }

    /// Those that the variables name, and one's own in place of the others.
    fn named() -> Self {
        let mut backends = Self::none();
        match env::var("REDIS_URL") {
            Ok(url) => backends.redis_at(&url),
            Err(_) => backends.own_redis(),
        }
        backends.some_firestore();
        match env::var("S3_ENDPOINT") {
            Ok(endpoint) => backends.s3_at(&endpoint),
            Err(_) => backends.own_s3(),
        }
        backends
    }

    fn none() -> Self {
        Self {
            redis: None,
            emulator: None,
            s3: None,
            places: Places::default(),
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// The arguments of an `init` that keeps everything there.
    pub(crate) fn args(&self) -> Vec<String> {
        let Places {
            redis,
            firestore,
            s3,
            secrets,
        } = &self.places;
        let rows = [("redis", redis), ("firestore", firestore), ("s3", s3)];
        let mut args = vec!["--profile".to_owned(), "cloud".to_owned()];
        for (backend, row) in rows {
            args.extend([format!("--{backend}"), row.to_string()]);
        }
        for secret in secrets {
            args.extend(["--secret".to_owned(), secret.clone()]);
        }
        args
    }

    fn own_redis(&mut self) {
        let redis = RedisServer::start();
        self.places.redis = json!({"url": redis.url()});
        self.redis = Some(redis);
    }

    fn redis_at(&mut self, url: &str) {
        let mut url = Url::parse(url).expect("REDIS_URL is a URL");
        let mut row = json!({"prefix": unique()});
        if let Some(password) = url.password() {
            let reference = self.secret("redis-password", password);
            self.places
                .secrets
                .push(format!("redis.password={reference}"));
        }
        if !url.username().is_empty() {
            row["username"] = url.username().into();
        }
        url.set_password(None).expect("it has a host");
        url.set_username("").expect("it has a host");
        row["url"] = url.as_str().into();
        self.places.redis = row;
    }

    /// The one that is named, or one's own.
    fn some_firestore(&mut self) {
        if let Ok(address) = env::var("FIRESTORE_EMULATOR_HOST") {
            return self.firestore_at(&address);
        }
        let emulator = FirestoreEmulator::start();
        self.firestore_at(&emulator.address());
        self.emulator = Some(emulator);
    }

    /// Where Firestore is, `address:port`.
    pub(crate) fn firestore(&self) -> &str {
        self.places.firestore["emulator"].as_str().expect("a text")
    }

    /// The emulator makes a project when it is named.
    fn firestore_at(&mut self, address: &str) {
        self.places.firestore = json!({"project": unique(), "emulator": address});
    }

    fn own_s3(&mut self) {
        let s3 = Objects::start(self.folder.path());
        self.places.s3 = json!({
            "bucket": BUCKET, "region": "us-east-1", "endpoint": s3.url, "path_style": true,
        });
        self.s3_secrets("the-id", "the-secret");
        self.s3 = Some(s3);
    }

    fn s3_at(&mut self, endpoint: &str) {
        let told = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let region = env::var("S3_REGION").unwrap_or_else(|_| "us-east-1".to_owned());
        let path_style = env::var("S3_PATH_STYLE").map_or(true, |text| text != "false");
        self.places.s3 = json!({
            "bucket": told("S3_BUCKET"), "region": region, "endpoint": endpoint, "path_style": path_style,
        });
        self.s3_secrets(&told("S3_ACCESS_KEY_ID"), &told("S3_SECRET_ACCESS_KEY"));
    }

    fn s3_secrets(&mut self, id: &str, key: &str) {
        for (name, value) in [("access_key_id", id), ("secret_access_key", key)] {
            let reference = self.secret(name, value);
            self.places.secrets.push(format!("s3.{name}={reference}"));
        }
    }

    /// A reference to a file with the value in it.
    fn secret(&self, name: &str, value: &str) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, value).expect("the secret is written");
        format!("file:{}", file.display())
    }
}

/// A name that no other test has.
pub(crate) fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later");
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("t-{}-{}-{next}", since.as_millis(), std::process::id())
}

/// An S3 store on a thread of its own, so that it answers while the test's waits for a server to start.
pub(crate) struct Objects {
    pub(crate) url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Objects {
    fn start(folder: &Path) -> Self {
        let settings = S3EndpointSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder: folder.join("objects"),
            bucket: BUCKET.to_owned(),
            access_key_id: "the-id".to_owned(),
            secret_access_key: Zeroizing::new("the-secret".to_owned()),
        };
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let endpoint = S3Endpoint::start(settings).await.expect("it starts");
                tell.send(endpoint.url()).expect("somebody waits");
                let _: Result<(), _> = stopped.await;
            });
        });
        Self {
            url: told.recv().expect("the store starts"),
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || thread::panicking());
    }
}
