//! Logs that are followed: what comes, for whom, and what ends it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all};
use identity::{Clock, Env, Timestamp};
use serde_json::Value;
use store::{
    AppendError, Cursor, Epoch, EventLog, GapReason, NewEvent, Read, StoreError, StoredEvent,
    StreamKey, Tail, TailError,
};
use tenantry_audit::service::Audit;
use testkit::MemoryEventLog;

use super::house::{House, event, put};
use crate::query::desk::{Desk, deed};

const PATIENCE: Duration = Duration::from_secs(20);

/// The log over an engine that can be followed.
async fn opened(house: &House) -> Arc<Audit> {
    let events = Arc::new(MemoryEventLog::default());
    let vault = Arc::clone(&house.vault);
    let audit = house.open_engine(vault, events, house.spool()).await;
    audit.unwrap()
}

async fn more(tail: &mut Tail) -> Option<Result<Vec<StoredEvent>, TailError>> {
    let more = tokio::time::timeout(PATIENCE, tail.next()).await;
    more.expect("something comes, or the end")
}

async fn told(tail: &mut Tail, count: usize) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(more(tail).await.unwrap().unwrap());
    }
    events
}

fn json(event: &StoredEvent) -> Value {
    serde_json::from_slice(&event.body).unwrap()
}

fn seqs(events: &[StoredEvent]) -> Vec<u64> {
    for event in events {
        assert_eq!(json(event)["seq"], event.cursor.seq);
    }
    events.iter().map(|event| event.cursor.seq).collect()
}

async fn page(
    logs: &Arc<dyn EventLog>,
    stream: &StreamKey,
    after: Option<Cursor>,
) -> Vec<StoredEvent> {
    match logs.read(stream, after, 1000).await.unwrap() {
        Read::Page { events, .. } => events,
        gap @ Read::Gap { .. } => panic!("{gap:?}"),
    }
}

async fn fill(audit: &Arc<Audit>, count: usize) {
    for n in 0..count {
        put(audit, event("t_a", Env::Dev, "u_1", n)).await;
    }
}

