//! The laws of [`EventLog`].

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::future::join_all;

pub use super::events_tail::{
    law_6a_a_tail_joins_the_past_and_the_present, law_6b_a_slow_tail_misses_nothing,
    law_6c_a_tail_that_cannot_continue_says_so_and_ends,
    law_6d_tails_are_independent_of_each_other,
};
use super::{Subject, soon};
use crate::{
    AppendError, Appended, Bounds, Cursor, EVENT_BYTES_MAX, Epoch, EventLog, GapReason,
    Idempotency, NewEvent, READ_BYTES_MAX, READ_EVENTS_MAX, Read, StoreError, StoredEvent,
    StreamKey,
};

/// One test per law of `EventLog`; `$subject` is an async function that opens a fresh engine.
#[macro_export]
macro_rules! events_contract {
    ($subject:path) => {
        $crate::contract_tests!(
            events,
            $subject,
            [
                law_1_what_was_appended_is_read_once_also_after_a_crash,
                law_2_seqs_rise_by_one_in_the_order_of_acknowledgement,
                law_3a_an_idempotency_key_appends_once,
                law_3b_racing_appends_with_one_key_append_once,
                law_4_pages_have_no_hole_and_are_bounded,
                law_5_a_cursor_that_cannot_be_honoured_is_a_gap,
                law_6a_a_tail_joins_the_past_and_the_present,
                law_6b_a_slow_tail_misses_nothing,
                law_6c_a_tail_that_cannot_continue_says_so_and_ends,
                law_6d_tails_are_independent_of_each_other,
                law_7_trimming_removes_the_oldest_and_nothing_else,
                law_8_streams_are_apart,
                law_9_an_event_over_the_limit_is_refused,
            ]
        );
    };
}

pub(super) type Port = dyn Subject<dyn EventLog>;

pub(super) fn stream(subject: &Port, object: &str) -> StreamKey {
    StreamKey::in_scope(&subject.scopes().one, "contract", object)
}

pub(super) fn event(subject: &Port, body: impl Into<Bytes>) -> NewEvent {
    NewEvent {
        body: body.into(),
        at: subject.now(),
        idempotency: None,
    }
}

fn keyed(subject: &Port, body: &'static str, key: u8, fingerprint: u8) -> NewEvent {
    NewEvent {
        idempotency: Some(Idempotency {
            key: [key; 16],
            fingerprint: [fingerprint; 16],
        }),
        ..event(subject, body)
    }
}

pub(super) async fn append(port: &dyn EventLog, stream: &StreamKey, event: NewEvent) -> Cursor {
    let appended = soon(port.append(stream, event))
        .await
        .expect("an append succeeds");
    assert!(!appended.duplicate, "nothing was appended before");
    appended.cursor
}

pub(super) async fn append_numbers(subject: &Port, stream: &StreamKey, count: u64) {
    let port = subject.port();
    let attempts = (0..count).map(|n| port.append(stream, event(subject, n.to_string())));
    for appended in soon(join_all(attempts)).await {
        appended.expect("an append succeeds");
    }
}

pub(super) async fn bounds(port: &dyn EventLog, stream: &StreamKey) -> Bounds {
    soon(port.bounds(stream)).await.expect("bounds succeed")
}

async fn page(
    port: &dyn EventLog,
    stream: &StreamKey,
    after: Option<Cursor>,
    limit: usize,
) -> Vec<StoredEvent> {
    let answer = soon(port.read(stream, after, limit)).await;
    let Ok(Read::Page { events, .. }) = answer else {
        unreachable!("a page was expected: {answer:?}");
    };
    events
}

/// Everything that is retained, read page by page.
pub(super) async fn read_all(port: &dyn EventLog, stream: &StreamKey) -> Vec<StoredEvent> {
    let mut events: Vec<StoredEvent> = Vec::new();
    loop {
        let after = events.last().map(|event| event.cursor);
        let next = page(port, stream, after, READ_EVENTS_MAX).await;
        let Some(first) = next.first() else {
            return events;
        };
        let goes_on = after.is_none_or(|after| first.cursor.seq > after.seq);
        assert!(goes_on, "{} after {after:?}", first.cursor);
        events.extend(next);
    }
}

fn seqs(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.cursor.seq).collect()
}

