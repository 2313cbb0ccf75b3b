//! Nodes that share their engines are one: for streams and their cursors, for posts that are repeated, for sessions.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    client::{Caller, Request, send},
    process::Server,
    recipes::succeed,
    several::{Cloud, figure},
    streams::{Sse, Ws, post, thread},
};

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

fn message(text: &str) -> Request {
    Request::new("POST", "/chat/threads/th_1/messages").json(&json!({"data": {"text": text}}))
}

fn after(cursor: &str) -> String {
    format!("/sse/chat/th_1?last_event_id={cursor}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_a_node_that_died_resumes_on_another_without_loss_or_repetition() {
    let cloud = Cloud::start().await;
    let [one, two, three] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    thread(&one, &ada, "th_1").await;
    let mut stream = Sse::open(&one, &ada, "/sse/chat/th_1").await;
    let mut ids = Vec::new();
    for (round, node) in [&one, &two, &three, &one].into_iter().enumerate() {
        let texts = [format!("{round} a"), format!("{round} b")];
        ids.extend(post(node, &ada, "th_1", &[&texts[0], &texts[1]]).await);
    }
    assert_eq!(stream.messages(3).await, ids[..3]);
    drop(one);
    ids.extend(post(&two, &ada, "th_1", &["after"]).await);

    for node in [&two, &three] {
        let mut resumed = Sse::open(node, &ada, &after(&ids[2])).await;
        assert_eq!(resumed.messages(ids.len() - 3).await, ids[3..]);
        let live = post(&three, &ada, "th_1", &["live"]).await;
        assert_eq!(resumed.messages(1).await, live);
        ids.extend(live);
    }
    // A socket's cursor is the same, and so is one that stands before everything that this node ever told.
    let mut socket = Ws::open(&three, &ada, &format!("/ws/chat/th_1?last_id={}", ids[0])).await;
    for id in &ids[1..] {
        assert_eq!(socket.next_op("event").await["event"]["id"], json!(id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_is_repeated_on_another_node_is_the_same_event() {
    let cloud = Cloud::start().await;
    let [one, two] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    thread(&one, &ada, "th_1").await;
    let keyed = ada.clone().and("idempotency-key", "only-once");
    let first = succeed(&one, &keyed, message("a")).await;
    assert_eq!(first["duplicate"], false, "{first}");
    let (here, there) = tokio::join!(
        succeed(&one, &keyed, message("a")),
        succeed(&two, &keyed, message("a"))
    );
    for again in [&here, &there] {
        assert_eq!(again["duplicate"], true, "{again}");
        assert_eq!(again["id"], first["id"]);
    }
    // Whoever comes first, at the same time on both, there is one event.
    let raced = ada.clone().and("idempotency-key", "raced");
    for _ in 0..8 {
        let (here, there) = tokio::join!(
            succeed(&one, &raced, message("b")),
            succeed(&two, &raced, message("b"))
        );
        assert_eq!(here["id"], there["id"], "{here} {there}");
    }
    let other = send(&two, &keyed, &message("another body")).await;
    assert_eq!(other.outcome(), (422, "idempotency_conflict".to_owned()));
    drop(one);
    let late = succeed(&two, &keyed, message("a")).await;
    assert_eq!(
        (&late["id"], &late["duplicate"]),
        (&first["id"], &json!(true))
    );
    let path = "/chat/threads/th_1/messages";
    let held = succeed(&two, &ada, Request::new("GET", path)).await;
    assert_eq!(held["items"].as_array().unwrap().len(), 2, "{held}");
}

/// Waits until the status of `GET path` is `expected`.
async fn until(node: &Server, caller: &Caller, path: &str, expected: u16) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let reply = send(node, caller, &Request::new("GET", path)).await;
        if reply.status == expected {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{}",
            reply.visible()
        );
        tokio::time::sleep(POLL).await;
    }
}

async fn sign_in(node: &Server) -> Value {
    let body = json!({"email": "ada@north.example", "password": "correct horse battery"});
    let login = Request::new("POST", "/auth/login").json(&body);
    succeed(node, &Caller::default(), login).await
}

async fn refresh(node: &Server, pair: &Value) -> (u16, Value) {
    let body = json!({"refresh_token": pair["refresh_token"]});
    let request = Request::new("POST", "/auth/refresh").json(&body);
    let reply = send(node, &Caller::default(), &request).await;
    (reply.status, reply.json())
}

fn bearer(ada: &Caller, pair: &Value) -> Caller {
    ada.clone().bearer(pair["access_token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_node_is_good_on_another_and_ends_on_all() {
    let cloud = Cloud::start().await;
    let [one, two] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    thread(&one, &ada, "th_1").await;
    let pair = sign_in(&one).await;
    let session = bearer(&ada, &pair);
    for path in ["/auth/me", "/chat/threads/th_1/messages"] {
        succeed(&two, &session, Request::new("GET", path)).await;
    }
    let (status, renewed) = refresh(&two, &pair).await;
    assert_eq!(status, 200, "{renewed}");
    let session = bearer(&ada, &renewed);
    succeed(&one, &session, Request::new("GET", "/auth/me")).await;

    // Who signs out on one node has no stream on another, and no way to one.
    let mut stream = Sse::open(&two, &session, "/sse/chat/th_1").await;
    succeed(&one, &session, Request::new("POST", "/auth/logout")).await;
    let told = stream.next().await.expect("it is told before it ends");
    assert_eq!(told.event, "unauthorized", "{told:?}");
    assert_eq!(stream.next().await, None);
    for node in [&one, &two] {
        until(node, &session, "/auth/me", 401).await;
        assert_eq!(refresh(node, &renewed).await.0, 401);
    }
    succeed(&two, &ada, Request::new("GET", "/auth/me")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_was_used_on_one_node_ends_its_session_when_it_is_used_on_another() {
    let cloud = Cloud::start().await;
    let [one, two] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    let pair = sign_in(&two).await;
    let (here, there) = tokio::join!(refresh(&one, &pair), refresh(&two, &pair));
    let good = [&here, &there].into_iter().filter(|got| got.0 == 200);
    assert_eq!(good.count(), 1, "{here:?} {there:?}");
    for node in [&one, &two] {
        for got in [&pair, &here.1, &there.1] {
            if got["access_token"].is_string() {
                until(node, &bearer(&ada, got), "/auth/me", 401).await;
            }
        }
    }
}

/// What each node says that it does for the audit log; its figure says the same.
async fn roles(nodes: &[&Server]) -> Vec<String> {
    let mut roles = Vec::new();
    for node in nodes {
        let ready = Request::new("GET", "/readyz");
        let told = send(node, &Caller::default(), &ready).await.json();
        let role = told["backends"]["audit"]["role"].as_str().unwrap();
        roles.push(role.to_owned());
    }
    roles
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_shows_whether_it_leads_the_audit_log_and_another_does_when_it_dies() {
    let cloud = Cloud::start().await;
    let [one, two, three] = cloud.nodes("").await;
    let leader = "tenantry_audit_leader";
    assert_eq!(
        roles(&[&one, &two, &three]).await,
        ["leads", "follows", "follows"]
    );
    for (node, leads) in [(&one, 1.0), (&two, 0.0), (&three, 0.0)] {
        assert_eq!(figure(node, leader).await, leads);
    }
    drop(one);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while figure(&two, leader).await + figure(&three, leader).await == 0.0 {
        assert!(tokio::time::Instant::now() < deadline, "another leads");
        tokio::time::sleep(POLL).await;
    }
    let mut left = roles(&[&two, &three]).await;
    left.sort_unstable();
    assert_eq!(left, ["follows", "leads"]);
}
