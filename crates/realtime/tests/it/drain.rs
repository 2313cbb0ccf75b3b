//! Planned stops.

use std::time::Duration;

use serde_json::json;

use crate::{
    app::{App, soon},
    rails::{RAILS, Rail},
};

#[tokio::test]
async fn streams_are_told_spread_out_and_closed() {
    for rail in RAILS {
        drained(rail).await;
    }
}

async fn drained(rail: Rail) {
    let app = App::on(rail).await;
    let alice = app.alice().await;
    let mut sse = alice.sse(None).await;
    let (mut ws, _) = alice.ws(None).await;
    let id = alice.say("1").await;
    assert_eq!(sse.ids(1).await, [id]);
    let realtime = app.realtime.clone();
    let drain = tokio::spawn(async move {
        let spread = Duration::from_millis(200);
        realtime.drain(spread, Duration::from_secs(10)).await
    });
    let told = sse.event().await.unwrap();
    assert_eq!(told.event.as_deref(), Some("drain"));
    assert_eq!(told.json(), json!({"retry_ms": told.retry.unwrap()}));
    assert_eq!(sse.event().await, None);
    assert!(ws.op("drain").await["retry_ms"].as_u64().unwrap() >= 500);
    assert_eq!(ws.closed().await, 1012);
    drop(ws);
    assert_eq!(soon("the end of the drain", drain).await.unwrap(), 0);
    for path in [rail.sse(), rail.ws()] {
        let refused = alice.request("GET", &path).header("upgrade", "websocket");
        let refused = refused
            .header("connection", "upgrade")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let refused = refused.send().await;
        refused.refused(503, "draining");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let app = App::new().await;
    let alice = app.alice().await;
    let _sse = alice.sse(None).await;
    let (hour, moment) = (Duration::from_secs(3600), Duration::from_millis(50));
    assert_eq!(
        soon("the deadline", app.realtime.drain(hour, moment)).await,
        1
    );
}