/// Law 1. Appends on several streams at once, restarts, and finds each event once.
pub async fn law_1_what_was_appended_is_read_once_also_after_a_crash(subject: &Port) {
    let streams: Vec<StreamKey> = (0..5)
        .map(|n| stream(subject, &format!("law_1_{n}")))
        .collect();
    let port = subject.port();
    let mut acked = Vec::new();
    for round in 0..20 {
        let attempts = streams
            .iter()
            .map(|stream| append(&*port, stream, event(subject, format!("{stream} {round}"))));
        acked.push(join_all(attempts).await);
    }
    drop(port);
    for reopened in [false, true] {
        if reopened {
            subject.reopen().await;
        }
        let port = subject.port();
        for (at, stream) in streams.iter().enumerate() {
            let expected: Vec<StoredEvent> = acked
                .iter()
                .enumerate()
                .filter_map(|(round, cursors)| {
                    cursors.get(at).map(|cursor| StoredEvent {
                        cursor: *cursor,
                        body: format!("{stream} {round}").into(),
                    })
                })
                .collect();
            assert_eq!(read_all(&*port, stream).await, expected);
            assert_eq!(bounds(&*port, stream).await.head, 20);
        }
    }
}

/// Law 2. Appends to one stream from many tasks.
pub async fn law_2_seqs_rise_by_one_in_the_order_of_acknowledgement(subject: &Port) {
    const TASKS: usize = 8;
    const EACH: usize = 25;
    let stream = stream(subject, "law_2");
    let port = subject.port();
    let tasks = (0..TASKS).map(|task| {
        let (port, stream) = (Arc::clone(&port), stream.clone());
        let events: Vec<NewEvent> = (0..EACH)
            .map(|n| event(subject, format!("{task}.{n}")))
            .collect();
        tokio::spawn(async move {
            let mut acked = Vec::new();
            for event in events {
                let body = event.body.clone();
                acked.push((append(&*port, &stream, event).await.seq, body));
            }
            acked
        })
    });
    let mut all = BTreeMap::new();
    for acked in soon(join_all(tasks)).await {
        let acked = acked.expect("no task panics");
        assert!(acked.is_sorted_by(|a, b| a.0 < b.0), "one task's seqs rise");
        all.extend(acked);
    }
    let expected: Vec<u64> = (1..=(TASKS * EACH) as u64).collect();
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), expected);
    let stored = read_all(&*port, &stream).await;
    assert_eq!(seqs(&stored), expected);
    for event in stored {
        assert_eq!(all.get(&event.cursor.seq), Some(&event.body));
    }
}

/// Law 3. Repeats appends, with the same and with another fingerprint, also after a restart and a trim.
pub async fn law_3a_an_idempotency_key_appends_once(subject: &Port) {
    let (stream_a, stream_b) = (stream(subject, "law_3a"), stream(subject, "law_3a_other"));
    let first = append(&*subject.port(), &stream_a, keyed(subject, "x", 1, 1)).await;
    append(&*subject.port(), &stream_a, event(subject, "between")).await;
    let second = append(&*subject.port(), &stream_a, keyed(subject, "y", 2, 1)).await;
    for step in ["at once", "after a restart", "after a trim", "after both"] {
        if step == "after a trim" {
            soon(subject.port().trim(&stream_a, 2))
                .await
                .expect("a trim succeeds");
        } else if step != "at once" {
            subject.reopen().await;
        }
        let port = subject.port();
        for (key, cursor) in [(1, first), (2, second)] {
            let repeated = soon(port.append(&stream_a, keyed(subject, "again", key, 1))).await;
            let expected = Appended {
                cursor,
                duplicate: true,
            };
            assert_eq!(repeated, Ok(expected), "{step}");
            let other = soon(port.append(&stream_a, keyed(subject, "other", key, 9))).await;
            assert_eq!(other, Err(AppendError::IdempotencyConflict), "{step}");
        }
        assert_eq!(bounds(&*port, &stream_a).await.head, 3, "{step}");
    }
    let elsewhere = append(&*subject.port(), &stream_b, keyed(subject, "x", 1, 1)).await;
    assert_eq!(elsewhere.seq, 1, "a key belongs to its stream");
}

