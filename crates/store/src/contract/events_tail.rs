//! Law 6 of [`EventLog`](crate::EventLog): tails.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};

use super::{
    events::{Port, append, append_numbers, bounds, event, stream},
    soon,
};
use crate::{Cursor, Epoch, GapReason, StoredEvent, Tail, TailError};

async fn next(tail: &mut Tail) -> Result<Vec<StoredEvent>, TailError> {
    soon(tail.next())
        .await
        .expect("a tail ends only after an error")
}

/// Follows `tail` until it has seen `last`, and checks that every seq from `first` came once, in order.
async fn follow(tail: &mut Tail, first: u64, last: u64) {
    let mut expected = first;
    while expected <= last {
        let events = next(tail).await.expect("the tail goes on");
        assert!(!events.is_empty(), "an item holds events");
        for event in events {
            assert_eq!(event.cursor.seq, expected);
            expected += 1;
        }
    }
}

/// Law 6. Starts a tail in the past while others append, and from the head.
pub async fn law_6a_a_tail_joins_the_past_and_the_present(subject: &Port) {
    let stream = stream(subject, "law_6a");
    append_numbers(subject, &stream, 50).await;
    let port = subject.port();
    let held = bounds(&*port, &stream).await;
    let from = |seq| Cursor {
        seq,
        ..held.at_head()
    };
    let mut tails = Vec::new();
    for after in [0, 10, 49, 50] {
        let tail = soon(port.tail(&stream, from(after))).await;
        tails.push((after, tail.expect("a tail starts")));
    }
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (port, stream) = (Arc::clone(&port), stream.clone());
            let new: Vec<_> = (0..100).map(|n| event(subject, n.to_string())).collect();
            tokio::spawn(async move {
                for event in new {
                    append(&*port, &stream, event).await;
                }
            })
        })
        .collect();
    let late = soon(port.tail(&stream, from(20))).await;
    tails.push((20, late.expect("a tail starts amid appends")));
    for (after, mut tail) in tails {
        follow(&mut tail, after + 1, 450).await;
        assert!(
            tail.next().now_or_never().is_none(),
            "nothing more was appended"
        );
    }
    for writer in writers {
        soon(writer).await.expect("no writer panics");
    }
}

/// Law 6. Appends far more than a tail may hold before it is read.
pub async fn law_6b_a_slow_tail_misses_nothing(subject: &Port) {
    let stream = stream(subject, "law_6b");
    let port = subject.port();
    let held = bounds(&*port, &stream).await;
    let mut tail = soon(port.tail(&stream, held.at_head()))
        .await
        .expect("a tail starts on an empty stream");
    append(&*port, &stream, event(subject, "first")).await;
    follow(&mut tail, 1, 1).await;
    let mut head = 1;
    for unread in [500, 0, 2_000] {
        append_numbers(subject, &stream, 3_000).await;
        head += 3_000;
        follow(&mut tail, head - 2_999, head - unread).await;
        append_numbers(subject, &stream, 10).await;
        head += 10;
        follow_rest(&mut tail, head).await;
    }
}

/// Follows to `last` from wherever the tail is, and checks that the seqs are without a hole.
async fn follow_rest(tail: &mut Tail, last: u64) {
    let mut reached = None;
    while reached != Some(last) {
        for event in next(tail).await.expect("the tail goes on") {
            let seq = event.cursor.seq;
            assert!(
                reached.is_none_or(|reached| seq == reached + 1),
                "{seq} after {reached:?}"
            );
            reached = Some(seq);
        }
    }
}

/// Law 6. Tails from cursors that cannot be honoured, and past events that are trimmed.
pub async fn law_6c_a_tail_that_cannot_continue_says_so_and_ends(subject: &Port) {
    let stream = stream(subject, "law_6c");
    append_numbers(subject, &stream, 10).await;
    let port = subject.port();
    soon(port.trim(&stream, 5)).await.expect("a trim succeeds");
    let held = bounds(&*port, &stream).await;
    let at = |seq| Cursor {
        seq,
        ..held.at_head()
    };
    let foreign = Cursor {
        epoch: Epoch(held.epoch.0 ^ 1),
        seq: 8,
    };
    for (cursor, reason) in [
        (at(2), GapReason::Evicted),
        (at(11), GapReason::Future),
        (foreign, GapReason::UnknownEpoch),
    ] {
        let mut tail = soon(port.tail(&stream, cursor))
            .await
            .expect("the gap is in the tail");
        assert_eq!(next(&mut tail).await, Err(TailError::Gap(reason, held)));
        assert!(
            soon(tail.next()).await.is_none(),
            "a tail ends after its gap"
        );
    }
    let mut tail = soon(port.tail(&stream, at(5)))
        .await
        .expect("a tail starts");
    follow(&mut tail, 6, 10).await;
    append_numbers(subject, &stream, 5_000).await;
    soon(port.trim(&stream, 5_000))
        .await
        .expect("a trim succeeds");
    let mut expected = 11;
    loop {
        match next(&mut tail).await {
            Ok(events) => {
                for event in events {
                    assert_eq!(event.cursor.seq, expected, "a hole is a gap, never silence");
                    expected += 1;
                }
                if expected > 5_010 {
                    return;
                }
            }
            Err(gap) => {
                let bounds = bounds(&*port, &stream).await;
                assert_eq!(gap, TailError::Gap(GapReason::Evicted, bounds));
                assert!(
                    soon(tail.next()).await.is_none(),
                    "a tail ends after its gap"
                );
                return;
            }
        }
    }
}

/// Law 6. Follows several streams several times, and drops some of the tails.
pub async fn law_6d_tails_are_independent_of_each_other(subject: &Port) {
    let streams = [stream(subject, "law_6d"), stream(subject, "law_6d_other")];
    let port = subject.port();
    let mut tails = Vec::new();
    for stream in &streams {
        let head = bounds(&*port, stream).await.at_head();
        for _ in 0..6 {
            let tail = soon(port.tail(stream, head)).await;
            tails.push(tail.expect("a tail starts"));
        }
    }
    for stream in &streams {
        append_numbers(subject, stream, 5).await;
    }
    let mut at = 0;
    tails.retain(|_| {
        at += 1;
        at % 2 == 0
    });
    for tail in &mut tails {
        follow(tail, 1, 5).await;
    }
    for stream in &streams {
        append_numbers(subject, stream, 5).await;
    }
    for tail in &mut tails {
        follow(tail, 6, 10).await;
    }
}
