//! One cursor for SSE, WebSocket and REST; a cursor that cannot be honoured is said so, once.

use serde_json::json;

use crate::{
    client::{Caller, Request, send},
    process::Server,
    streams::{Sse, Ws, post, thread},
};

#[tokio::test]
async fn a_stream_goes_on_over_sse_websocket_and_sse_with_the_same_cursor() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let mut sse = Sse::open(&server, &ada, "/sse/chat/th_1").await;
    let first = post(&server, &ada, "th_1", &["a", "b"]).await;
    assert_eq!(sse.messages(2).await, first);
    drop(sse);

    let missed = post(&server, &ada, "th_1", &["c", "d"]).await;
    let mut ws = Ws::open(
        &server,
        &ada,
        &format!("/ws/chat/th_1?last_id={}", first[1]),
    )
    .await;
    for id in &missed {
        assert_eq!(ws.next_op("event").await["event"]["id"], json!(id));
    }
    ws.send(json!({"op": "publish", "ref": "r", "type": "chat.message", "data": {"text": "e"}}))
        .await;
    let live = ws.next_op("event").await["event"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    drop(ws);

    let resumed = ada.clone().and("last-event-id", missed[0].clone());
    let mut sse = Sse::open(&server, &resumed, "/sse/chat/th_1").await;
    assert_eq!(sse.messages(2).await, [missed[1].clone(), live]);
}

#[tokio::test]
async fn cursors_that_cannot_be_honoured_give_exactly_one_gap() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let ids = post(&server, &ada, "th_1", &["a", "b", "c"]).await;
    let (epoch, _) = ids[0].split_once('-').unwrap();
    let other_epoch = if epoch == "1" { "2" } else { "1" };
    for (cursor, reason) in [
        ("garbage".to_owned(), "malformed"),
        (format!("{epoch}-99"), "future"),
        (format!("{other_epoch}-1"), "unknown_epoch"),
    ] {
        let asking = ada.clone().and("last-event-id", cursor.clone());
        let mut sse = Sse::open(&server, &asking, "/sse/chat/th_1").await;
        let gap = sse.next().await.unwrap();
        assert_eq!(
            (gap.event.as_str(), gap.json()["reason"].as_str()),
            ("gap", Some(reason))
        );
        assert_eq!(gap.json()["requested"], json!(cursor));
        assert_eq!(gap.json()["head"], json!(ids[2]));
        assert_eq!(
            sse.messages(3).await,
            ids,
            "everything from the oldest follows"
        );

        let mut ws = Ws::open(&server, &ada, &format!("/ws/chat/th_1?last_id={cursor}")).await;
        assert_eq!(ws.next_op("gap").await["reason"], json!(reason));
        for id in &ids {
            assert_eq!(ws.next_op("event").await["event"]["id"], json!(id));
        }
    }
}

#[tokio::test]
async fn an_event_carries_its_routing_and_the_request_that_made_it() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let mut sse = Sse::open(&server, &ada, "/sse/chat/th_1").await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let posting = ada
        .clone()
        .and("x-request-id", "req-1")
        .and("traceparent", trace);
    let request = Request::new("POST", "/sse/chat/th_1")
        .json(&json!({"type": "chat.note", "data": {"n": 1.50}}));
    let reply = send(&server, &posting, &request).await;
    assert_eq!(
        (
            reply.status,
            reply.header("x-request-id"),
            reply.header("traceparent")
        ),
        (201, Some("req-1"), Some(trace))
    );
    let event = sse.next().await.unwrap().json();
    assert_eq!(event["type"], "chat.note");
    assert_eq!(event["data"], json!({"n": 1.5}));
    assert_eq!(
        event["meta"],
        json!({"request_id": "req-1", "trace_id": "req-1", "traceparent": trace})
    );
    let routing = &event["routing"];
    assert_eq!(routing["tenant_id"], json!(server.facts.tenants[0]));
    assert_eq!(routing["project_id"], json!(server.facts.projects[0]));
    assert_eq!(
        (
            routing["env"].as_str(),
            routing["rail"].as_str(),
            routing["thread_id"].as_str()
        ),
        (Some("dev"), Some("chat"), Some("th_1"))
    );
    let listed = send(
        &server,
        &ada,
        &Request::new("GET", "/chat/threads/th_1/messages"),
    )
    .await
    .json();
    assert_eq!(
        listed["items"],
        json!([event]),
        "REST shows the same envelope"
    );
}

#[tokio::test]
async fn two_tenants_with_one_thread_id_never_meet() {
    let server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    for who in [&ada, &bob] {
        thread(&server, who, "th_same").await;
    }
    let mut ears = Sse::open(&server, &bob, "/sse/chat/th_same").await;
    let mut socket = Ws::open(&server, &bob, "/ws/chat/th_same").await;
    post(&server, &ada, "th_same", &["for ada's tenant alone"]).await;
    let own = post(&server, &bob, "th_same", &["for bob's"]).await;
    assert_eq!(
        ears.messages(1).await,
        own,
        "the first thing that bob's tenant hears is its own"
    );
    assert_eq!(socket.next_op("event").await["event"]["id"], json!(own[0]));
    // Another env of the same tenant is as far away as another tenant.
    let staging = ada.but("x-env", Some("staging"));
    let reply = send(
        &server,
        &staging,
        &Request::new("GET", "/chat/threads/th_same/messages"),
    )
    .await;
    assert_eq!(reply.outcome(), (403, "thread_access_denied".to_owned()));
}
