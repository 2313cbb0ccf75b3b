//! Redis over TLS, as an operator sets it up: a row with an authority of one's own, and what is said of a wrong one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use testkit::{Authority, RedisServer, Signed};

use crate::{
    client::Caller,
    process::{init, serve_of, tenantry},
    several::Cloud,
    streams::{Sse, post, thread},
};

const HERE: &str = "127.0.0.1";
/// In every secret that is not to be told.
const CANARY: &str = "canary-of-the-password";

/// A file with a secret in it, as a reference.
fn secret(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    format!("file:{}", file.display())
}

/// Everything in one process, but for the chat's events.
struct Installation {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = init(folder.path(), &[]);
        Self { folder, config }
    }

    /// Keeps the events at `url`.
    fn set(&self, url: &str, secrets: &[String]) -> Output {
        let target = format!(r#"{{"url":"{url}"}}"#);
        let mut command = tenantry();
        command
            .args(["routes", "set", "chat_bus", "--backend", "redis"])
            .args(["--target", &target]);
        for secret in secrets {
            command.args(["--secret", secret]);
        }
        command.arg("--config").arg(&self.config).output().unwrap()
    }

    /// What `check` says of a row, which it must refuse.
    fn refused(&self, url: &str, secrets: &[String]) -> String {
        let set = self.set(url, secrets);
        assert!(set.status.success(), "{}", said(&set));
        let mut check = tenantry();
        let refused = check.arg("check").arg("--config").arg(&self.config);
        let refused = refused.output().unwrap();
        let text = said(&refused);
        assert_eq!(refused.status.code(), Some(78), "{text}");
        let named = "the backend redis of chat_bus";
        assert!(text.contains(named), "{named} is not in {text}");
        assert!(
            !text.contains(CANARY) && !text.contains("PRIVATE KEY"),
            "{text}"
        );
        text
    }

    fn file(&self, name: &str, text: &str) -> String {
        secret(self.folder.path(), name, text)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_redis_that_is_not_trusted_or_not_there_is_named_by_check() {
    let installed = Installation::new();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let settings = ["--requirepass", CANARY];
    let start = |signed: &Signed| RedisServer::start_tls(signed, &ours.certificate(), &settings);
    let server = start(&ours.server(&[HERE]));
    let elsewhere = start(&ours.server(&["redis.example"]));
    let plain = RedisServer::start();
    let cluster = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let password = format!("password={}", installed.file("password", CANARY));
    let ca = format!("ca={}", installed.file("ca", &ours.certificate()));
    let wrong_ca = format!("ca={}", installed.file("wrong-ca", &other.certificate()));
    let no_ca = format!("ca={}", installed.file("no-ca", CANARY));
    let at = |port: u16, scheme: &str| format!("{scheme}://{HERE}:{port}/0");

    for (url, authority, why) in [
        (at(server.port(), "rediss"), Some(&wrong_ca), "not trusted"),
        (at(server.port(), "rediss"), None, "not trusted"),
        (
            at(elsewhere.port(), "rediss"),
            Some(&ca),
            "not valid for name",
        ),
        (
            at(plain.port(), "rediss"),
            Some(&ca),
            "begins with redis://",
        ),
        (at(server.port(), "redis"), None, "begins with rediss://"),
    ] {
        let secrets: Vec<String> = authority.into_iter().chain([&password]).cloned().collect();
        let text = installed.refused(&url, &secrets);
        let (_, place) = url.rsplit_once("//").unwrap();
        for told in [why, place] {
            assert!(text.contains(told), "{url}: {told} is not in {text}");
        }
    }
    let text = installed.refused(&at(cluster.port(), "redis"), &[]);
    assert!(text.contains("Redis Cluster"), "{text}");
    let text = installed.refused(&at(server.port(), "rediss"), &[no_ca, password.clone()]);
    assert!(text.contains("ca must be"), "{text}");

    // What the row itself shows to be wrong is refused before it is stored.
    for (url, secret, why) in [
        (at(server.port(), "redis"), &ca, "rediss://"),
        (
            at(server.port(), "rediss"),
            &format!("client_key={}", installed.file("key", &ours.client().key)),
            "client_certificate",
        ),
    ] {
        let refused = installed.set(&url, std::slice::from_ref(secret));
        let text = said(&refused);
        assert!(!refused.status.success() && text.contains(why), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_cloud_speaks_tls_to_its_redis() {
    let cloud = Cloud::start().await;
    let authority = Authority::new("ours");
    let signed = authority.server(&[HERE]);
    let settings = ["--requirepass", CANARY, "--tls-auth-clients", "yes"];
    let redis = RedisServer::start_tls(&signed, &authority.certificate(), &settings);
    let client = authority.client();
    let mut args = cloud.args.clone();
    let flag = args.iter().position(|arg| arg == "--redis").unwrap();
    args[flag + 1] = redis.url();
    for (name, text) in [
        ("password", CANARY),
        ("ca", &authority.certificate()),
        ("client_certificate", &client.certificate),
        ("client_key", &client.key),
    ] {
        let reference = secret(cloud.folder.path(), name, text);
        args.extend(["--secret".to_owned(), format!("redis.{name}={reference}")]);
    }
    // Nothing may be left for a Redis without TLS.
    cloud.redis.kill();
    let server = serve_of(&args, "").await;
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let mut stream = Sse::open(&server, &ada, "/sse/chat/th_1").await;
    let ids = post(&server, &ada, "th_1", &["a", "b"]).await;
    assert_eq!(stream.messages(2).await, ids);
}
