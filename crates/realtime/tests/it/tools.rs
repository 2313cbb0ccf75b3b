//! What tools say on a canvas, and what the server tells beside it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use identity::Timestamp;
use serde_json::{Value, json, value::RawValue};
use store::Idempotency;
use tenantry_realtime::{Backlog, CanvasKey, Realtime, Told};

use crate::{
    app::{App, seq},
    rails::CANVAS,
};

#[tokio::test]
async fn clients_tell_of_tools_alone() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    for kind in [
        "canvas.commit",
        "artifact.ready",
        "chat.message",
        "tools.a",
        "tool",
    ] {
        let before = app.recorder.lines().len();
        let body = json!({"data": 1, "type": kind});
        let refused = alice.post_json(CANVAS.posts, &body.to_string()).await;
        refused.refused(422, "validation_failed");
        assert!(refused.body.contains("/type"), "{}", refused.body);
        ws.send(json!({"op": "publish", "ref": "r", "type": kind, "data": 1}))
            .await;
        let refused = ws.op("error").await;
        assert_eq!(refused["problem"]["code"], "validation_failed", "{kind}");
        let line = format!(
            "refused t_a/dev u_alice canvas.tool.post POST {}: refused validation_failed",
            CANVAS.posts
        );
        assert_eq!(app.recorder.lines()[before..], [line.clone(), line]);
    }
    for kind in ["tool.call", "tool.result.partial"] {
        ws.send(json!({"op": "publish", "ref": "r", "type": kind, "data": 1}))
            .await;
        assert_eq!(ws.op("event").await["event"]["type"], kind);
    }
}

#[tokio::test]
async fn a_tool_whose_socket_ends_again_and_again_loses_nothing_and_repeats_nothing() {
    const EVENTS: usize = 60;
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let mut follower = alice.sse(None).await;
    let mut acked = 0;
    let mut cut = 0;
    while acked < EVENTS {
        let (mut ws, _) = alice.ws(None).await;
        // A few more each time than those whose answers it waits for.
        let upto = (acked + 9).min(EVENTS);
        for n in acked..upto {
            ws.send(
                json!({"op": "publish", "ref": n, "type": "tool.progress", "data": n,
                "idempotency_key": format!("run-1/{n}")}),
            )
            .await;
        }
        for _ in 0..5.min(upto - acked) {
            assert_eq!(ws.op("ack").await["ref"], acked);
            acked += 1;
        }
        cut += 1;
    }
    assert!(cut > 5);
    for n in 0..EVENTS {
        let event = follower.message().await;
        assert_eq!(event["data"], n);
        assert_eq!(seq(event["id"].as_str().unwrap()), n as u64 + 1);
    }
}

/// Tells one commit, which a server did not get to.
struct Untold {
    realtime: std::sync::Weak<Realtime>,
    asked: AtomicUsize,
}

#[async_trait]
impl Backlog for Untold {
    async fn tell(&self, key: &CanvasKey) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let data = RawValue::from_string(r#"{"rev":1}"#.to_owned()).unwrap();
        let told = Told {
            kind: "canvas.commit",
            at: Timestamp::from_unix_ms(0),
            actor: &"u_gone".parse().unwrap(),
            request_id: "r",
            traceparent: "00",
            data: &data,
            idempotency: Idempotency {
                key: [1; 16],
                fingerprint: [1; 16],
            },
        };
        let realtime = self.realtime.upgrade().unwrap();
        realtime.tell(key, &told).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_not_told_is_told_before_a_stream_opens_on_the_same_cursor_as_all_else() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let first = alice.say("1").await;
    let backlog = Arc::new(Untold {
        realtime: Arc::downgrade(&app.realtime),
        asked: AtomicUsize::new(0),
    });
    let told: Arc<dyn Backlog> = backlog.clone();
    app.realtime.tell_before_opening(Arc::downgrade(&told));
    let mut sse = alice.sse(Some(&first)).await;
    let commit = sse.message().await;
    assert_eq!(
        (&commit["type"], &commit["routing"]["actor"]["user_id"]),
        (&json!("canvas.commit"), &json!("u_gone"))
    );
    let (mut ws, ready) = alice.ws(Some(&first)).await;
    assert_eq!(ready["head"], commit["id"]);
    assert_eq!(ws.op("event").await["event"], commit);
    let second = alice.say("2").await;
    assert_eq!(seq(&second), seq(&first) + 2);
    assert_eq!(sse.message().await["id"], Value::from(second));
    assert_eq!(backlog.asked.load(Ordering::Relaxed), 2);
}
