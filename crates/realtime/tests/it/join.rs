//! Replay joins live.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use serde_json::value::RawValue;
use tenantry_realtime::Message;

use crate::app::{App, Caller, seq};

/// Reconnects of each of the two readers, ten thousand together.
const RECONNECTS: usize = 5000;

/// How far the publisher runs ahead of the slower reader: beyond the ring, so
/// that readers replay, and no further, so that they reach the live end.
const LEAD: u64 = 60;

/// What publisher and readers tell each other.
#[derive(Default)]
struct Race {
    reached: [AtomicU64; 2],
    over: AtomicBool,
}

impl Race {
    fn slower(&self) -> u64 {
        let [one, other] = &self.reached;
        let (one, other) = (one.load(Ordering::Relaxed), other.load(Ordering::Relaxed));
        one.min(other)
    }
}

/// Publishes in bursts of changing size until the readers are done.
async fn flood(app: &App, race: &Race) -> u64 {
    let (scope, route) = app.route("th_1").await;
    let data = RawValue::from_string("\"flood\"".to_owned()).unwrap();
    let message = Message::new(None, data, None).unwrap();
    let mut head = 0;
    while !race.over.load(Ordering::Relaxed) {
        for _ in 0..head % 7 + 1 {
            let appended = app.realtime.publish(&scope, &route, &message).await;
            head = appended.unwrap().cursor.seq;
        }
        tokio::task::yield_now().await;
        while head > race.slower() + LEAD && !race.over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    head
}

/// Takes a few events on one transport after the other, always from the last cursor.
async fn wander(alice: Caller<'_>, start: String, race: &Race, turn: usize) {
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
        race.reached[turn].store(seq(&cursor), Ordering::Relaxed);
    }
    race.reached[turn].store(u64::MAX - LEAD, Ordering::Relaxed);
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
    let race = Race::default();
    let readers = async {
        let one = wander(alice.clone(), start.clone(), &race, 0);
        let other = wander(alice.clone(), start.clone(), &race, 1);
        futures_util::future::join(one, other).await;
        race.over.store(true, Ordering::Relaxed);
    };
    let (head, ()) = futures_util::future::join(flood(&app, &race), readers).await;
    assert!(head > 10 * RECONNECTS as u64);
}
