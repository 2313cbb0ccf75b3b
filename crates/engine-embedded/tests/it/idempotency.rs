//! Idempotency keys beyond what is held exactly, and the day they are remembered for.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use identity::Env;
use store::{IDEMPOTENCY_MS_MIN, Read, StreamKey};

use crate::{
    child::append_number,
    subject::{Engine, engine},
};

/// Enough for several batches of the index and sealed segments.
const EVENTS: u64 = 30_000;

async fn append_all(subject: &Engine, stream: &StreamKey) {
    let log = subject.handle().events();
    // Racing appends may take any order: their numbers are not their seqs.
    stream::iter(1..=EVENTS)
        .for_each_concurrent(512, |number| {
            let log = log.clone();
            async move {
                let appended = append_number(&*log, stream, number).await.unwrap();
                assert!(!appended.duplicate, "{number} is new");
            }
        })
        .await;
}

async fn assert_remembered(subject: &Engine, stream: &StreamKey, when: &str) {
    let log = subject.handle().events();
    for number in (1..=EVENTS).step_by(997) {
        let again = append_number(&*log, stream, number).await.unwrap();
        assert!(again.duplicate, "{number} {when}");
    }
    assert_eq!(log.bounds(stream).await.unwrap().head, EVENTS, "{when}");
}

/// Reads the stream from memory, from the index, and across the two.
async fn assert_whole(subject: &Engine, stream: &StreamKey) {
    let log = subject.handle().events();
    let (mut next, mut after) = (1, None);
    while let Read::Page { events, .. } = log.read(stream, after, 777).await.unwrap() {
        let Some(last) = events.last() else {
            break;
        };
        after = Some(last.cursor);
        for event in events {
            assert_eq!(event.cursor.seq, next);
            next += 1;
        }
    }
    assert_eq!(next, EVENTS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_of_one_stream_are_remembered_for_a_day() {
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let stream = StreamKey::in_scope(&scope, "chat", "th_1");
    append_all(&subject, &stream).await;
    assert_whole(&subject, &stream).await;
    assert_remembered(&subject, &stream, "at once").await;
    subject.reopen().await;
    assert_remembered(&subject, &stream, "after a restart").await;
    assert_whole(&subject, &stream).await;
    subject
        .handle()
        .events()
        .trim(&stream, EVENTS - 10)
        .await
        .unwrap();
    subject
        .world
        .clock
        .advance(Duration::from_millis(IDEMPOTENCY_MS_MIN - 1));
    subject.reopen().await;
    assert_remembered(&subject, &stream, "after almost a day").await;
}
