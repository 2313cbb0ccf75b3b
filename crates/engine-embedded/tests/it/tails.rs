//! Many tails, closing, and what a tail is told at the end.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all};
use identity::Env;
use store::{StoreError, StreamKey, Tail, TailError};

use crate::{child::append_number, subject::engine};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_are_followed_at_once() {
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let log = subject.handle().events();
    let streams: Vec<StreamKey> = (0..1_000)
        .map(|n| StreamKey::in_scope(&scope, "chat", &format!("th_{n}")))
        .collect();
    let mut followers = Vec::new();
    for stream in &streams {
        let start = log.bounds(stream).await.unwrap().at_head();
        let tail = log.tail(stream, start).await.unwrap();
        followers.push(tokio::spawn(follow(tail)));
    }
    for number in 1..=20 {
        join_all(
            streams
                .iter()
                .map(|stream| append_number(&*log, stream, number)),
        )
        .await;
    }
    for follower in tokio::time::timeout(PATIENCE, join_all(followers))
        .await
        .unwrap()
    {
        follower.unwrap();
    }
}

/// Follows twenty numbered events from the start of a stream.
async fn follow(mut tail: Tail) {
    let mut seen = 0;
    while seen < 20 {
        for event in tail.next().await.unwrap().unwrap() {
            assert_eq!(event.cursor.seq, seen + 1);
            assert_eq!(event.body, event.cursor.seq.to_string());
            seen += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_tails_and_refuses_later_calls() {
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let stream = StreamKey::in_scope(&scope, "chat", "th_1");
    let log = subject.handle().events();
    append_number(&*log, &stream, 1).await.unwrap();
    let head = log.bounds(&stream).await.unwrap().at_head();
    let mut tail = log.tail(&stream, head).await.unwrap();
    append_number(&*log, &stream, 2).await.unwrap();
    let waiting = append_number(&*log, &stream, 3);
    let (waited, ()) = tokio::join!(waiting, subject.close());
    if let Ok(appended) = waited {
        assert_eq!(appended.cursor.seq, 3);
    }
    let end = tokio::time::timeout(PATIENCE, async {
        loop {
            match tail.next().await.expect("an end is said") {
                Ok(events) => assert!(!events.is_empty()),
                Err(end) => break end,
            }
        }
    });
    let end = end.await.unwrap();
    assert!(
        matches!(end, TailError::Store(StoreError::Unavailable(_))),
        "{end:?}"
    );
    assert!(tail.next().await.is_none());
    for refused in [
        append_number(&*log, &stream, 4).await.is_err(),
        log.bounds(&stream).await.is_err(),
        log.read(&stream, None, 1).await.is_err(),
    ] {
        assert!(refused, "a closed engine answers nothing");
    }
    let reopened = crate::subject::open(subject.folder(), &subject.world);
    assert!(reopened.events().bounds(&stream).await.unwrap().head >= 2);
}
