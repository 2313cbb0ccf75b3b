//! What a tenant may use.

use std::{num::NonZeroU32, time::Duration};

use identity::Role;
use serde_json::json;
use store::Quota;

use crate::{
    app::{App, eventually},
    rails::{CANVAS, RAILS, Rail},
};

fn quota(burst: u32, per_second: u32) -> Quota {
    Quota {
        burst: NonZeroU32::new(burst).unwrap(),
        per_second: NonZeroU32::new(per_second).unwrap(),
    }
}

#[tokio::test]
async fn streams_of_a_tenant_are_counted() {
    for rail in RAILS {
        counted(rail).await;
    }
}

async fn counted(rail: Rail) {
    let app = App::on_with(rail, |config| config.limits.connections_per_tenant = 2).await;
    let alice = app.alice().await;
    let sse = alice.sse(None).await;
    let (ws, _) = alice.ws(None).await;
    let refused = alice.get(&rail.sse()).await;
    refused.refused(429, "throttled");
    assert_eq!(refused.header("retry-after"), Some("5"));
    // Another tenant is not concerned.
    let bob = app.member("t_b", "u_bob", Role::Member);
    bob.register(app.rail.one).await;
    bob.sse(None).await;
    drop((sse, ws));
    for n in 0..3 {
        alice.say(&n.to_string()).await;
    }
    eventually("places are given back", || app.realtime.connections() == 0).await;
    alice.sse(None).await;
}

#[tokio::test]
async fn streams_of_the_process_are_counted() {
    let app = App::with(|config| config.limits.connections = 1).await;
    let alice = app.alice().await;
    let bob = app.member("t_b", "u_bob", Role::Member);
    bob.register(app.rail.one).await;
    let _hers = alice.sse(None).await;
    bob.get(&app.rail.sse()).await.refused(429, "throttled");
}

#[tokio::test]
async fn messages_of_a_tenant_have_a_rate() {
    for rail in RAILS {
        have_a_rate(rail).await;
    }
}

async fn have_a_rate(rail: Rail) {
    let app = App::on_with(rail, |config| config.limits.publishes = quota(3, 1)).await;
    let alice = app.alice().await;
    for n in 0..3 {
        alice.say(&n.to_string()).await;
    }
    let refused = alice.post_json(rail.posts, r#"{"data":1}"#).await;
    refused.refused(429, "throttled");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some("\"publish\";q=3;w=3")
    );
    assert_eq!(refused.header("ratelimit"), Some("\"publish\";r=0;t=3"));
    app.world.clock.advance(Duration::from_secs(1));
    alice.say("4").await;
}

#[tokio::test]
async fn bytes_of_a_tenant_have_a_rate_and_refusals_use_up_nothing() {
    let app = App::with(|config| {
        config.limits.publishes = quota(2, 1);
        config.limits.publish_bytes = quota(4000, 1000);
    })
    .await;
    let alice = app.alice().await;
    let path = app.rail.posts;
    let large = format!("{{\"data\":\"{}\"}}", "x".repeat(4000));
    for _ in 0..5 {
        let refused = alice.post_json(path, &large).await;
        refused.refused(429, "throttled");
        assert_eq!(
            refused.header("ratelimit-policy"),
            Some("\"publish-bytes\";q=4000;w=4")
        );
    }
    // Both messages are still there to be used.
    alice.say("1").await;
    alice.say("2").await;
}

#[tokio::test]
async fn a_socket_that_keeps_on_is_closed() {
    let app = App::on_with(CANVAS, |config| config.limits.publishes = quota(2, 1)).await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    for n in 0..2 {
        assert_eq!(ws.publish(&n.to_string(), json!(n)).await["op"], "ack");
    }
    let refused = ws.publish("r", json!(1)).await;
    assert_eq!(refused["problem"]["code"], "throttled");
    for _ in 0..50 {
        ws.send(json!({"op": "publish", "data": 1})).await;
    }
    assert_eq!(ws.closed().await, 4429);
}

#[tokio::test]
async fn a_thread_keeps_what_it_should() {
    let app = App::with(|config| config.retention.events = 20).await;
    let alice = app.alice().await;
    for n in 0..100 {
        alice.say(&n.to_string()).await;
    }
    let read = async || {
        let page = alice.get("/chat/threads/th_1/messages").await.json();
        page["items"].as_array().unwrap().len()
    };
    let deadline = tokio::time::Instant::now() + crate::app::PATIENCE;
    while !(20..=22).contains(&read().await) {
        assert!(tokio::time::Instant::now() < deadline, "never trimmed");
    }
}