/// Law 3. Lets the same append race with itself, and with another under its key.
pub async fn law_3b_racing_appends_with_one_key_append_once(subject: &Port) {
    let stream = stream(subject, "law_3b");
    let port = subject.port();
    for round in 1..=20_u8 {
        let attempts = (0..10_u8).map(|racer| {
            let (port, stream) = (Arc::clone(&port), stream.clone());
            let event = keyed(subject, "raced", round, racer % 2);
            tokio::spawn(async move { port.append(&stream, event).await })
        });
        let outcomes: Vec<_> = soon(join_all(attempts))
            .await
            .into_iter()
            .map(|outcome| outcome.expect("no racer panics"))
            .collect();
        let cursor = Cursor {
            seq: u64::from(round),
            epoch: bounds(&*port, &stream).await.epoch,
        };
        let count = |expected: Result<Appended, AppendError>| {
            outcomes
                .iter()
                .filter(|outcome| **outcome == expected)
                .count()
        };
        let appended = |duplicate| count(Ok(Appended { cursor, duplicate }));
        assert_eq!(appended(false), 1, "{outcomes:?}");
        assert_eq!(appended(true), 4, "{outcomes:?}");
        assert_eq!(
            count(Err(AppendError::IdempotencyConflict)),
            5,
            "{outcomes:?}"
        );
    }
    assert_eq!(read_all(&*port, &stream).await.len(), 20);
}

/// Law 4. Reads in pages of several sizes, and pages that end because of their bytes.
pub async fn law_4_pages_have_no_hole_and_are_bounded(subject: &Port) {
    let small = stream(subject, "law_4");
    append_numbers(subject, &small, 1_234).await;
    let port = subject.port();
    for limit in [0, 1, 100, 999, READ_EVENTS_MAX, usize::MAX] {
        let clamped = limit.clamp(1, READ_EVENTS_MAX);
        let first = page(&*port, &small, None, limit).await;
        assert_eq!(seqs(&first), (1..=clamped as u64).collect::<Vec<_>>());
        let epoch = bounds(&*port, &small).await.epoch;
        let after = Cursor { epoch, seq: 1_200 };
        let last = page(&*port, &small, Some(after), limit).await;
        let until = (1_200 + clamped as u64).min(1_234);
        assert_eq!(seqs(&last), (1_201..=until).collect::<Vec<_>>());
    }
    assert_eq!(
        seqs(&read_all(&*port, &small).await),
        (1..=1_234).collect::<Vec<_>>()
    );

    let large = stream(subject, "law_4_large");
    let body = Bytes::from(vec![b'x'; EVENT_BYTES_MAX]);
    let count = 2 * READ_BYTES_MAX / EVENT_BYTES_MAX;
    for _ in 0..count {
        append(&*port, &large, event(subject, body.clone())).await;
    }
    let first = page(&*port, &large, None, READ_EVENTS_MAX).await;
    let bytes: usize = first.iter().map(|event| event.body.len()).sum();
    assert!(
        bytes < READ_BYTES_MAX + EVENT_BYTES_MAX,
        "{bytes} bytes in a page"
    );
    assert_eq!(read_all(&*port, &large).await.len(), count);
}

/// Law 5. Reads with cursors that are too old, from another epoch and from the future.
pub async fn law_5_a_cursor_that_cannot_be_honoured_is_a_gap(subject: &Port) {
    let stream = stream(subject, "law_5");
    let port = subject.port();
    let empty = bounds(&*port, &stream).await;
    assert_eq!((empty.oldest, empty.head), (1, 0));
    assert_ne!(empty.epoch, Epoch(0), "an epoch is never 0");
    append_numbers(subject, &stream, 10).await;
    soon(port.trim(&stream, 4)).await.expect("a trim succeeds");
    let held = Bounds {
        epoch: empty.epoch,
        oldest: 5,
        head: 10,
    };
    assert_eq!(bounds(&*port, &stream).await, held);
    let at = |seq| Cursor {
        epoch: held.epoch,
        seq,
    };
    let foreign = Cursor {
        epoch: Epoch(held.epoch.0.wrapping_add(1)),
        seq: 7,
    };
    let gaps = [
        (at(0), GapReason::Evicted),
        (at(3), GapReason::Evicted),
        (at(11), GapReason::Future),
        (at(u64::MAX), GapReason::Future),
        (foreign, GapReason::UnknownEpoch),
    ];
    for (cursor, reason) in gaps {
        let answer = soon(port.read(&stream, Some(cursor), 10)).await;
        let bounds = held;
        assert_eq!(answer, Ok(Read::Gap { reason, bounds }), "{cursor}");
    }
    for (after, expected) in [
        (None, 5..11),
        (Some(at(4)), 5..11),
        (Some(at(9)), 10..11),
        (Some(at(10)), 11..11),
    ] {
        let events = page(&*port, &stream, after, 100).await;
        assert_eq!(seqs(&events), expected.collect::<Vec<_>>());
    }
}

