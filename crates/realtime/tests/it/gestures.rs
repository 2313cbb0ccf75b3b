//! Gestures on a canvas.

use identity::Role;
use serde_json::{Value, json};
use store::EventLog;

use crate::{
    app::App,
    rails::{CANVAS, CHAT},
    ws_client::Ws,
};

fn pointer(data: impl Into<Value>) -> Value {
    json!({"op": "gesture", "kind": "pointer", "data": data.into()})
}

/// How others hear a pointer.
fn shown(user: &str, data: impl Into<Value>) -> Value {
    json!({"op": "gesture", "actor": {"user_id": user}, "kind": "pointer", "data": data.into()})
}

/// The next gesture that is heard.
async fn heard(ws: &mut Ws) -> Value {
    ws.op("gesture").await
}

/// Takes part in the canvas, and waits until that is certain.
async fn there(ws: &mut Ws) {
    ws.send(json!({"op": "ping"})).await;
    ws.op("pong").await;
}

#[tokio::test]
async fn others_hear_a_gesture_and_who_comes_later_as_well() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let viewer = app.member("t_a", "u_viewer", Role::Viewer);
    let (mut hers, _) = alice.ws(None).await;
    let (mut his, _) = viewer.ws(None).await;
    there(&mut his).await;
    hers.send(pointer(json!({"x": 1, "y": 2}))).await;
    let hers_shown = shown("u_alice", json!({"x": 1, "y": 2}));
    assert_eq!(heard(&mut his).await, hers_shown);
    let bob = app.member("t_a", "u_bob", Role::Member);
    let (mut late, _) = bob.ws(None).await;
    assert_eq!(heard(&mut late).await, hers_shown);
    // Who may only look may point as well; nobody hears themselves.
    his.send(pointer(7)).await;
    assert_eq!(heard(&mut hers).await, shown("u_viewer", 7));
    assert_eq!(heard(&mut late).await, shown("u_viewer", 7));
    // What is over ends for those who knew of it.
    let ended = loop {
        let said = heard(&mut late).await;
        if said["ended"] == true {
            break said;
        }
    };
    let alice = json!({"user_id": "u_alice"});
    let over = json!({"op": "gesture", "actor": alice, "kind": "pointer", "ended": true});
    assert_eq!(ended, over);
}

#[tokio::test]
async fn canvases_of_the_same_name_do_not_share_gestures() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let carol = app.member("t_b", "u_carol", Role::Member);
    carol.register(CANVAS.one).await;
    let mut staging = alice.clone();
    staging.env = "staging".to_owned();
    staging.register(CANVAS.one).await;
    let (mut hers, _) = alice.ws(None).await;
    let mut others = Vec::new();
    for caller in [&carol, &staging] {
        let mut listener = caller.clone();
        app.world
            .directory
            .set_role(&caller.tenant, "u_ear", Role::Viewer);
        listener.token = app.world.token("u_ear");
        let (ear, _) = listener.ws(None).await;
        others.push((ear, caller.ws(None).await.0));
    }
    hers.send(pointer("canary")).await;
    there(&mut hers).await;
    for (ear, mouth) in &mut others {
        mouth.send(pointer("own")).await;
        // The first that they hear is their own.
        assert_eq!(heard(ear).await["data"], "own");
    }
}

#[tokio::test]
async fn a_flood_is_slowed_down_and_its_last_gesture_counts() {
    const GESTURES: usize = 1200;
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let bob = app.member("t_a", "u_bob", Role::Member);
    let (mut hers, _) = alice.ws(None).await;
    let (mut his, _) = bob.ws(None).await;
    there(&mut his).await;
    let began = tokio::time::Instant::now();
    let flood = async {
        for n in 0..GESTURES {
            hers.send(pointer(n)).await;
        }
        // It is still open, and what else she says is heard.
        assert_eq!(hers.publish("r", json!(1)).await["op"], "ack");
    };
    let listens = async {
        let (mut frames, mut last) = (0, Value::Null);
        while last != json!(GESTURES - 1) {
            last = heard(&mut his).await["data"].take();
            frames += 1;
        }
        frames
    };
    let ((), frames) = futures_util::future::join(flood, listens).await;
    let most = began.elapsed().as_millis() / 33 + 2;
    assert!(frames <= most, "{frames} frames where {most} fit");
    assert!(frames < (GESTURES / 2) as u128, "nothing was coalesced");
}

#[tokio::test]
async fn a_gesture_leaves_no_trace() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let bob = app.member("t_a", "u_bob", Role::Member);
    let (mut hers, _) = alice.ws(None).await;
    let (mut his, _) = bob.ws(None).await;
    there(&mut his).await;
    let before = app.recorder.lines();
    hers.send(pointer("canary")).await;
    assert_eq!(heard(&mut his).await["data"], "canary");
    assert_eq!(app.recorder.lines(), before);
    let (_, route) = app.route().await;
    let bounds = app.log.bounds(route.stream()).await.unwrap();
    assert_eq!(bounds.head, 0);
}

#[tokio::test]
async fn a_wrong_gesture_is_refused_and_the_socket_stays() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    for (kind, data, pointer) in [
        ("Big", json!(1), "/kind"),
        ("", json!(1), "/kind"),
        ("pen", json!("x".repeat(4096)), "/data"),
    ] {
        for reference in 0..20 {
            ws.send(json!({"op": "gesture", "ref": reference, "kind": kind, "data": data}))
                .await;
            let refused = ws.op("error").await;
            assert_eq!(refused["ref"], reference);
            assert_eq!(refused["problem"]["code"], "validation_failed");
            assert!(refused.to_string().contains(pointer), "{refused}");
        }
    }
    for missing in [
        json!({"op": "gesture", "kind": "a"}),
        json!({"op": "gesture", "data": 1}),
    ] {
        ws.send(missing).await;
        assert_eq!(ws.op("error").await["problem"]["code"], "body_invalid");
    }
    assert_eq!(ws.publish("r", json!(1)).await["op"], "ack");
    // Where nobody points, there is no such op.
    let app = App::on(CHAT).await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    ws.send(pointer(1)).await;
    assert_eq!(ws.op("error").await["problem"]["code"], "body_invalid");
}
