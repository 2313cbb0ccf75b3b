//! Conversations over a WebSocket.

use std::time::Duration;

use identity::Role;
use serde_json::json;

use crate::{
    app::{App, seq, shifted},
    rails::{CANVAS, RAILS},
    ws_client::Ws,
};

#[tokio::test]
async fn the_subprotocol_is_taken_when_offered() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let plain = alice.request("GET", &app.rail.ws());
    let offer = |list| plain.clone().header("sec-websocket-protocol", list);
    let ws = Ws::open(&offer("other, tenantry.v1")).await;
    let taken = ws.handshake.headers().get("sec-websocket-protocol");
    assert_eq!(taken.unwrap(), "tenantry.v1");
    let ws = Ws::open(&plain).await;
    let taken = ws.handshake.headers().get("sec-websocket-protocol");
    assert_eq!(taken, None);
    plain.send().await.refused(426, "upgrade_required");
}

#[tokio::test]
async fn what_is_published_is_acknowledged_and_told() {
    for rail in RAILS {
        acknowledged_and_told(&App::on(rail).await).await;
    }
}

async fn acknowledged_and_told(app: &App) {
    let alice = app.alice().await;
    let head = alice.say("0").await;
    let bob = app.member("t_a", "u_bob", Role::Viewer);
    let (mut hers, ready) = alice.ws(None).await;
    assert_eq!(ready["head"], head);
    let (mut his, _) = bob.ws(Some(&head)).await;
    let mut sse = bob.sse(None).await;
    let ack = hers.publish("r1", json!({"a": 1})).await;
    assert_eq!(
        ack,
        json!({"op": "ack", "ref": "r1", "id": shifted(&head, 1), "duplicate": false})
    );
    let event = his.op("event").await["event"].clone();
    assert_eq!(event["id"], ack["id"]);
    assert_eq!(event["type"], app.rail.kind);
    assert_eq!(event["routing"]["rail"], app.rail.name);
    assert_eq!(event["routing"]["actor"]["user_id"], "u_alice");
    assert_eq!(sse.message().await, event);
    assert_eq!(hers.op("event").await["event"], event);
}

#[tokio::test]
async fn a_viewer_listens_and_is_refused_the_word() {
    for rail in RAILS {
        listens(&App::on(rail).await).await;
    }
}

async fn listens(app: &App) {
    app.alice().await;
    let viewer = app.member("t_a", "u_viewer", Role::Viewer);
    let (mut ws, _) = viewer.ws(None).await;
    let refused = ws.publish("r", json!(1)).await;
    assert_eq!(refused["op"], "error");
    assert_eq!(refused["problem"]["code"], "role_forbidden");
    // A change of role counts at once.
    app.world
        .directory
        .set_role("t_a", "u_viewer", Role::Member);
    assert_eq!(ws.publish("r2", json!(1)).await["op"], "ack");
}

#[tokio::test]
async fn publishes_are_pipelined_in_order_and_idempotent() {
    for rail in RAILS {
        pipelined(&App::on(rail).await).await;
    }
}

async fn pipelined(app: &App) {
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    for n in 0..300 {
        ws.send(json!({"op": "publish", "ref": n, "data": n, "idempotency_key": format!("k{n}")}))
            .await;
    }
    let mut acks = Vec::new();
    while acks.len() < 300 {
        acks.push(ws.op("ack").await);
    }
    for (n, ack) in acks.iter().enumerate() {
        assert_eq!(ack["ref"], n);
        assert_eq!(seq(ack["id"].as_str().unwrap()), n as u64 + 1);
    }
    let again = json!({"op": "publish", "ref": "x", "data": 7, "idempotency_key": "k7"});
    ws.send(again).await;
    let ack = ws.op("ack").await;
    assert_eq!(
        (&ack["id"], &ack["duplicate"]),
        (&acks[7]["id"], &json!(true))
    );
    let other = json!({"op": "publish", "ref": "y", "data": 8, "idempotency_key": "k7"});
    ws.send(other).await;
    assert_eq!(
        ws.op("error").await["problem"]["code"],
        "idempotency_conflict"
    );
}

#[tokio::test]
async fn a_first_resume_replays_without_a_repeat() {
    for rail in RAILS {
        resumes(&App::on(rail).await).await;
    }
}

async fn resumes(app: &App) {
    let alice = app.alice().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(alice.say(&n.to_string()).await);
    }
    let (mut ws, _) = alice.ws(None).await;
    ids.push(alice.say("5").await);
    ws.send(json!({"op": "resume", "last_id": ids[1]})).await;
    assert_eq!(ws.ids(4).await, ids[2..]);
    ids.push(alice.say("6").await);
    assert_eq!(ws.ids(1).await, ids[6..]);
    // Later it is allowed again, and goes back.
    ws.send(json!({"op": "resume", "last_id": ids[4]})).await;
    assert_eq!(ws.ids(2).await, ids[5..]);
    ws.send(json!({"op": "resume", "last_id": "garbage"})).await;
    let gap = json!({"op": "gap", "reason": "malformed", "requested": "garbage",
        "oldest": ids[0], "head": ids[6]});
    assert_eq!(ws.op("gap").await, gap);
    assert_eq!(ws.ids(7).await, ids);
}

#[tokio::test]
async fn ping_is_answered() {
    let app = App::new().await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    ws.send(json!({"op": "ping"})).await;
    assert_eq!(ws.json().await, json!({"op": "pong"}));
}

#[tokio::test]
async fn a_newer_token_keeps_the_socket() {
    let quick = |config: &mut tenantry_realtime::RealtimeConfig| {
        config.timings.recheck = Duration::from_millis(20);
    };
    let app = App::on_with(CANVAS, quick).await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    app.world.clock.advance(Duration::from_secs(600));
    for (token, code) in [
        (app.world.token("u_bob"), "unauthenticated"),
        ("garbage".to_owned(), "unauthenticated"),
    ] {
        ws.send(json!({"op": "refresh", "token": token})).await;
        assert_eq!(ws.op("error").await["problem"]["code"], code);
    }
    let token = app.world.token("u_alice");
    ws.send(json!({"op": "refresh", "token": token})).await;
    let refreshed = ws.op("refreshed").await;
    assert_eq!(refreshed["expires_at"], "2026-01-01T00:25:00.000Z");
    app.world.clock.advance(Duration::from_secs(600));
    assert_eq!(ws.publish("r", json!(1)).await["op"], "ack");
    app.world.clock.advance(Duration::from_secs(600));
    assert_eq!(ws.closed().await, 4401);
}

#[tokio::test]
async fn a_removed_member_cannot_publish_even_before_the_recheck() {
    let late = |config: &mut tenantry_realtime::RealtimeConfig| {
        config.timings.recheck = Duration::from_secs(3600);
    };
    let app = App::on_with(CANVAS, late).await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    app.world.directory.remove("t_a", "u_alice");
    ws.send(json!({"op": "publish", "ref": 1, "data": 1})).await;
    assert_eq!(ws.closed().await, 4403);
}
