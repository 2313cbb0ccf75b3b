//! Followers of one stream through several nodes: tickets, presence, gestures.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::{
    client::{Caller, Request, send},
    process::Server,
    recipes::succeed,
    removal::member,
    several::Cloud,
    streams::{Sse, Ws, thread},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_one_node_opens_a_stream_on_another_once() {
    let cloud = Cloud::start().await;
    let [one, two] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    thread(&one, &ada, "th_1").await;
    let ask = json!({"rail": "chat", "id": "th_1"});
    let ask = Request::new("POST", "/realtime/tickets").json(&ask);
    let ticket = succeed(&one, &ada, ask).await["ticket"].clone();
    let path = format!("/sse/chat/th_1?ticket={}", ticket.as_str().unwrap());
    let open = Request::new("GET", &path);
    let stream = Sse::open(&two, &Caller::default(), &path).await;
    drop(stream);
    for node in [&one, &two] {
        let again = send(node, &Caller::default(), &open).await;
        assert_eq!(again.outcome(), (401, "unauthenticated".to_owned()));
    }
    // They are in Redis: without it they are refused rather than let through.
    cloud.redis.kill();
    let asked = send(&two, &Caller::default(), &open).await;
    assert_eq!(asked.status, 503, "{}", asked.visible());
}

/// Reads on until a frame says what `told` looks for.
async fn until(ws: &mut Ws, told: impl Fn(&Value) -> bool) -> Value {
    let sought = async {
        while let Some(Ok(frame)) = ws.socket.next().await {
            let frame = frame.into_text().unwrap_or_default();
            let frame = serde_json::from_str(&frame).unwrap_or(Value::Null);
            if told(&frame) {
                return frame;
            }
        }
        panic!("the socket ended")
    };
    let told = tokio::time::timeout(Duration::from_secs(60), sought).await;
    told.expect("it is told")
}

fn names(list: &Value, user: &str) -> bool {
    let list = list.as_array().into_iter().flatten();
    list.into_iter()
        .any(|shown| shown["user_id"] == user || shown == user)
}

/// A canvas, its maker with a socket through one node, and another member with one through the other.
struct Shared {
    nodes: [Option<Server>; 2],
    ada: Ws,
    carol: Ws,
    ada_id: String,
    carol_id: String,
    carol_caller: Caller,
    _cloud: Cloud,
}

