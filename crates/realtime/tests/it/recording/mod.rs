//! What of streams and messages is on record: who, where, to what, with which end; and nothing else.

mod ends;
mod refusals;
mod trouble;

use identity::Role;
use serde_json::{json, value::RawValue};
use tenantry_realtime::Message;

use crate::{
    app::{App, Parts, eventually},
    http::Request,
    rails::{RAILS, Rail},
    sse_client::Sse,
    ws_client::Ws,
};

const PLACE: &str = "t_a/dev u_alice";

impl Parts {
    /// The records of what `action` is the name of, in order.
    fn records_of(&self, action: &str) -> Vec<String> {
        let entries = self.recorder.entries();
        let of_action = entries.iter().filter(|entry| entry.action == action);
        of_action.map(ToString::to_string).collect()
    }

    /// Waits until just this is recorded of the ends of streams.
    pub(crate) async fn closed(&self, line: &str) {
        let close = self.rail.action("close");
        let recorded = || !self.records_of(&close).is_empty();
        eventually(line, recorded).await;
        assert_eq!(self.records_of(&close), [line]);
    }

    /// The seqs after `from` that a response may name.
    fn recorded_since(&self, from: usize) -> Vec<String> {
        self.recorder.lines().split_off(from)
    }
}

pub(crate) fn closing(rail: &Rail, transport: &str, reason: &str) -> String {
    let (close, path) = (rail.action("close"), rail.stream(transport));
    format!("note {PLACE} {close} GET {path}: done reason={reason}")
}

#[tokio::test]
async fn an_opening_is_on_record_before_the_stream_is_answered() {
    for rail in RAILS {
        opening(rail).await;
    }
}

async fn opening(rail: Rail) {
    let app = App::on(rail).await;
    let alice = app.alice().await;
    let request = |path: &str| alice.request("GET", path).header("x-request-id", "mine");
    let sse = Sse::open(request(&rail.sse())).await;
    let ws = Ws::open(&request(&rail.ws())).await;
    let named = ws.handshake.headers().get("x-audit-seq").unwrap();
    let entries = app.recorder.entries();
    for (seq, path) in [
        (sse.header("x-audit-seq").unwrap(), rail.sse()),
        (named.to_str().unwrap(), rail.ws()),
    ] {
        let entry = &entries[seq.parse::<usize>().unwrap() - 1];
        let line = format!("note {PLACE} {} GET {path}: done", rail.action("open"));
        assert_eq!((entry.to_string(), &*entry.request_id), (line, "mine"));
    }
    assert_eq!(app.records_of(&rail.action("open")).len(), 2);
    assert_eq!(app.records_of(&rail.action("close")), [""; 0]);
}

#[tokio::test]
async fn a_newer_token_is_on_record_and_so_is_one_that_is_none() {
    for rail in RAILS {
        newer_token(rail).await;
    }
}

async fn newer_token(rail: Rail) {
    let app = App::on(rail).await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    for (token, op) in [
        (app.world.token("u_bob"), "error"),
        (alice.token.clone(), "refreshed"),
    ] {
        ws.send(json!({"op": "refresh", "token": token})).await;
        ws.op(op).await;
    }
    let renew = rail.action("renew");
    let deed = format!("{PLACE} {renew} GET {}", rail.ws());
    assert_eq!(
        app.records_of(&renew),
        [
            format!("refused {deed}: refused unauthenticated"),
            format!("note {deed}: done"),
        ]
    );
}

#[tokio::test]
async fn a_message_leaves_one_record_whichever_way_it_comes() {
    for rail in RAILS {
        one_record(rail).await;
    }
}

