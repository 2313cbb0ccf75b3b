//! What of streams and messages is on record: who, where, to what, with which end; and nothing else.

use std::{num::NonZeroU32, pin::pin, time::Duration};

use actix_web::{App as ActixApp, body::MessageBody, middleware::from_fn, test};
use identity::{Role, http::edge};
use serde_json::{Value, json, value::RawValue};
use store::Quota;
use tenantry_realtime::{Message, RealtimeConfig};
use testkit::{EntryKind, PROJECT};

use crate::{
    app::{App, Caller, Parts, eventually, soon},
    http::Request,
    sse_client::Sse,
    stream::{Stream, TRANSPORTS},
    ws_client::{RawWs, Ws},
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
        let recorded = || !self.records_of("chat.stream.close").is_empty();
        eventually(line, recorded).await;
        assert_eq!(self.records_of("chat.stream.close"), [line]);
    }

    /// The seqs after `from` that a response may name.
    fn recorded_since(&self, from: usize) -> Vec<String> {
        self.recorder.lines().split_off(from)
    }
}

pub(crate) fn closing(transport: &str, reason: &str) -> String {
    format!("note {PLACE} chat.stream.close GET /{transport}/chat/th_1: done reason={reason}")
}

/// Recheck and heartbeat soon enough for a test.
fn quick(config: &mut RealtimeConfig) {
    config.timings.recheck = Duration::from_millis(20);
    config.timings.heartbeat = Duration::from_millis(20);
}

#[tokio::test]
async fn an_opening_is_on_record_before_the_stream_is_answered() {
    let app = App::new().await;
    let alice = app.alice().await;
    let request = |path: &str| alice.request("GET", path).header("x-request-id", "mine");
    let sse = Sse::open(request("/sse/chat/th_1")).await;
    let ws = Ws::open(&request("/ws/chat/th_1")).await;
    let named = ws.handshake.headers().get("x-audit-seq").unwrap();
    let entries = app.recorder.entries();
    for (seq, path) in [
        (sse.header("x-audit-seq").unwrap(), "/sse/chat/th_1"),
        (named.to_str().unwrap(), "/ws/chat/th_1"),
    ] {
        let entry = &entries[seq.parse::<usize>().unwrap() - 1];
        let line = format!("note {PLACE} chat.stream.open GET {path}: done");
        assert_eq!((entry.to_string(), &*entry.request_id), (line, "mine"));
    }
    assert_eq!(app.records_of("chat.stream.open").len(), 2);
    assert_eq!(app.records_of("chat.stream.close"), [""; 0]);
}

/// How a stream comes to its end; other ends are in `idle` and `slow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Left,
    Removed,
    SessionEnded,
    TokenEnded,
    Drained,
}

impl Ends {
    async fn bring_about(self, app: &App) {
        match self {
            // Who follows the stream leaves.
            Self::Left => {}
            Self::Removed => app.world.directory.remove("t_a", "u_alice"),
            Self::SessionEnded => {
                let session = "se_u_alice".parse().unwrap();
                app.world.directory.end_session(&session);
            }
            Self::TokenEnded => app.world.clock.advance(Duration::from_secs(901)),
            Self::Drained => {
                let drained = app.realtime.drain(Duration::ZERO, Duration::ZERO);
                drained.await;
            }
        }
    }

    /// What the client is told, if anything, and the reason on record.
    const fn told_and_recorded(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Left => (None, "client"),
            Self::Removed => (Some("access_revoked"), "access_revoked"),
            Self::SessionEnded | Self::TokenEnded => (Some("token_ended"), "token_ended"),
            Self::Drained => (Some("drain"), "drained"),
        }
    }
}