async fn shared() -> Shared {
    let cloud = Cloud::start().await;
    let [one, two] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    let made = Request::new("POST", "/canvas").json(&json!({"canvas_id": "cv_1"}));
    succeed(&one, &ada, made).await;
    let (carol_id, carol) = member(&two, &ada, "member").await;
    let carol_caller = ada.clone().bearer(carol["access_token"].as_str().unwrap());
    let me = succeed(&one, &ada, Request::new("GET", "/auth/me")).await;
    let ada_id = me["user"]["id"].as_str().unwrap().to_owned();
    Shared {
        ada: Ws::open(&one, &ada, "/ws/canvas/cv_1").await,
        carol: Ws::open(&two, &carol_caller, "/ws/canvas/cv_1").await,
        nodes: [Some(one), Some(two)],
        ada_id,
        carol_id,
        carol_caller,
        _cloud: cloud,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_all_nodes_are_there_until_they_leave_or_their_node_dies() {
    let mut shared = shared().await;
    let (ada_id, carol_id) = (shared.ada_id.clone(), shared.carol_id.clone());
    until(&mut shared.ada, |frame| names(&frame["joined"], &carol_id)).await;
    until(&mut shared.carol, |frame| names(&frame["joined"], &ada_id)).await;

    let state = json!({"op": "presence", "state": {"at": "n1"}});
    shared.carol.send(state).await;
    let told = until(&mut shared.ada, |frame| names(&frame["updated"], &carol_id)).await;
    assert_eq!(told["updated"][0]["state"], json!({"at": "n1"}), "{told}");

    // Another socket of hers, through the other node: she is one member, and stays when the first one ends.
    let one = shared.nodes[0].as_ref().unwrap();
    let second = Ws::open(one, &shared.carol_caller, "/ws/canvas/cv_1").await;
    assert!(
        names(&second.ready["presence"], &ada_id),
        "{}",
        second.ready
    );
    drop(second);
    drop(shared.carol);
    let left = until(&mut shared.ada, |frame| names(&frame["left"], &carol_id)).await;
    assert_eq!(left["count"], 1, "{left}");

    let two = shared.nodes[1].as_ref().unwrap();
    let mut back = Ws::open(two, &shared.carol_caller, "/ws/canvas/cv_1").await;
    until(&mut shared.ada, |frame| names(&frame["joined"], &carol_id)).await;
    drop(shared.nodes[1].take());
    assert_eq!(back.closed().await, 1006);
    until(&mut shared.ada, |frame| names(&frame["left"], &carol_id)).await;
}

/// Two sockets of one canvas on two nodes: each is told of the other, and of what it shows.
pub(crate) async fn meet(nodes: [&Server; 2], ada: &Caller) {
    let made = Request::new("POST", "/canvas").json(&json!({"canvas_id": "cv_met"}));
    succeed(nodes[0], ada, made).await;
    let (carol_id, carol) = member(nodes[1], ada, "member").await;
    let carol = ada.clone().bearer(carol["access_token"].as_str().unwrap());
    let me = succeed(nodes[0], ada, Request::new("GET", "/auth/me")).await;
    let ada_id = me["user"]["id"].as_str().unwrap();
    let mut here = Ws::open(nodes[0], ada, "/ws/canvas/cv_met").await;
    let mut there = Ws::open(nodes[1], &carol, "/ws/canvas/cv_met").await;
    for (ws, other) in [(&mut here, carol_id.as_str()), (&mut there, ada_id)] {
        if !names(&ws.ready["presence"], other) {
            until(ws, |frame| names(&frame["joined"], other)).await;
        }
    }
    let state = json!({"op": "presence", "state": {"at": "n1"}});
    there.send(state.clone()).await;
    until(&mut here, |frame| names(&frame["updated"], &carol_id)).await;
    here.send(state).await;
    until(&mut there, |frame| names(&frame["updated"], ada_id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gestures_reach_followers_of_the_same_canvas_on_other_nodes_and_of_no_other() {
    let mut shared = shared().await;
    let two = shared.nodes[1].as_ref().unwrap();
    // Another tenant's canvas of the same name.
    let stranger = json!({"email": "bob@south.example", "password": "a long password", "tenant_name": "South"});
    let signed_up = Request::new("POST", "/auth/signup").json(&stranger);
    let bob = succeed(two, &Caller::default(), signed_up).await;
    let text = |at: &str| bob.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    let caller = Caller::new(
        &text("/access_token"),
        &text("/tenant/id"),
        &text("/project/id"),
    );
    let made = Request::new("POST", "/canvas").json(&json!({"canvas_id": "cv_1"}));
    succeed(two, &caller, made).await;
    let mut bob = Ws::open(two, &caller, "/ws/canvas/cv_1").await;

    let ada_id = shared.ada_id.clone();
    until(&mut shared.carol, |frame| names(&frame["joined"], &ada_id)).await;
    for x in 0..100 {
        let moved = json!({"op": "gesture", "kind": "pointer", "data": {"x": x}});
        shared.ada.send(moved).await;
    }
    let last = |frame: &Value| frame["op"] == "gesture" && frame["data"]["x"] == 99;
    let told = until(&mut shared.carol, last).await;
    assert_eq!(told["actor"]["user_id"], shared.ada_id, "{told}");
    // What he hears first after that is the answer to his own question.
    bob.send(json!({"op": "ping"})).await;
    assert_eq!(bob.next().await.unwrap()["op"], "pong");
}
