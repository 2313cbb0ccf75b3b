//! Replay joins live.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::value::RawValue;
use tenantry_realtime::Message;

use crate::app::{App, Caller, seq};

/// Reconnects of each of the two readers: enough to meet every kind of join.
const RECONNECTS: usize = 300;

/// Publishes until told to stop.
async fn flood(app: &App, stop: Arc<AtomicBool>) -> u64 {
    let (scope, route) = app.route("th_1").await;
    let data = RawValue::from_string("\"flood\"".to_owned()).unwrap();
    let message = Message::new(None, data, None).unwrap();
    let mut head = 0;
    while !stop.load(Ordering::Relaxed) {
        let appended = app.realtime.publish(&scope, &route, &message).await;
        head = appended.unwrap().cursor.seq;
        // About two thousand a second.
        tokio::time::sleep(std::time::Duration::from_micros(500)).await;
    }
    head
}

/// Takes a few events on one transport after the other, always from the last cursor.
async fn wander(alice: Caller<'_>, start: String, turn: usize) -> u64 {
    let mut cursor = start;
    for reconnect in 0..RECONNECTS {
        let take = 1 + (reconnect * 7 + turn) % 40;
        let ids = if (reconnect + turn).is_multiple_of(2) {
            alice.sse(Some(&cursor)).await.ids(take).await
        } else {
            alice.ws(Some(&cursor)).await.0.ids(take).await
        };
        let expected = seq(&cursor) + 1..;
        for (id, expected) in ids.iter().zip(expected) {
            assert_eq!(seq(id), expected, "reconnect {reconnect} after {cursor}");
        }
        cursor = ids.last().unwrap().clone();
    }
    seq(&cursor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnecting_readers_miss_nothing_and_meet_nothing_twice() {
    let app = App::with(|config| {
        config.limits.publishes.burst = std::num::NonZeroU32::MAX;
        config.limits.publish_bytes.burst = std::num::NonZeroU32::MAX;
        // Small, so that readers are often behind the ring and must replay.
        config.ring.events = 16;
    })
    .await;
    let alice = app.alice().await;
    let start = alice.say("th_1", "0").await;
    let stop = Arc::new(AtomicBool::new(false));
    let readers = async {
        let both = futures_util::future::join(
            wander(alice.clone(), start.clone(), 0),
            wander(alice.clone(), start.clone(), 1),
        );
        let reached = both.await;
        stop.store(true, Ordering::Relaxed);
        reached
    };
    let (head, reached) = futures_util::future::join(flood(&app, stop.clone()), readers).await;
    assert!(head > 0 && reached.0 > 1000 && reached.1 > 1000);
}
