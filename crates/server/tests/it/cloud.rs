//! A server of the profile `cloud`, over a real Redis, Google's Firestore emulator and an S3 endpoint.

use std::time::Duration;

use serde_json::json;
use testkit::{FirestoreEmulator, Way};

use crate::{
    client::{Caller, Request, send},
    faults::Plant,
    process::{Server, serve_of},
    recipes::succeed,
    several::Cloud,
    streams::{Sse, post, thread},
};

async fn ready(server: &Server) -> serde_json::Value {
    let asked = Request::new("GET", "/readyz");
    send(server, &Caller::default(), &asked).await.json()
}

fn message(text: &str) -> Request {
    Request::new("POST", "/chat/threads/th_1/messages").json(&json!({"data": {"text": text}}))
}

/// Asks until the status is `expected`, and returns its `Retry-After`.
async fn until(
    server: &Server,
    caller: &Caller,
    request: &Request,
    expected: u16,
) -> Option<String> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let reply = send(server, caller, request).await;
        if reply.status == expected {
            let header = reply.headers.iter().find(|(name, _)| name == "retry-after");
            return header.map(|(_, value)| value.clone());
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{request:?}: {}",
            reply.visible()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_cloud_serves_and_outlives_its_backends() {
    let plant = Plant::start().await;
    let cloud = &plant.cloud;
    let server = serve_of(&cloud.args, "").await;
    let ada = Caller::resident(&server, 0);

    let told = ready(&server).await;
    assert_eq!(told["status"], "ready", "{told}");
    for backend in ["redis", "firestore", "s3"] {
        assert_eq!(told["backends"][backend]["status"], "ok", "{told}");
        assert!(
            told["backends"][backend]["durability"].is_string(),
            "{told}"
        );
    }
    assert!(told["backends"].get("embedded").is_none(), "{told}");

    thread(&server, &ada, "th_1").await;
    let mut stream = Sse::open(&server, &ada, "/sse/chat/th_1").await;
    let ids = post(&server, &ada, "th_1", &["a", "b"]).await;
    assert_eq!(stream.messages(2).await, ids);
    let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "A card"}));
    succeed(&server, &ada, card.clone()).await;
    let listed = succeed(&server, &ada, Request::new("GET", "/nexus/cards")).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let promise = json!({"filename": "a.txt", "content_type": "text/plain", "size": 1});
    let presign = Request::new("POST", "/nexus/raw-storage/presign").json(&promise);
    succeed(&server, &ada, presign).await;

    // Without Redis there is no chat, and everything else goes on.
    cloud.redis.kill();
    assert!(until(&server, &ada, &message("lost?"), 503).await.is_some());
    succeed(&server, &ada, Request::new("GET", "/nexus/cards")).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while ready(&server).await["backends"]["redis"]["status"] != "degraded" {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{}",
            ready(&server).await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ready(&server).await["status"], "ready");
    cloud.redis.revive();
    until(&server, &ada, &message("back"), 201).await;
    let resumed = format!("/sse/chat/th_1?last_event_id={}", ids[1]);
    let back = Sse::open(&server, &ada, &resumed).await.next().await;
    assert_eq!(back.unwrap().json()["data"], json!({"text": "back"}));

    // Nor is anything let through while it cannot be known who is a member.
    plant.firestore.set(Way::Silent);
    assert!(until(&server, &ada, &card, 503).await.is_some());
    plant.firestore.set(Way::Open);
    until(&server, &ada, &card, 201).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_that_are_not_there_are_named_together() {
    let cloud = Cloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tenantry.toml").display().to_string();
    let data = folder.path().join("data").display().to_string();
    let init = {
        let mut args = vec!["init".to_owned(), "--config".to_owned(), config];
        args.extend(["--data".to_owned(), data]);
        args.extend(cloud.args.clone());
        args
    };
    cloud.redis.kill();
    drop(cloud.s3);
    let output = tokio::task::spawn_blocking(move || {
        crate::process::tenantry().args(init).output().unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    for named in [
        "the backend redis of",
        "chat_bus",
        "the backend s3 of raw_storage, media",
    ] {
        assert!(said.contains(named), "{named} is not in {said}");
    }
    assert!(!said.contains("the-secret\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_moves_to_another_engine_with_all_that_follow_it() {
    let emulator = tokio::task::spawn_blocking(FirestoreEmulator::start)
        .await
        .unwrap();
    let mut server = Server::dev();
    let ada = Caller::resident(&server, 0);
    let made = |title: &str| Request::new("POST", "/nexus/cards").json(&json!({"title": title}));
    let card = succeed(&server, &ada, made("Before")).await;
    let lock = Request::new("PUT", "/gates/kill-switches/all")
        .json(&json!({"action": "nexus.*", "reason": "a test"}));
    succeed(&server, &ada, lock).await;
    assert_eq!(send(&server, &ada, &made("Locked")).await.status, 503);

    let folder = server
        .folder
        .path()
        .join("tenantry.toml")
        .display()
        .to_string();
    let target = json!({"project": "moved", "emulator": emulator.address()}).to_string();
    server.replace_data(|data| {
        let data = data.display().to_string();
        let run = |args: &[&str]| {
            let mut command = crate::process::tenantry();
            let output = command
                .args(args)
                .args(["--config", &folder])
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            (
                output.status.code(),
                String::from_utf8_lossy(&said).into_owned(),
            )
        };
        assert_eq!(run(&["init", "--data", &data]).0, Some(0));
        let to = ["--to", "firestore", "--target", &target];
        let follower = run(&[&["migrate", "--kind", "memory"], &to[..]].concat());
        assert!(
            follower.1.contains("memory is moved with nexus"),
            "{follower:?}"
        );
        let events = run(&[&["migrate", "--kind", "chat_bus"], &to[..]].concat());
        let why = "the backend firestore cannot serve chat_bus";
        assert!(events.1.contains(why), "{events:?}");
        let nowhere = r#"{"project":"p","emulator":"127.0.0.1:1"}"#;
        let gone = run(&[
            "migrate",
            "--kind",
            "nexus",
            "--to",
            "firestore",
            "--target",
            nowhere,
        ]);
        assert_eq!(gone.0, Some(78), "{gone:?}");
        let moved = run(&[&["migrate", "--kind", "nexus"], &to[..]].concat());
        assert_eq!(moved.0, Some(0), "{moved:?}");
        assert!(!moved.1.contains(" 0 documents"), "{moved:?}");
        let again = run(&[&["migrate", "--kind", "nexus"], &to[..]].concat());
        assert_eq!(again.0, Some(0), "{again:?}");
        let rows = run(&["routes", "list"]).1;
        assert!(rows.contains("nexus * * firestore"), "{rows}");
        assert!(!rows.contains("held"), "{rows}");
    });
    let ada = Caller::resident(&server, 0);
    let listed = succeed(&server, &ada, Request::new("GET", "/nexus/cards")).await;
    assert_eq!(listed["items"], json!([card]));
    // The gates moved with what they guard: the switch still holds, and lets go.
    assert_eq!(send(&server, &ada, &made("Locked")).await.status, 503);
    let unlock = Request::new("DELETE", "/gates/kill-switches/all");
    succeed(&server, &ada, unlock).await;
    succeed(&server, &ada, made("After")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_kind_moves_it_is_read_and_not_written_and_others_are_both() {
    let cloud = Cloud::start().await;
    let server = serve_of(&cloud.args, "").await;
    let ada = Caller::resident(&server, 0);
    let prefs = |training: &str| {
        Request::new("PUT", "/privacy/train-prefs/tenant").json(&json!({"training": training}))
    };
    succeed(&server, &ada, prefs("allow")).await;
    let config = server
        .folder
        .path()
        .join("tenantry.toml")
        .display()
        .to_string();
    let target = json!({"project": "elsewhere", "emulator": cloud.firestore});
    let moving = tokio::task::spawn_blocking(move || {
        let kind = ["migrate", "--config", &config, "--kind", "train_prefs"];
        let to = ["--to", "firestore", "--target", &target.to_string()];
        let mut command = crate::process::tenantry();
        command.args(kind).args(to).output().unwrap()
    });
    assert!(until(&server, &ada, &prefs("deny"), 503).await.is_some());
    let read = Request::new("GET", "/privacy/train-prefs");
    succeed(&server, &ada, read.clone()).await;
    thread(&server, &ada, "th_1").await;
    post(&server, &ada, "th_1", &["not held"]).await;
    let moved = moving.await.unwrap();
    assert!(
        moved.status.success(),
        "{}",
        String::from_utf8_lossy(&moved.stderr)
    );
    until(&server, &ada, &prefs("deny"), 200).await;
    let told = succeed(&server, &ada, read).await;
    assert_eq!(told["training"], "deny", "{told}");
}