#[tokio::test]
async fn a_log_is_followed_from_before_its_first_record() {
    let house = House::new();
    let audit = opened(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    let (logs, stream) = (audit.as_json(), audit.stream(&scope));
    let empty = logs.bounds(&stream).await.unwrap();
    assert_eq!((empty.oldest, empty.head), (1, 0));
    assert_eq!(page(&logs, &stream, None).await, []);
    let mut tail = logs.tail(&stream, empty.at_head()).await.unwrap();
    put(&audit, event("t_b", Env::Dev, "u_1", 0)).await;
    put(&audit, event("t_a", Env::Prod, "u_1", 0)).await;
    fill(&audit, 3).await;
    let events = told(&mut tail, 3).await;
    assert_eq!(seqs(&events), [1, 2, 3]);
    for (n, event) in events.iter().map(json).enumerate() {
        assert_eq!(
            (&event["tenant_id"], &event["env"]),
            (&"t_a".into(), &"dev".into())
        );
        assert_eq!(event["metadata"]["n"], n);
        assert_eq!(event["actor"]["id"], "u_1");
        assert_eq!(event["personal"]["email"], "u_1@example.test");
    }
    // Read again, and integrated meanwhile, it is the same.
    assert_eq!(page(&logs, &stream, None).await, events);
    audit.turn().await;
    assert_eq!(page(&logs, &stream, None).await, events);
    assert_eq!(
        page(&logs, &stream, Some(events[1].cursor)).await,
        events[2..]
    );
    assert_eq!(page(&logs, &stream, Some(events[2].cursor)).await, []);
}

#[tokio::test]
async fn a_tail_that_is_far_behind_brings_everything_once() {
    let house = House::new();
    let audit = opened(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    let (logs, stream) = (audit.as_json(), audit.stream(&scope));
    fill(&audit, 5).await;
    let second = page(&logs, &stream, None).await[1].cursor;
    let mut tail = logs.tail(&stream, second).await.unwrap();
    assert_eq!(seqs(&told(&mut tail, 3).await), [3, 4, 5]);
    let count = store::READ_EVENTS_MAX + 200;
    let appends = (0..count).map(|n| put(&audit, event("t_a", Env::Dev, "u_1", n)));
    join_all(appends).await;
    audit.turn().await;
    let events = told(&mut tail, count).await;
    assert_eq!(seqs(&events), (6..6 + count as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cursor_that_cannot_be_honoured_is_told() {
    let house = House::new();
    let audit = opened(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    let (logs, stream) = (audit.as_json(), audit.stream(&scope));
    fill(&audit, 2).await;
    let head = logs.bounds(&stream).await.unwrap().at_head();
    let other_life = Epoch(head.epoch.0 + 1);
    for (cursor, expected) in [
        (Cursor { seq: 3, ..head }, GapReason::Future),
        (
            Cursor {
                epoch: other_life,
                ..head
            },
            GapReason::UnknownEpoch,
        ),
    ] {
        let read = logs.read(&stream, Some(cursor), 10).await.unwrap();
        assert!(matches!(read, Read::Gap { reason, .. } if reason == expected));
        let mut tail = logs.tail(&stream, cursor).await.unwrap();
        let end = more(&mut tail).await;
        assert!(matches!(end, Some(Err(TailError::Gap(reason, _))) if reason == expected));
        assert_eq!(more(&mut tail).await, None);
    }
}

/// Retention says what goes before the engine has removed it, and nobody is shown that.
#[tokio::test]
async fn what_retention_has_removed_is_a_gap() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut desk = Desk::new().await;
    let put = async |desk: &Desk, n: usize| {
        let (trace, now) = (format!("req-{n}"), Clock::now(&*desk.world.clock));
        desk.put(deed("u_1", "a.do", "th_1", &trace, now)).await;
    };
    for n in 0..100 {
        put(&desk, n).await;
    }
    desk.audit.turn().await;
    desk.world.clock.advance(2 * DAY);
    put(&desk, 100).await;
    desk.audit.turn().await;
    desk.count.no_trims.store(true, Ordering::SeqCst);
    desk.retention = Some(DAY.try_into().unwrap());
    desk.reopen().await;
    desk.audit.turn().await;
    let oldest = desk.audit.oldest(&desk.scope).await.unwrap().get();
    let (logs, stream) = (desk.audit.as_json(), desk.audit.stream(&desk.scope));
    let bounds = logs.bounds(&stream).await.unwrap();
    assert!(oldest > 1);
    assert_eq!((bounds.oldest, bounds.head), (oldest, 101));
    assert_eq!(
        seqs(&page(&logs, &stream, None).await),
        (oldest..=101).collect::<Vec<_>>()
    );
    let gone = Cursor {
        seq: oldest - 2,
        ..bounds.at_head()
    };
    let read = logs.read(&stream, Some(gone), 10).await.unwrap();
    let reason = GapReason::Evicted;
    assert_eq!(read, Read::Gap { reason, bounds });
    let mut tail = logs.tail(&stream, gone).await.unwrap();
    assert_eq!(
        more(&mut tail).await,
        Some(Err(TailError::Gap(reason, bounds)))
    );
    let mut tail = logs.tail(&stream, bounds.before_oldest()).await.unwrap();
    assert_eq!(seqs(&told(&mut tail, 1).await)[0], oldest);
}

/// Whoever keeps what a tail brought is told to read it again, in every environment.
#[tokio::test]
async fn an_erasure_ends_the_tails_of_its_tenant_and_no_other() {
    let house = House::new();
    let audit = opened(&house).await;
    let logs = audit.as_json();
    let mut tails = Vec::new();
    for (tenant, env) in [("t_a", Env::Dev), ("t_a", Env::Prod), ("t_b", Env::Dev)] {
        put(&audit, event(tenant, env, "u_1", 0)).await;
        let stream = audit.stream(&house.scope(tenant, env).await);
        let begin = logs.bounds(&stream).await.unwrap().before_oldest();
        let mut tail = logs.tail(&stream, begin).await.unwrap();
        let first = told(&mut tail, 1).await.remove(0);
        assert_eq!(json(&first)["actor"]["id"], "u_1");
        tails.push((stream, begin, tail));
    }
    let scope = house.scope("t_a", Env::Dev).await;
    audit.erase(&scope, &"u_1".parse().unwrap()).await.unwrap();
    let (foreign, begin, mut tail) = tails.pop().unwrap();
    for (stream, begin, mut tail) in tails {
        let end = more(&mut tail).await;
        assert!(matches!(end, Some(Err(TailError::Gap(..)))), "{end:?}");
        assert_eq!(more(&mut tail).await, None);
        let again = page(&logs, &stream, Some(begin)).await;
        let first = json(&again[0]);
        assert_eq!(first["actor"].get("id"), None);
        assert_eq!(
            first["erased"],
            serde_json::json!(["actor.id", "personal.email"])
        );
    }
    put(&audit, event("t_b", Env::Dev, "u_1", 1)).await;
    assert_eq!(seqs(&told(&mut tail, 1).await), [2]);
    let kept = json(&page(&logs, &foreign, Some(begin)).await[0]);
    assert_eq!(kept["personal"]["email"], "u_1@example.test");
}

#[tokio::test]
async fn a_log_to_follow_is_not_written_and_is_no_other_stream() {
    let house = House::new();
    let audit = opened(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    let (logs, stream) = (audit.as_json(), audit.stream(&scope));
    let event = NewEvent {
        body: Bytes::from_static(b"{}"),
        at: Timestamp::from_unix_ms(0),
        idempotency: None,
    };
    let refused = logs.append(&stream, event).await.unwrap_err();
    assert!(matches!(
        refused,
        AppendError::Store(StoreError::ReadOnly(_))
    ));
    let refused = logs.trim(&stream, 1).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly(_)));
    for other in [
        StreamKey::in_scope(&scope, "chat", "log"),
        StreamKey::in_scope(&scope, "audit", "log/log"),
    ] {
        let refused = logs.bounds(&other).await.unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt(_)));
        assert!(
            logs.tail(
                &other,
                Cursor {
                    epoch: Epoch(0),
                    seq: 0
                }
            )
            .await
            .is_err()
        );
    }
}

/// What was altered is not told as if it were not.
#[tokio::test]
async fn a_record_that_was_altered_is_not_told() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house.scope("t_a", Env::Dev).await;
    let (logs, stream) = (audit.as_json(), audit.stream(&scope));
    fill(&audit, 3).await;
    audit.turn().await;
    house.vault.alter(|held| {
        let bodies = &mut held.streams.get_mut(&stream).unwrap().events;
        let first = bodies[&1].clone();
        bodies.insert(2, first);
    });
    let read = logs.read(&stream, None, 10).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
    assert!(audit.frozen().is_some());
}
