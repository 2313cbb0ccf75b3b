//! Streams of canvases: one cursor for commits, artifacts and tools, over both transports and a kill.

use serde_json::{Value, json};

use crate::{
    client::{Caller, Request},
    process::Server,
    recipes::succeed,
    streams::{Sse, Ws},
};

async fn canvas(server: &Server, caller: &Caller, id: &str) {
    let made = Request::new("POST", "/canvas").json(&json!({ "canvas_id": id }));
    succeed(server, caller, made).await;
}

/// Makes a node; the canvas is at `base`.
async fn edit(server: &Server, caller: &Caller, id: &str, base: u64) {
    let commands = json!({"base_rev": base, "client_id": "c", "batch_id": format!("b{base}"), "commands": [
        {"cmd_id": "1", "kind": "node.create", "args": {"node": format!("n{base}"), "type": "note"}}]});
    let path = format!("/canvas/{id}/commands");
    succeed(server, caller, Request::new("POST", path).json(&commands)).await;
}

/// The next event's id, and its type with the revision of a commit.
async fn next(sse: &mut Sse) -> (String, String) {
    let event = sse.next().await.expect("the stream goes on");
    assert_eq!(event.event, "message", "{event:?}");
    let envelope = event.json();
    let rev = envelope["data"]["rev"].as_u64();
    let rev = rev.map_or(String::new(), |rev| format!(" {rev}"));
    let kind = envelope["type"].as_str().unwrap();
    (event.id.unwrap(), format!("{kind}{rev}"))
}

async fn nexts(sse: &mut Sse, count: usize) -> Vec<(String, String)> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(next(sse).await);
    }
    events
}

#[tokio::test]
async fn commits_tools_and_artifacts_are_one_sequence_that_outlives_a_kill() {
    let mut server = Server::start();
    let ada = Caller::resident(&server, 0);
    canvas(&server, &ada, "cv_1").await;
    let mut sse = Sse::open(&server, &ada, "/sse/canvas/cv_1").await;
    let mut all = Vec::new();
    for rev in 0..2 {
        edit(&server, &ada, "cv_1", rev).await;
        all.push(next(&mut sse).await);
    }
    let tool = json!({"type": "tool.call", "data": {"name": "tidy"}});
    let told = Request::new("POST", "/sse/canvas/cv_1").json(&tool);
    let told = succeed(&server, &ada, told).await;
    let preview = Request::new("POST", "/canvas/cv_1/previews").json(&json!({}));
    let preview = succeed(&server, &ada, preview).await;
    all.push(next(&mut sse).await);
    let ready = sse.next().await.unwrap();
    assert_eq!(ready.json()["data"]["asset_id"], preview["asset_id"]);
    assert_eq!(ready.json()["data"]["meta"]["rev"], 2);
    all.push((ready.id.unwrap(), "artifact.ready".to_owned()));
    let kinds: Vec<&str> = all.iter().map(|(_, kind)| &**kind).collect();
    assert_eq!(
        kinds,
        [
            "canvas.commit 1",
            "canvas.commit 2",
            "tool.call",
            "artifact.ready"
        ]
    );
    assert_eq!(all[2].0, told["id"].as_str().unwrap());

    // What was answered is told after a kill, whether or not there was time to tell it before.
    for rev in 2..5 {
        edit(&server, &ada, "cv_1", rev).await;
    }
    server.kill_and_restart();
    let path = format!("/ws/canvas/cv_1?last_id={}", all[0].0);
    let mut ws = Ws::open(&server, &ada, &path).await;
    let resumed = ada.clone().and("last-event-id", all[0].0.clone());
    let mut sse = Sse::open(&server, &resumed, "/sse/canvas/cv_1").await;
    let rest = nexts(&mut sse, 6).await;
    assert_eq!(rest[..3], all[1..]);
    let kinds: Vec<&str> = rest[3..].iter().map(|(_, kind)| &**kind).collect();
    assert_eq!(
        kinds,
        ["canvas.commit 3", "canvas.commit 4", "canvas.commit 5"]
    );
    for (id, _) in &rest {
        assert_eq!(ws.next_op("event").await["event"]["id"], json!(id));
    }
    // A client that reads the canvas goes on from there.
    let view = succeed(&server, &ada, Request::new("GET", "/canvas/cv_1")).await;
    let from = view["resume_id"].as_str().unwrap();
    let resumed = ada.clone().and("last-event-id", from);
    let mut sse = Sse::open(&server, &resumed, "/sse/canvas/cv_1").await;
    edit(&server, &ada, "cv_1", 5).await;
    assert_eq!(next(&mut sse).await.1, "canvas.commit 6");
}

#[tokio::test]
async fn two_tenants_with_one_canvas_id_see_and_hear_nothing_of_each_other() {
    let server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    for who in [&ada, &bob] {
        canvas(&server, who, "cv_same").await;
    }
    let mut ears = Sse::open(&server, &bob, "/sse/canvas/cv_same").await;
    let mut socket = Ws::open(&server, &bob, "/ws/canvas/cv_same").await;
    let mut foreign = Ws::open(&server, &ada, "/ws/canvas/cv_same").await;
    assert_eq!(
        (&socket.ready["presence"], &foreign.ready["presence"]),
        (&json!([]), &json!([]))
    );
    foreign
        .send(json!({"op": "gesture", "kind": "pointer", "data": "canary"}))
        .await;
    foreign
        .send(json!({"op": "publish", "ref": 1, "type": "tool.call", "data": "canary"}))
        .await;
    foreign.next_op("event").await;
    edit(&server, &ada, "cv_same", 0).await;
    foreign.next_op("event").await;
    edit(&server, &bob, "cv_same", 0).await;
    // The first that bob's tenant hears is its own.
    let (id, kind) = next(&mut ears).await;
    assert_eq!(kind, "canvas.commit 1");
    let event = socket.next_op("event").await;
    assert_eq!(event["event"]["id"], json!(id));
    assert_eq!(
        event["event"]["routing"]["tenant_id"],
        json!(server.facts.tenants[1])
    );
    // A gesture would have been heard with the first poll; after a pong, none was.
    socket.send(json!({"op": "ping"})).await;
    let heard: Value = socket.next_op("pong").await;
    assert_eq!(heard, json!({"op": "pong"}));
}