async fn one_record(rail: Rail) {
    let app = App::on(rail).await;
    let alice = app.alice().await;
    let Rail { post, posts, .. } = rail;
    let before = app.recorder.lines().len();
    let mut expected = Vec::new();
    for path in [posts, &*rail.sse()] {
        for (key, duplicate) in [(path, ""), (path, " duplicate=true")] {
            let request = alice.request("POST", path);
            let request =
                request.header("idempotency-key", &format!("{key}{}", expected.len() / 2));
            let posted = request.json(r#"{"data":1}"#).send().await;
            let id = posted.json()["id"].as_str().unwrap().to_owned();
            expected.push(format!(
                "note {PLACE} {post} POST {path}: done event={id}{duplicate}"
            ));
            let seq = before + expected.len();
            assert_eq!(posted.header("x-audit-seq"), Some(&*seq.to_string()));
        }
    }
    let (scope, route) = app.route().await;
    let data = RawValue::from_string("1".to_owned()).unwrap();
    let message = Message::new(None, data, None).unwrap();
    let published = app.realtime.publish(&scope, &route, &message);
    let id = published.await.unwrap().cursor;
    expected.push(format!(
        "note t_a/dev u_writer {post} POST {posts}: done event={id}"
    ));
    assert_eq!(app.recorded_since(before), expected);

    let (mut ws, _) = alice.ws(None).await;
    let before = app.recorder.lines().len();
    for duplicate in ["", " duplicate=true"] {
        let frame = json!({"op": "publish", "ref": 1, "data": 2, "idempotency_key": "ws"});
        ws.send(frame).await;
        let id = ws.op("ack").await["id"].as_str().unwrap().to_owned();
        let line = format!("note {PLACE} {post} POST {posts}: done event={id}{duplicate}");
        assert_eq!(app.recorder.lines().last(), Some(&line));
    }
    assert_eq!(app.recorded_since(before).len(), 2);
}

#[tokio::test]
async fn threads_and_tickets_have_an_intent_and_an_outcome() {
    let app = App::new().await;
    let alice = app.member("t_a", "u_alice", Role::Member);
    let register = format!("{PLACE} chat.thread.register POST /chat/threads");
    let ticket = format!("{PLACE} realtime.ticket.issue POST /realtime/tickets");
    let of_thread = "done -> /chat/threads/th_1 thread_id=th_1";
    for (path, body, deed, outcome) in [
        (
            "/chat/threads",
            r#"{"thread_id":"th_1","title":"One"}"#,
            &register,
            of_thread,
        ),
        (
            "/chat/threads",
            r#"{"thread_id":"th_1"}"#,
            &register,
            "done thread_id=th_1",
        ),
        (
            "/chat/threads",
            r#"{"thread_id":"th_1","title":"Two"}"#,
            &register,
            "refused conflict",
        ),
        (
            "/realtime/tickets",
            r#"{"rail":"chat","id":"th_1"}"#,
            &ticket,
            "done rail=chat id=th_1",
        ),
        (
            "/realtime/tickets",
            r#"{"rail":"chat","id":"th_2"}"#,
            &ticket,
            "refused thread_access_denied",
        ),
        (
            "/realtime/tickets",
            r#"{"rail":"canvas","id":"cv_2"}"#,
            &ticket,
            "refused canvas_access_denied",
        ),
    ] {
        let before = app.recorder.lines().len();
        let answer = alice.post_json(path, body).await;
        let lines = [
            format!("intent {deed}"),
            format!("outcome {deed}: {outcome}"),
        ];
        assert_eq!(app.recorded_since(before), lines, "{answer:?}");
        let seq = (before + 2).to_string();
        assert_eq!(answer.header("x-audit-seq"), Some(&*seq));
    }
}

#[tokio::test]
async fn nothing_is_recorded_that_people_wrote_and_no_secret() {
    let app = App::new().await;
    let alice = app.member("t_a", "u_alice", Role::Member);
    let thread = r#"{"thread_id":"th_1","title":"canary-title"}"#;
    alice.post_json("/chat/threads", thread).await;
    let body = r#"{"rail":"chat","id":"th_1"}"#;
    let given = alice.post_json("/realtime/tickets", body).await.json();
    let ticket = given["ticket"].as_str().unwrap();
    let url = format!("/sse/chat/th_1?ticket={ticket}");
    drop(Sse::open(Request::new(app.address, "GET", &url)).await);
    let used = Request::new(app.address, "GET", &url).send().await;
    used.refused(401, "unauthenticated");
    let path = "/chat/threads/th_1/messages";
    let request = alice
        .request("POST", path)
        .header("idempotency-key", "canary-key");
    request.json(r#"{"data":"canary-data"}"#).send().await;
    alice
        .post_json(path, r#"{"data":1,"type":"Canary-Type"}"#)
        .await;
    alice.post_json(path, r#"{"canary-field":1}"#).await;
    let path = "/sse/chat/th_1?last_event_id=canary-cursor&tenant_id=t_canary";
    alice.get(path).await.refused(400, "context_conflict");
    alice.get("/chat/threads/+canary-thread/messages").await;
    let (mut ws, _) = alice.ws(Some("canary-cursor")).await;
    for frame in [
        json!({"op": "presence", "state": "canary-state"}),
        json!({"op": "refresh", "token": "canary-token"}),
        json!({"op": "refresh", "token": alice.token}),
        json!({"op": "publish", "ref": "canary-ref", "data": "canary-data"}),
    ] {
        ws.send(frame).await;
    }
    ws.op("ack").await;
    drop(ws);
    eventually("the socket is closed", || app.realtime.connections() == 0).await;
    let recorded = format!("{:?}", app.recorder.entries()).to_lowercase();
    for secret in ["canary", ticket, &alice.token, "bearer", "ticket="] {
        let secret = secret.to_lowercase();
        assert!(!recorded.contains(&secret), "{secret} in {recorded}");
    }
}
