//! Several nodes that share their engines behave as one.
//!
//! [`Cloud`] has real backends: a Redis, Google's Firestore emulator, an S3 endpoint. [`Cloud::nodes`] starts
//! servers over them, each a process with its own port, data folder and spool.

use std::{net::SocketAddr, path::Path};

use engine_embedded::{S3Endpoint, S3EndpointSettings};
use serde_json::json;
use testkit::{FirestoreEmulator, RedisServer};
use zeroize::Zeroizing;

use crate::{
    client::Caller,
    process::{Server, serve_of},
    streams::{Sse, post, thread},
};

const BUCKET: &str = "of-the-cloud";

/// The backends of the profile `cloud`, for as long as a test needs them.
pub(crate) struct Cloud {
    pub(crate) redis: RedisServer,
    pub(crate) firestore: FirestoreEmulator,
    pub(crate) s3: S3Endpoint,
    /// Objects and secrets.
    pub(crate) folder: tempfile::TempDir,
    /// What `init` is told of them.
    pub(crate) args: Vec<String>,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = RedisServer::start();
        let firestore = tokio::task::spawn_blocking(FirestoreEmulator::start)
            .await
            .unwrap();
        let s3 = S3Endpoint::start(S3EndpointSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder: folder.path().join("objects"),
            bucket: BUCKET.to_owned(),
            access_key_id: "the-id".to_owned(),
            secret_access_key: Zeroizing::new("the-secret".to_owned()),
        });
        let s3 = s3.await.unwrap();
        let args = args(&redis, &firestore, &s3, folder.path());
        Self {
            redis,
            firestore,
            s3,
            folder,
            args,
        }
    }

    /// Nodes of one installation over them, whose configuration goes on with `more`. The first one has a resident
    /// (`Caller::resident(&nodes[0], 0)`), whom the others know as well. A node that is dropped is killed.
    pub(crate) async fn nodes<const N: usize>(&self, more: &str) -> [Server; N] {
        let mut nodes = vec![serve_of(&self.args, more).await];
        for _ in 1..N {
            nodes.push(nodes[0].another());
        }
        nodes.try_into().ok().expect("as many as were started")
    }
}

/// What `init` is told of them.
fn args(
    redis: &RedisServer,
    firestore: &FirestoreEmulator,
    s3: &S3Endpoint,
    folder: &Path,
) -> Vec<String> {
    let secret = |name: &str, value: &str| {
        let file = folder.join(value);
        std::fs::write(&file, value).unwrap();
        format!("s3.{name}=file:{}", file.display())
    };
    let firestore = json!({"project": "of-the-test", "emulator": firestore.address()});
    let s3 = json!({
        "bucket": BUCKET, "region": "us-east-1", "endpoint": s3.url(), "path_style": true,
    });
    let (firestore, s3) = (firestore.to_string(), s3.to_string());
    let id = secret("access_key_id", "the-id");
    let key = secret("secret_access_key", "the-secret");
    [
        ("--profile", "cloud"),
        ("--redis", &redis.url()),
        ("--firestore", &firestore),
        ("--s3", &s3),
        ("--secret", &id),
        ("--secret", &key),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()])
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_on_one_node_is_followed_on_another() {
    let cloud = Cloud::start().await;
    let [one, two] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    thread(&one, &ada, "th_1").await;
    let mut elsewhere = Sse::open(&two, &ada, "/sse/chat/th_1").await;
    let ids = post(&one, &ada, "th_1", &["a", "b"]).await;
    assert_eq!(elsewhere.messages(2).await, ids);
    let resumed = format!("/sse/chat/th_1?last_event_id={}", ids[0]);
    let mut back = Sse::open(&one, &ada, &resumed).await;
    assert_eq!(back.messages(1).await, ids[1..]);
}