#[tokio::test]
async fn every_end_of_a_stream_is_recorded_with_its_reason() {
    let all = [
        Ends::Left,
        Ends::Removed,
        Ends::SessionEnded,
        Ends::TokenEnded,
        Ends::Drained,
    ];
    for (transport, ends) in TRANSPORTS
        .into_iter()
        .flat_map(|transport| all.map(|ends| (transport, ends)))
    {
        let app = App::with(quick).await;
        let mut stream = Stream::open(transport, &app.alice().await, None).await;
        ends.bring_about(&app).await;
        let (told, reason) = ends.told_and_recorded();
        if let Some(told) = told {
            assert_eq!(stream.end().await, told, "{ends:?}");
        }
        drop(stream);
        app.closed(&closing(transport, reason)).await;
    }
}

#[tokio::test]
async fn a_socket_that_breaks_the_rules_is_recorded_so() {
    let text = |ws: RawWs, frame: &'static str, times: usize| async move {
        let mut ws = ws;
        for _ in 0..times {
            ws.frame(0x81, frame.as_bytes()).await;
        }
        ws.closed().await
    };
    let open = async |app: &App| {
        let request = app.alice().await.request("GET", "/ws/chat/th_1");
        RawWs::open(request).await
    };
    for (frame, times, code, reason) in [
        ("{", 9, 4400, "protocol"),
        (r#"{"op":"resume","last_id":""}"#, 100, 4429, "throttled"),
    ] {
        let app = App::new().await;
        assert_eq!(text(open(&app).await, frame, times).await, code);
        app.closed(&closing("ws", reason)).await;
    }
    let app = App::with(|config| {
        quick(config);
        config.timings.silence = Duration::from_millis(60);
    })
    .await;
    assert_eq!(text(open(&app).await, "", 0).await, 1001);
    app.closed(&closing("ws", "silent")).await;
    let app = App::new().await;
    let mut ws = open(&app).await;
    ws.frame(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(ws.closed().await, 1000);
    app.closed(&closing("ws", "client")).await;
}

#[tokio::test]
async fn a_newer_token_is_on_record_and_so_is_one_that_is_none() {
    let app = App::new().await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    for (token, op) in [
        (app.world.token("u_bob"), "error"),
        (alice.token.clone(), "refreshed"),
    ] {
        ws.send(json!({"op": "refresh", "token": token})).await;
        ws.op(op).await;
    }
    let deed = format!("{PLACE} chat.stream.renew GET /ws/chat/th_1");
    assert_eq!(
        app.records_of("chat.stream.renew"),
        [
            format!("refused {deed}: refused unauthenticated"),
            format!("note {deed}: done"),
        ]
    );
}

#[tokio::test]
async fn a_message_leaves_one_record_whichever_way_it_comes() {
    let app = App::new().await;
    let alice = app.alice().await;
    let before = app.recorder.lines().len();
    let mut expected = Vec::new();
    for path in ["/chat/threads/th_1/messages", "/sse/chat/th_1"] {
        for duplicate in ["", " duplicate=true"] {
            let request = alice.request("POST", path);
            let request = request.header("idempotency-key", path);
            let posted = request.json(r#"{"data":1}"#).send().await;
            let id = posted.json()["id"].as_str().unwrap().to_owned();
            expected.push(format!(
                "note {PLACE} chat.message.post POST {path}: done event={id}{duplicate}"
            ));
            let seq = before + expected.len();
            assert_eq!(posted.header("x-audit-seq"), Some(&*seq.to_string()));
        }
    }
    let (scope, route) = app.route("th_1").await;
    let data = RawValue::from_string("1".to_owned()).unwrap();
    let message = Message::new(None, data, None).unwrap();
    let published = app.realtime.publish(&scope, &route, &message);
    let id = published.await.unwrap().cursor;
    expected.push(format!(
        "note t_a/dev u_writer chat.message.post POST /chat/threads/th_1/messages: done event={id}"
    ));
    assert_eq!(app.recorded_since(before), expected);

    let (mut ws, _) = alice.ws(None).await;
    let before = app.recorder.lines().len();
    for duplicate in ["", " duplicate=true"] {
        let frame = json!({"op": "publish", "ref": 1, "data": 2, "idempotency_key": "ws"});
        ws.send(frame).await;
        let id = ws.op("ack").await["id"].as_str().unwrap().to_owned();
        let line = "chat.message.post POST /chat/threads/th_1/messages: done";
        let line = format!("note {PLACE} {line} event={id}{duplicate}");
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

/// An attempt, the status and code of its refusal, and where and for whom that is recorded.
type Attempt = (Request, u16, &'static str, &'static str);

/// Attempts at `path`, a row of the contract's table each.
fn attempts(alice: &Caller<'_>, method: &str, path: &str) -> Vec<Attempt> {
    let bare = || Request::new(alice.app.address, method, path);
    let own = || alice.request(method, path);
    let bad_token = bare().header("authorization", "Bearer x");
    let of = |user: &str| {
        let token = format!("Bearer {}", alice.app.world.token(user));
        own().replace("authorization", &token)
    };
    let (moon, other) = (
        own().replace("x-env", "moon"),
        own().replace("x-tenant-id", "t_b"),
    );
    let project = own().replace("x-project-id", "p_other");
    vec![
        (bare(), 401, "unauthenticated", "system nobody"),
        (bad_token, 401, "unauthenticated", "system nobody"),
        (of("u_ended"), 401, "unauthenticated", "system u_ended"),
        (moon, 400, "context_invalid", "system u_alice"),
        (
            of("u_stranger"),
            403,
            "tenant_forbidden",
            "system u_stranger",
        ),
        (other, 403, "tenant_forbidden", "system u_alice"),
        (project, 400, "unknown_project", PLACE),
    ]
}

async fn refused(app: &App, (request, status, code, by): Attempt, deed: &str) {
    let before = app.recorder.lines().len();
    let what = format!("{request:?}");
    request.send().await.refused(status, code);
    let line = format!("refused {by} {deed}: refused {code}");
    assert_eq!(app.recorded_since(before), [line], "{what}");
}

#[tokio::test]
async fn each_row_before_the_body_is_recorded_where_the_caller_belongs() {
    let app = App::new().await;
    let alice = app.alice().await;
    app.member("t_b", "u_bob", Role::Owner)
        .register("th_2")
        .await;
    let ended = "se_u_ended".parse().unwrap();
    app.world.directory.end_session(&ended);
    for (method, path, action) in [
        ("GET", "/sse/chat", "chat.stream.open"),
        ("GET", "/ws/chat", "chat.stream.open"),
        ("POST", "/sse/chat", "chat.message.post"),
    ] {
        let (own, foreign) = (format!("{path}/th_1"), format!("{path}/th_2"));
        let deed = format!("{action} {method} {own}");
        for attempt in attempts(&alice, method, &own) {
            refused(&app, attempt, &deed).await;
        }
        let request = alice.request(method, &foreign);
        let attempt = (request, 403, "thread_access_denied", PLACE);
        refused(&app, attempt, &format!("{action} {method} {foreign}")).await;
    }
}

#[tokio::test]
async fn what_is_no_message_and_no_handshake_is_recorded() {
    let app = App::new().await;
    let alice = app.alice().await;
    app.member("t_a", "u_viewer", Role::Viewer);
    let viewer = format!("Bearer {}", app.world.token("u_viewer"));
    let post = "/chat/threads/th_1/messages";
    let body = |body: &str| alice.request("POST", post).json(body);
    let by_viewer = body("1").replace("authorization", &viewer);
    let odd_type = body(r#"{"data":1,"type":"Big"}"#);
    let odd_key = body(r#"{"data":1}"#).header("idempotency-key", "");
    let large = body(&format!("{{\"data\":\"{}\"}}", "x".repeat(64 * 1024)));
    for attempt in [
        (by_viewer, 403, "role_forbidden", "t_a/dev u_viewer"),
        (body("{"), 400, "body_invalid", PLACE),
        (odd_type, 422, "validation_failed", PLACE),
        (odd_key, 400, "header_invalid", PLACE),
        (large, 413, "body_too_large", PLACE),
    ] {
        refused(&app, attempt, &format!("chat.message.post POST {post}")).await;
    }
    let plain = alice.request("GET", "/ws/chat/th_1");
    let attempt = (plain, 426, "upgrade_required", PLACE);
    refused(&app, attempt, "chat.stream.open GET /ws/chat/th_1").await;
}

#[tokio::test]
async fn a_ticket_that_does_not_open_is_recorded_without_the_ticket() {
    let app = App::new().await;
    let alice = app.alice().await;
    let ticket = async || {
        let body = r#"{"rail":"chat","id":"th_1"}"#;
        let given = alice.post_json("/realtime/tickets", body).await.json();
        let at = |field| given[field].as_str().unwrap().to_owned();
        Request::new(app.address, "GET", &at("sse_url"))
    };
    let used = ticket().await;
    drop(Sse::open(used.clone()).await);
    let orphan = ticket().await;
    app.world.directory.remove("t_a", "u_alice");
    let orphaned = (orphan, 403, "tenant_forbidden", "system u_alice");
    for (request, status, code, by) in [(used, 401, "unauthenticated", "system nobody"), orphaned] {
        request.send().await.refused(status, code);
        let entries = app.recorder.entries();
        let last = entries
            .iter()
            .rfind(|entry| entry.kind == EntryKind::Refused);
        let line = format!("refused {by} chat.stream.open GET /sse/chat/th_1: refused {code}");
        assert_eq!(last.unwrap().to_string(), line);
    }
}

#[tokio::test]
async fn what_is_over_a_limit_is_recorded() {
    let one = NonZeroU32::MIN;
    let app = App::with(|config| {
        config.limits.connections_per_tenant = 1;
        let (burst, per_second) = (one, one);
        config.limits.publishes = Quota { burst, per_second };
    })
    .await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    assert_eq!(ws.publish("a", json!(1)).await["op"], "ack");
    let before = app.recorder.lines().len();
    assert_eq!(ws.publish("b", json!(1)).await["op"], "error");
    let path = "/chat/threads/th_1/messages";
    alice
        .post_json(path, r#"{"data":1}"#)
        .await
        .refused(429, "throttled");
    alice.get("/sse/chat/th_1").await.refused(429, "throttled");
    let post = format!("refused {PLACE} chat.message.post POST {path}: refused throttled");
    let open = format!("refused {PLACE} chat.stream.open GET /sse/chat/th_1: refused throttled");
    assert_eq!(app.recorded_since(before), [post.clone(), post, open]);
}

#[tokio::test]
async fn a_message_that_a_socket_may_not_publish_is_recorded() {
    let app = App::new().await;
    let alice = app.alice().await;
    let viewer = app.member("t_a", "u_viewer", Role::Viewer);
    let (mut hers, _) = alice.ws(None).await;
    let (mut his, _) = viewer.ws(None).await;
    let deed = "chat.message.post POST /chat/threads/th_1/messages";
    let kept = json!({"op": "publish", "ref": 1, "data": 1, "idempotency_key": "k"});
    hers.send(kept).await;
    hers.op("ack").await;
    for (by, frame, code) in [
        ("t_a/dev u_viewer", json!({"data": 1}), "role_forbidden"),
        (
            PLACE,
            json!({"data": 1, "type": "Big"}),
            "validation_failed",
        ),
        (
            PLACE,
            json!({"data": "x".repeat(63 * 1024)}),
            "body_too_large",
        ),
        (
            PLACE,
            json!({"data": 2, "idempotency_key": "k"}),
            "idempotency_conflict",
        ),
    ] {
        let ws = if by == PLACE { &mut hers } else { &mut his };
        let before = app.recorder.lines().len();
        let mut frame = frame;
        frame["op"] = Value::from("publish");
        ws.send(frame).await;
        assert_eq!(ws.op("error").await["problem"]["code"], code);
        let line = format!("refused {by} {deed}: refused {code}");
        assert_eq!(app.recorded_since(before), [line]);
    }
    // Who may not even listen any more is closed, and both are on record.
    app.world.directory.remove("t_a", "u_alice");
    hers.send(json!({"op": "publish", "data": 1})).await;
    assert_eq!(hers.closed().await, 4403);
    let line = format!("refused {PLACE} {deed}: refused tenant_forbidden");
    assert!(app.recorder.lines().contains(&line));
    drop(hers);
    app.closed(&closing("ws", "access_revoked")).await;
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

#[tokio::test]
async fn a_slow_record_holds_back_the_acknowledgement_and_not_the_event() {
    let app = App::new().await;
    let alice = app.alice().await;
    let mut sse = alice.sse(None).await;
    let (mut ws, _) = alice.ws(None).await;
    app.recorder.hang();
    ws.send(json!({"op": "publish", "ref": 1, "data": "first"}))
        .await;
    assert_eq!(sse.message().await["data"], "first");
    let post = alice
        .request("POST", "/sse/chat/th_1")
        .json(r#"{"data":"second"}"#);
    let mut posted = pin!(post.send());
    // Both events arrive while neither is acknowledged.
    tokio::select! {
        answer = &mut posted => panic!("acknowledged without a record: {answer:?}"),
        message = sse.message() => assert_eq!(message["data"], "second"),
    }
    for data in ["first", "second"] {
        assert_eq!(ws.json().await["event"]["data"], data);
    }
    app.recorder.release();
    let ack = ws.op("ack").await;
    assert_eq!(
        (&ack["ref"], &ack["audit_status"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(soon("an answer", posted).await.status, 201);
}

#[tokio::test]
async fn a_degraded_record_is_told_on_every_transport() {
    let app = App::new().await;
    let alice = app.alice().await;
    app.recorder.degrade();
    let sse = alice.sse(None).await;
    assert_eq!(sse.header("x-audit-status"), Some("degraded"));
    let (mut ws, _) = alice.ws(None).await;
    let ack = ws.publish("r", json!(1)).await;
    assert_eq!(
        (&ack["op"], &ack["audit_status"]),
        (&json!("ack"), &json!("degraded"))
    );
    let posted = alice.post_json("/sse/chat/th_1", r#"{"data":1}"#).await;
    assert_eq!(
        (posted.status, posted.header("x-audit-status")),
        (201, Some("degraded"))
    );
    assert_eq!(posted.header("x-audit-seq"), None);
}

/// In a time that passes only when everyone waits: the recorder never answers, and each
/// thing that is recorded costs its five seconds and no more.
#[tokio::test(start_paused = true)]
async fn a_recorder_that_never_answers_costs_its_bound() {
    const BOUND: Duration = Duration::from_secs(5);
    let parts = Parts::with(|_| {});
    let (scope, route) = parts.route("th_1").await;
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let app = ActixApp::new().wrap(from_fn(edge)).configure(parts.mount());
            let app = test::init_service(app).await;
            parts.recorder.hang();
            let started = tokio::time::Instant::now();
            let data = RawValue::from_string("1".to_owned()).unwrap();
            let message = Message::new(None, data, None).unwrap();
            parts
                .realtime
                .publish(&scope, &route, &message)
                .await
                .unwrap();
            assert_eq!(started.elapsed().as_secs(), BOUND.as_secs());

            let request = test::TestRequest::get().uri("/sse/chat/th_1");
            let token = format!("Bearer {}", parts.world.token("u_writer"));
            let request = [
                ("authorization", &*token),
                ("x-tenant-id", "t_a"),
                ("x-env", "dev"),
                ("x-project-id", PROJECT),
            ]
            .into_iter()
            .fold(request, test::TestRequest::insert_header);
            let stream = test::call_service(&app, request.to_request()).await;
            assert_eq!(started.elapsed().as_secs(), 2 * BOUND.as_secs());
            assert_eq!(stream.headers().get("x-audit-status").unwrap(), "degraded");
            let mut body = Box::pin(stream.into_body());
            let hello = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await;
            assert!(hello.unwrap().unwrap().starts_with(b": ok"));
            drop(body);
            // Its place is given back when its closing was tried to record.
            let open = parts.realtime.drain(Duration::ZERO, 2 * BOUND).await;
            assert_eq!(
                (open, started.elapsed().as_secs()),
                (0, 3 * BOUND.as_secs())
            );
        })
        .await;
}
