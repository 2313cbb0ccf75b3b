//! Readers that do not read.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tenantry_realtime::Message;

use crate::{
    app::{App, eventually, seq},
    rails::{CANVAS, CHAT},
    recording::closing,
};

/// Publishes some 15 MiB a second, which a reader that reads can follow.
async fn publish_large(app: &App, count: usize) {
    let (scope, route) = app.route().await;
    let data = RawValue::from_string(format!("\"{}\"", "x".repeat(32 * 1024))).unwrap();
    let message = Arc::new(Message::new(None, data, None).unwrap());
    for _ in 0..count {
        app.realtime
            .publish(&scope, &route, &message)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn generous(config: &mut tenantry_realtime::RealtimeConfig) {
    config.limits.publish_bytes.burst = std::num::NonZeroU32::MAX;
    config.ring.bytes = 256 * 1024;
    config.timings.behind_max = Duration::from_millis(300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_sse_reader_is_cut_and_resumes_where_it_was() {
    let app = App::on_with(CANVAS, generous).await;
    let alice = app.alice().await;
    let mut slow = alice.sse(None).await;
    let mut healthy = alice.sse(None).await;
    // Much more than the sockets and the ring hold together.
    let count = 600;
    let reader = async { healthy.ids(count).await };
    // Paced, so that who reads stays level.
    let (_, all) = futures_util::future::join(publish_large(&app, count), reader).await;
    assert_eq!(all.len(), count);
    let mut got = Vec::new();
    while let Some(block) = slow.event().await {
        got.push(block.message()["id"].as_str().unwrap().to_owned());
    }
    assert!(got.len() < count, "it was never cut");
    drop(slow);
    app.closed(&closing(&CANVAS, "sse", "slow")).await;
    assert_eq!(got, all[..got.len()], "a hole before the cut");
    // The cursor resumes: nothing was lost.
    let mut resumed = alice.sse(got.last().map(String::as_str)).await;
    let rest = count - got.len();
    assert_eq!(resumed.ids(rest).await, all[got.len()..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_socket_is_closed_with_4408() {
    let app = App::with(generous).await;
    let alice = app.alice().await;
    let (mut slow, _) = alice.ws(None).await;
    // It starts live only after it has not resumed.
    let id = alice.say("1").await;
    assert_eq!(slow.ids(1).await, [id]);
    publish_large(&app, 600).await;
    assert_eq!(slow.closed().await, 4408);
    drop(slow);
    app.closed(&closing(&CHAT, "ws", "slow")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_replays_slowly_is_not_cut() {
    let app = App::with(generous).await;
    let alice = app.alice().await;
    let first = alice.say("1").await;
    publish_large(&app, 200).await;
    let mut replaying = alice.sse(Some(&first)).await;
    publish_large(&app, 200).await;
    let ids = replaying.ids(400).await;
    assert_eq!(seq(ids.last().unwrap()), 401);
    drop(replaying);
    for n in 0..3 {
        alice.say(&n.to_string()).await;
    }
    eventually("the place is given back", || {
        app.realtime.connections() == 0
    })
    .await;
}
