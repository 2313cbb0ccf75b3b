//! Replay joins live.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::{join, join_all};
use serde_json::value::RawValue;
use tenantry_realtime::Message;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::{App, Caller, seq};

/// Readers, and how often each reconnects: ten thousand times together.
const READERS: usize = 4;
const RECONNECTS: usize = 2500;
/// Events published per tick of five milliseconds: 2,000 a second.
const TICK: Duration = Duration::from_millis(5);
const EVENTS_PER_TICK: usize = 10;
/// Most events that a reader takes beyond those that it was behind; more than the ring holds.
const TAKE_MAX: u64 = 40;

/// How far the publisher may be ahead of the slowest reader: what it publishes in two
/// seconds. On a machine that is too busy for its rate it waits, or nobody could ever follow.
const AHEAD_MAX: u64 = 4000;

/// What the publisher and the readers tell each other.
#[derive(Default)]
struct Race {
    head: AtomicU64,
    at: [AtomicU64; READERS],
    over: AtomicBool,
}

impl Race {
    fn slowest(&self) -> u64 {
        let at = self.at.iter().map(|at| at.load(Ordering::Relaxed));
        at.min().unwrap_or_default()
    }
}

/// Publishes 2,000 events a second until the readers are done; a late tick is made up for,
/// unless the readers are too far behind.
async fn flood(app: &App, race: &Race) {
    let (scope, route) = app.route().await;
    let data = RawValue::from_string("\"flood\"".to_owned()).unwrap();
    let message = Message::new(None, data, None).unwrap();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !race.over.load(Ordering::Relaxed) {
        ticks.tick().await;
        if race.head.load(Ordering::Relaxed) > race.slowest() + AHEAD_MAX {
            continue;
        }
        for _ in 0..EVENTS_PER_TICK {
            let appended = app.realtime.publish(&scope, &route, &message).await;
            let head = appended.unwrap().cursor.seq;
            race.head.store(head, Ordering::Relaxed);
        }
    }
}

/// Takes a few events on one transport after the other, always from the last cursor.
async fn wander(alice: Caller<'_>, start: String, race: &Race, turn: usize) {
    let mut cursor = start;
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64 ^ turn as u64;
    for reconnect in 0..RECONNECTS {
        // Xorshift: any spread of lengths will do, and the same in every run.
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let behind = race
            .head
            .load(Ordering::Relaxed)
            .saturating_sub(seq(&cursor));
        let take = usize::try_from(behind + 1 + chance % TAKE_MAX).unwrap();
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
        race.at[turn].store(seq(&cursor), Ordering::Relaxed);
    }
    race.at[turn].store(u64::MAX - AHEAD_MAX, Ordering::Relaxed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnecting_readers_miss_nothing_and_meet_nothing_twice() {
    let app = App::with(|config| {
        config.limits.publishes.burst = std::num::NonZeroU32::MAX;
        config.limits.publish_bytes.burst = std::num::NonZeroU32::MAX;
        // However long it takes on a busy machine, nothing that a reader needs is trimmed.
        config.retention.events = 0;
        // Small, so that readers are often behind the ring and must replay.
        config.ring.events = 16;
    })
    .await;
    let alice = app.alice().await;
    let start = alice.say("0").await;
    let race = Race::default();
    let readers = async {
        let wanders = (0..READERS).map(|turn| wander(alice.clone(), start.clone(), &race, turn));
        join_all(wanders).await;
        race.over.store(true, Ordering::Relaxed);
    };
    join(flood(&app, &race), readers).await;
}
