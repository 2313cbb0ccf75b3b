//! `tenantry migrate` of event logs: from the data folder to Redis, and from one Redis to another while clients
//! post and follow.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Output, Stdio},
    time::Duration,
};

use serde_json::json;
use testkit::RedisServer;

use crate::{
    client::{Caller, Request, send},
    faults::stranger,
    faults_talk::{Talk, messages},
    process::{Server, tenantry},
    recipes::succeed,
    several::Cloud,
    streams::{Sse, post, thread},
};

fn target(redis: &RedisServer) -> String {
    json!({"url": redis.url()}).to_string()
}

fn config_of(folder: &Path) -> String {
    folder.join("tenantry.toml").display().to_string()
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Runs `tenantry migrate` on `kind`, to the end, which is to be a good one.
fn migrate(folder: &Path, kind: &str, more: &[&str]) -> String {
    let mut command = tenantry();
    command.args(["migrate", "--config", &config_of(folder), "--kind", kind]);
    let output = command.args(more).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// The names of all keys, as the server writes them.
fn keys(redis: &RedisServer) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    stream.write_all(b"KEYS *\r\nQUIT\r\n").unwrap();
    let mut names = String::new();
    stream.read_to_string(&mut names).unwrap();
    names
}

fn message(text: &str) -> Request {
    Request::new("POST", "/chat/threads/th_1/messages").json(&json!({"data": {"text": text}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_the_data_folder_go_on_in_redis_and_back() {
    let there = RedisServer::start();
    let mut server = Server::dev();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let before = post(&server, &ada, "th_1", &["a", "b", "c"]).await;
    let once = ada.clone().and("idempotency-key", "key-1");
    let sent = succeed(&server, &once, message("once")).await;
    let folder = server.folder.path().to_owned();
    server.replace_data(|data| {
        let data = data.display().to_string();
        let mut init = tenantry();
        let init = init.args(["init", "--config", &config_of(&folder), "--data", &data]);
        assert!(init.output().unwrap().status.success());
        let to = ["--to", "redis", "--target", &target(&there)];
        let told = migrate(&folder, "chat_bus", &to);
        assert!(told.contains("events copied"), "{told}");
        assert!(!told.contains(" 0 events copied"), "{told}");
        // A move that is over has nothing to do.
        migrate(&folder, "chat_bus", &to);
        let told = migrate(&folder, "audit_records", &to);
        assert!(!told.contains(" 0 events copied"), "{told}");
    });
    let ada = Caller::resident(&server, 0);
    let resumed = ada.clone().and("last-event-id", before[0].clone());
    let mut sse = Sse::open(&server, &resumed, "/sse/chat/th_1").await;
    let once = ada.clone().and("idempotency-key", "key-1");
    let again = succeed(&server, &once, message("once")).await;
    assert_eq!(again["id"], sent["id"], "it was sent before the move");
    let other = send(&server, &once, &message("another")).await;
    assert_eq!(other.status, 422, "{}", other.visible());
    let after = post(&server, &ada, "th_1", &["d"]).await;
    let mut expected = before[1..].to_vec();
    expected.push(sent["id"].as_str().unwrap().to_owned());
    expected.extend(after.clone());
    assert_eq!(sse.messages(4).await, expected, "no gap, no hole");
    drop(sse);
    verify_audit(&server, &ada).await;

    server.replace_data(|_| {
        migrate(&folder, "chat_bus", &["--to", "embedded"]);
        migrate(&folder, "audit_records", &["--to", "embedded"]);
    });
    let resumed = Caller::resident(&server, 0).and("last-event-id", before[0].clone());
    let mut sse = Sse::open(&server, &resumed, "/sse/chat/th_1").await;
    assert_eq!(sse.messages(4).await, expected);
    verify_audit(&server, &ada).await;
}

/// The first record can be read, and what is recorded now is proven to follow those before.
async fn verify_audit(server: &Server, ada: &Caller) {
    succeed(server, ada, Request::new("GET", "/audit/events/1")).await;
    let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "recorded"}));
    let reply = send(server, ada, &card).await;
    let seq = reply.header("x-audit-seq").expect("it is recorded");
    let receipt = Request::new("GET", format!("/audit/events/{seq}/receipt"));
    succeed(server, ada, receipt).await;
}

/// Starts a move of one tenant's streams.
fn moving(folder: &Path, tenant: &str, to: &RedisServer) -> Child {
    let mut command = tenantry();
    command.args([
        "migrate",
        "--config",
        &config_of(folder),
        "--kind",
        "chat_bus",
    ]);
    command.args(["--tenant", tenant, "--to", "redis", "--target", &target(to)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

async fn ended(child: Child) -> Output {
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    waiting.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_moves_to_its_own_redis_while_it_talks_and_nobody_notices() {
    let cloud = Cloud::start().await;
    let own = RedisServer::start();
    let [one, two] = cloud.nodes("").await;
    let both = [&one, &two];
    let (ada, bob) = (Caller::resident(&one, 0), stranger(&one).await);
    let moves = Talk::begin(&both, &ada, "north").await;
    let stays = Talk::begin(&both, &bob, "south").await;
    moves.writer.until_on().await;
    let tenant = one.facts.tenants[0].clone();

    // It is killed while writes are held, and begun again.
    let mut killed = moving(one.folder.path(), &tenant, &own);
    moves.writer.until_refused().await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    stays.writer.until_on().await;
    let moved = ended(moving(one.folder.path(), &tenant, &own)).await;
    assert!(moved.status.success(), "{}", said(&moved));
    moves.writer.until_on().await;
    stays.writer.until_on().await;

    let there = keys(&own);
    let events = there.lines().filter(|name| name.ends_with("}:e"));
    let (mine, others): (Vec<_>, Vec<_>) =
        events.partition(|name| name.contains(&format!("/{tenant}/")));
    assert!(!mine.is_empty() && others.is_empty(), "{there}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    moves.end(&both).await;
    stays.end(&both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_left_behind_honours_no_cursor_of_its_copy() {
    let cloud = Cloud::start().await;
    let own = RedisServer::start();
    let [server] = cloud.nodes("").await;
    let ada = Caller::resident(&server, 0);
    let tenant = server.facts.tenants[0].clone();
    thread(&server, &ada, "th_1").await;
    let old = post(&server, &ada, "th_1", &["a", "b"]).await;
    let moved = ended(moving(server.folder.path(), &tenant, &own)).await;
    assert!(moved.status.success(), "{}", said(&moved));
    let new = post(&server, &ada, "th_1", &["c", "d"]).await;
    // Somebody routes the tenant back by hand.
    let mut back = tenantry();
    back.args(["routes", "remove", "chat_bus", "--tenant", &tenant]);
    back.args(["--config", &config_of(server.folder.path())]);
    assert!(back.output().unwrap().status.success());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while messages(&server, &ada, "th_1").await.len() != 2 {
        assert!(tokio::time::Instant::now() < deadline, "the old row counts");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    post(&server, &ada, "th_1", &["e", "f", "g"]).await;
    for cursor in [&old[1], &new[1]] {
        let resumed = ada.clone().and("last-event-id", cursor.clone());
        let mut sse = Sse::open(&server, &resumed, "/sse/chat/th_1").await;
        let gap = sse.next().await.unwrap();
        let reason = gap.json()["reason"].clone();
        assert_eq!(
            (gap.event.as_str(), reason),
            ("gap", json!("unknown_epoch"))
        );
    }
    // And moved again, with the command: what was posted meanwhile takes the place of the old copy.
    let moved = ended(moving(server.folder.path(), &tenant, &own)).await;
    assert!(moved.status.success(), "{}", said(&moved));
    let texts: Vec<String> = messages(&server, &ada, "th_1")
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts, ["a", "b", "e", "f", "g"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_there_switches_nothing() {
    let cloud = Cloud::start().await;
    let [server] = cloud.nodes("").await;
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let gone = RedisServer::start();
    gone.kill();
    let tenant = server.facts.tenants[0].clone();
    let refused = ended(moving(server.folder.path(), &tenant, &gone)).await;
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    let place = format!("127.0.0.1:{}", gone.port());
    assert!(said(&refused).contains(&place), "{}", said(&refused));
    post(&server, &ada, "th_1", &["still here"]).await;
    let listed = succeed(&server, &ada, Request::new("GET", "/chat/threads")).await;
    assert!(listed["items"].as_array().is_some_and(|it| !it.is_empty()));
}
