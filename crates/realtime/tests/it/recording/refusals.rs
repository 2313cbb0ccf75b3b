//! Attempts that were refused.

use std::num::NonZeroU32;

use identity::Role;
use serde_json::{Value, json};
use store::Quota;
use testkit::EntryKind;

use super::{PLACE, closing};
use crate::{
    app::{App, Caller},
    http::Request,
    rails::{CHAT, RAILS, Rail},
    sse_client::Sse,
};

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
    for rail in RAILS {
        each_row(rail).await;
    }
}

async fn each_row(rail: Rail) {
    let app = App::on(rail).await;
    let alice = app.alice().await;
    app.member("t_b", "u_bob", Role::Owner)
        .register(rail.other)
        .await;
    let ended = "se_u_ended".parse().unwrap();
    app.world.directory.end_session(&ended);
    let opens = rail.action("open");
    for (method, transport, action) in [
        ("GET", "sse", &*opens),
        ("GET", "ws", &opens),
        ("POST", "sse", rail.post),
    ] {
        let own = rail.stream(transport);
        let foreign = format!("/{transport}/{}/{}", rail.name, rail.other);
        let deed = format!("{action} {method} {own}");
        for attempt in attempts(&alice, method, &own) {
            refused(&app, attempt, &deed).await;
        }
        let request = alice.request(method, &foreign);
        let attempt = (request, 403, rail.denied, PLACE);
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
    app.closed(&closing(&CHAT, "ws", "access_revoked")).await;
}
