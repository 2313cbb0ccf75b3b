//! A recorder that is slow, degraded, or silent.

use std::{pin::pin, time::Duration};

use actix_web::{App as ActixApp, body::MessageBody, middleware::from_fn, test};
use identity::http::edge;
use serde_json::{Value, json, value::RawValue};
use tenantry_realtime::Message;
use testkit::PROJECT;

use super::PLACE;
use crate::{
    app::{App, Parts, soon},
    rails::CHAT,
};

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

#[tokio::test]
async fn a_message_that_the_log_does_not_take_is_recorded_as_failed() {
    let app = App::new().await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    let before = app.recorder.lines().len();
    app.log.set_down(true);
    let refused = ws.publish("r", json!(1)).await;
    assert_eq!(refused["problem"]["code"], "backend_unavailable");
    let path = "/chat/threads/th_1/messages";
    let posted = alice.post_json(path, r#"{"data":1}"#).await;
    posted.refused(503, "backend_unavailable");
    let seq = (before + 2).to_string();
    assert_eq!(posted.header("x-audit-seq"), Some(&*seq));
    let line = format!("note {PLACE} chat.message.post POST {path}: failed backend_unavailable");
    assert_eq!(app.recorded_since(before), [line.clone(), line]);
}

/// In a time that passes only when everyone waits: the recorder never answers, and each
/// thing that is recorded costs its five seconds and no more.
#[tokio::test(start_paused = true)]
async fn a_recorder_that_never_answers_costs_its_bound() {
    const BOUND: Duration = Duration::from_secs(5);
    let parts = Parts::with(CHAT, |_| {});
    let (scope, route) = parts.route().await;
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
