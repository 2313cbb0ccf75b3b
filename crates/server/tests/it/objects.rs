//! The buckets that rows of the registry name: checked by operators and at every start, watched by readiness.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use engine_embedded::{S3Endpoint, S3EndpointSettings};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    client::{Caller, Request, send},
    process::Server,
    recipes::{bootstrap, succeed},
};

const BUCKET: &str = "of-the-test";

/// Another object store, with its secrets in files.
struct Elsewhere {
    endpoint: S3Endpoint,
    folder: PathBuf,
}

impl Elsewhere {
    async fn start(folder: &Path) -> Self {
        let folder = folder.join("elsewhere");
        let endpoint = S3Endpoint::start(S3EndpointSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder: folder.clone(),
            bucket: BUCKET.to_owned(),
            access_key_id: "the-id".to_owned(),
            secret_access_key: Zeroizing::new("the-secret".to_owned()),
        });
        let endpoint = endpoint.await.unwrap();
        for (name, value) in [("id", "the-id"), ("secret", "the-secret"), ("wrong", "x")] {
            fs::write(folder.join(name), value).unwrap();
        }
        Self { endpoint, folder }
    }

    /// What a row says that sends objects here.
    fn row(&self, bucket: &str, secret: &str) -> Value {
        let file = |name: &str| format!("file:{}", self.folder.join(name).display());
        json!({
            "backend": "s3",
            "config": {
                "bucket": bucket,
                "region": "us-east-1",
                "endpoint": self.endpoint.url(),
                "path_style": true,
            },
            "secrets": {"access_key_id": file("id"), "secret_access_key": file(secret)},
        })
    }
}

/// The row of a kind for everyone.
async fn row(server: &Server, operator: &Caller, kind: &str) -> Value {
    let listed = succeed(server, operator, Request::new("GET", "/control/routes")).await;
    let mut rows = listed["items"].as_array().unwrap().iter();
    let row = rows.find(|row| row["resource_kind"] == kind);
    row.unwrap_or_else(|| panic!("{kind} in {listed}")).clone()
}

async fn replace(server: &Server, operator: &Caller, kind: &str, target: &Value) {
    let id = row(server, operator, kind).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let put = Request::new("PUT", format!("/control/routes/{id}")).json(target);
    succeed(server, operator, put).await;
}

/// Stops the server and starts another on its data, which does not get far.
async fn start_again(server: &mut Server) -> Output {
    server.terminate();
    server.ended(Duration::from_secs(30)).await;
    let mut start = server.command();
    // The stores of the test answer meanwhile.
    let started = tokio::task::spawn_blocking(move || start.output().unwrap());
    started.await.unwrap()
}

fn assert_names(refused: &Output, reasons: &[&str]) {
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    for reason in reasons {
        assert!(said.contains(reason), "{reason} is not named in {said}");
    }
}

#[tokio::test]
async fn a_fresh_server_keeps_objects_where_its_rows_say() {
    let server = Server::start();
    let ready = send(&server, &Caller::default(), &Request::new("GET", "/readyz")).await;
    assert_eq!(
        ready.json()["backends"]["s3"]["status"],
        "ok",
        "{}",
        ready.text
    );
    let operator = bootstrap(&server).await;
    for kind in ["raw_storage", "media"] {
        let row = row(&server, &operator, kind).await;
        assert_eq!(row["backend"], "s3", "{row}");
        assert_eq!(row["config"]["endpoint"], "s3_endpoint", "{row}");
    }
}

#[tokio::test]
async fn a_row_that_says_too_little_is_named_with_every_fault() {
    let mut server = Server::start();
    let operator = bootstrap(&server).await;
    let target = json!({
        "backend": "s3",
        "config": {"region": "eu-central-1"},
        "secrets": {"access_key_id": "env:SET_BY_NOBODY"},
    });
    replace(&server, &operator, "media", &target).await;
    replace(
        &server,
        &operator,
        "raw_storage",
        &json!({"backend": "redis", "config": {"url": "redis://127.0.0.1"}}),
    )
    .await;
    let reasons = [
        "bucket",
        "secret_access_key is not named",
        "env:SET_BY_NOBODY is not set",
        "the backend redis cannot serve raw_storage",
    ];
    let check = Request::new("POST", "/control/routes/check");
    let report = succeed(&server, &operator, check).await.to_string();
    for reason in reasons {
        assert!(report.contains(reason), "{reason} is not in {report}");
    }
    assert_names(&start_again(&mut server).await, &reasons);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_or_does_not_open_stops_the_start() {
    let mut server = Server::start();
    let operator = bootstrap(&server).await;
    let elsewhere = Elsewhere::start(server.folder.path()).await;
    let missing = elsewhere.row("not-there", "secret");
    replace(&server, &operator, "media", &missing).await;
    let refused = elsewhere.row(BUCKET, "wrong");
    replace(&server, &operator, "raw_storage", &refused).await;
    let reasons = ["not-there does not exist", "of-the-test are refused"];
    assert_names(&start_again(&mut server).await, &reasons);
}

#[tokio::test]
async fn a_store_that_goes_down_degrades_a_server_and_keeps_another_from_starting() {
    let mut server = Server::start();
    let operator = bootstrap(&server).await;
    let elsewhere = Elsewhere::start(server.folder.path()).await;
    for kind in ["media", "raw_storage"] {
        replace(&server, &operator, kind, &elsewhere.row(BUCKET, "secret")).await;
    }
    drop(elsewhere);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let ready = send(&server, &Caller::default(), &Request::new("GET", "/readyz")).await;
        assert_eq!(ready.status, 200, "everything else goes on: {}", ready.text);
        let s3 = &ready.json()["backends"]["s3"];
        if s3["status"] == "degraded" {
            assert!(s3["detail"].to_string().contains(BUCKET), "{s3}");
            assert_eq!(s3["serves"], json!(["raw_storage", "media"]));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", ready.text);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refused = start_again(&mut server).await;
    assert_names(&refused, &["the backend s3 of raw_storage, media", BUCKET]);
}

#[tokio::test]
async fn a_tenant_with_a_row_of_its_own_has_a_bucket_of_its_own() {
    let server = Server::start();
    let operator = bootstrap(&server).await;
    let elsewhere = Elsewhere::start(server.folder.path()).await;
    let mut own = elsewhere.row(BUCKET, "secret");
    own["resource_kind"] = "raw_storage".into();
    own["tenant"] = server.facts.tenants[0].clone().into();
    own["env"] = "dev".into();
    let post = Request::new("POST", "/control/routes").json(&own);
    succeed(&server, &operator, post).await;
    let promise = json!({"filename": "a.txt", "content_type": "text/plain", "size": 1});
    for (at, theirs) in [(0, true), (1, false)] {
        let resident = Caller::resident(&server, at);
        let presign = Request::new("POST", "/nexus/raw-storage/presign").json(&promise);
        let form = succeed(&server, &resident, presign).await;
        let url = form["upload"]["url"].as_str().unwrap();
        assert_eq!(url.starts_with(&elsewhere.endpoint.url()), theirs, "{url}");
    }
}