/// Law 7. Trims a part, too little, everything and more, restarts, and appends on.
pub async fn law_7_trimming_removes_the_oldest_and_nothing_else(subject: &Port) {
    let stream = stream(subject, "law_7");
    append_numbers(subject, &stream, 30).await;
    for (up_to, oldest) in [(0, 1), (10, 11), (5, 11), (29, 30), (u64::MAX, 31)] {
        soon(subject.port().trim(&stream, up_to))
            .await
            .expect("a trim succeeds");
        for reopened in [false, true] {
            if reopened {
                subject.reopen().await;
            }
            let port = subject.port();
            let held = bounds(&*port, &stream).await;
            assert_eq!((held.oldest, held.head), (oldest, 30));
            let left: Vec<u64> = (oldest..=30).collect();
            assert_eq!(seqs(&read_all(&*port, &stream).await), left);
        }
    }
    let port = subject.port();
    let next = append(&*port, &stream, event(subject, "next")).await;
    assert_eq!(next.seq, 31, "the head is never forgotten");
    let left = read_all(&*port, &stream).await;
    assert_eq!(seqs(&left), [31]);

    let unknown = self::stream(subject, "law_7_unknown");
    soon(port.trim(&unknown, 5))
        .await
        .expect("there is nothing to trim");
    let first = append(&*port, &unknown, event(subject, "first")).await;
    assert_eq!(first.seq, 1);
}

/// Law 8. Keeps streams of one name in several scopes, and trims one.
pub async fn law_8_streams_are_apart(subject: &Port) {
    let scopes = subject.scopes();
    let streams = [
        StreamKey::in_scope(&scopes.one, "chat", "th_1"),
        StreamKey::in_scope(&scopes.one, "chat", "th_10"),
        StreamKey::in_scope(&scopes.one, "tool", "th_1"),
        StreamKey::in_scope(&scopes.other_tenant, "chat", "th_1"),
        StreamKey::in_scope(&scopes.other_env, "chat", "th_1"),
    ];
    let port = subject.port();
    for stream in &streams {
        assert_eq!(bounds(&*port, stream).await.head, 0, "{stream} leaks");
        for n in 1..=3 {
            let body = format!("{stream} {n}");
            assert_eq!(append(&*port, stream, event(subject, body)).await.seq, n);
        }
    }
    let [trimmed, others @ ..] = &streams;
    soon(port.trim(trimmed, 3)).await.expect("a trim succeeds");
    assert!(read_all(&*port, trimmed).await.is_empty());
    for stream in others {
        let bodies: Vec<Bytes> = read_all(&*port, stream)
            .await
            .into_iter()
            .map(|event| event.body)
            .collect();
        let expected: Vec<Bytes> = (1..=3).map(|n| format!("{stream} {n}").into()).collect();
        assert_eq!(bodies, expected);
    }
}

/// Law 9. Appends an event of the largest size, and one a byte larger.
pub async fn law_9_an_event_over_the_limit_is_refused(subject: &Port) {
    let stream = stream(subject, "law_9");
    let port = subject.port();
    let refused = soon(port.append(&stream, event(subject, vec![0; EVENT_BYTES_MAX + 1]))).await;
    assert!(
        matches!(refused, Err(AppendError::Store(StoreError::Limit(_)))),
        "{refused:?}"
    );
    assert_eq!(bounds(&*port, &stream).await.head, 0);
    let largest = append(&*port, &stream, event(subject, vec![1; EVENT_BYTES_MAX])).await;
    assert_eq!(largest.seq, 1);
    assert_eq!(append(&*port, &stream, event(subject, "")).await.seq, 2);
}
