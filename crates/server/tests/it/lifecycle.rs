//! Stopping and starting again: nothing acknowledged is lost, streams are told.

use std::time::Duration;

use serde_json::json;

use crate::{
    client::{Caller, Request, send},
    process::Server,
    streams::{Sse, Ws, post, thread},
};

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let mut server = Server::start();
    let before = server.facts.clone();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let ids = post(&server, &ada, "th_1", &["a", "b"]).await;
    server.kill_and_restart();

    assert_eq!(
        server.facts.tenants, before.tenants,
        "the same two tenants, not new ones"
    );
    assert_eq!(server.facts.bootstrap_key, before.bootstrap_key);
    let resumed = ada.clone().and("last-event-id", ids[0].clone());
    let mut sse = Sse::open(&server, &resumed, "/sse/chat/th_1").await;
    assert_eq!(
        sse.messages(1).await,
        [ids[1].clone()],
        "the old cursor and the old token go on"
    );
    let more = post(&server, &ada, "th_1", &["c"]).await;
    assert_eq!(sse.messages(1).await, more);
}

#[tokio::test]
async fn a_repeated_message_is_stored_once_also_after_a_kill() {
    let mut server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let keyed = ada.clone().and("idempotency-key", "k-1");
    let request = Request::new("POST", "/chat/threads/th_1/messages").json(&json!({"data": 1}));
    let first = send(&server, &keyed, &request).await.json();
    assert_eq!(first["duplicate"], json!(false));
    server.kill_and_restart();
    let again = send(&server, &keyed, &request).await;
    assert_eq!(
        (again.status, again.json()),
        (201, json!({"id": first["id"], "duplicate": true}))
    );
    let other = Request::new("POST", "/chat/threads/th_1/messages").json(&json!({"data": 2}));
    assert_eq!(
        send(&server, &keyed, &other).await.outcome(),
        (422, "idempotency_conflict".to_owned())
    );
}

#[tokio::test]
async fn a_planned_stop_drains_streams_and_exits_with_0() {
    let mut server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let mut sse = Sse::open(&server, &ada, "/sse/chat/th_1").await;
    let mut ws = Ws::open(&server, &ada, "/ws/chat/th_1").await;
    server.terminate();
    assert!(ws.next_op("drain").await["retry_ms"].is_u64());
    assert_eq!(ws.closed().await, 1012);
    assert_eq!(
        sse.next().await.expect("the stream says why it ends").event,
        "drain"
    );
    assert_eq!(sse.next().await, None);
    assert_eq!(server.ended(Duration::from_secs(20)).await, Some(0));
}

#[tokio::test]
async fn monitors_are_answered_without_an_account() {
    let server = Server::start();
    let nobody = Caller::default();
    let get = |path: &str| Request::new("GET", path);
    assert_eq!(send(&server, &nobody, &get("/healthz")).await.status, 200);
    let ready = send(&server, &nobody, &get("/readyz")).await;
    assert_eq!(
        (ready.status, ready.json()["status"].clone()),
        (200, json!("ready"))
    );
    for engine in server.engines() {
        let told = &ready.json()["backends"][engine];
        assert_eq!(told["status"], "ok", "{engine}: {}", ready.text);
    }
    let metrics = send(&server, &nobody, &get("/metrics")).await;
    assert!(
        metrics.text.contains("tenantry_http_request_seconds"),
        "{}",
        metrics.text
    );
    let described = send(&server, &nobody, &get("/openapi.json")).await;
    assert_eq!(described.json()["info"]["title"], "Tenantry");
    let nowhere = send(&server, &nobody, &get("/nowhere")).await;
    assert_eq!(nowhere.outcome(), (404, "not_found".to_owned()));
    for reply in [described, nowhere] {
        for header in [
            "x-content-type-options",
            "content-security-policy",
            "x-request-id",
            "traceparent",
        ] {
            assert!(
                reply.header(header).is_some(),
                "{header} in {:?}",
                reply.headers
            );
        }
    }
}
