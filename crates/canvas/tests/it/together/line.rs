//! The line before a canvas is bounded, and who has left it is not waited for.

use std::pin::Pin;

use futures_util::{FutureExt as _, future::join_all};
use serde_json::json;
use tenantry_canvas::{CanvasError, Mode};

use super::{Place, make, nodes};
use crate::house::batch;

/// Lets everything go on that can.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_done() {
    let place = Place::memory().await;
    place.documents.shut().await;
    let batches = nodes("n", 6, 0);
    let mut sent: Vec<_> = batches
        .iter()
        .map(|batch| Box::pin(place.send(batch)))
        .collect();
    // The first is under way, the others wait behind it.
    assert!(sent[0].as_mut().now_or_never().is_none());
    settle().await;
    for waiting in &mut sent[1..] {
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    drop(sent.remove(4));
    drop(sent.remove(2));
    // Who gives up on what is under way may find it done.
    drop(sent.remove(0));
    settle().await;
    place.documents.open();
    let answers = join_all(sent).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let log = place.log().await;
    let done: Vec<_> = log.iter().map(|commit| &commit["batch_id"]).collect();
    assert_eq!(done, ["n0", "n1", "n3", "n5"]);
    let again = place.send(&batches[0]).await.unwrap();
    assert!(again.duplicate && again.rev == 1);
}

#[tokio::test]
async fn a_full_line_refuses_until_there_is_room() {
    let place = Place::memory().await;
    place.documents.shut().await;
    let batches = nodes("n", 1000, 0);
    let mut sent: Vec<Pin<Box<_>>> = Vec::new();
    let mut refused = 0;
    for (at, batch) in batches.iter().enumerate() {
        let mut one = Box::pin(place.send(batch));
        match one.as_mut().now_or_never() {
            None => sent.push(one),
            Some(Err(CanvasError::Crowded)) => refused += 1,
            Some(other) => panic!("{at}: {other:?}"),
        }
        // The first is under way.
        if at == 0 {
            settle().await;
        }
    }
    assert_eq!((sent.len(), refused), (513, 487));
    // Who leaves makes room.
    sent.truncate(300);
    let late = batch("late", 0, Mode::Rebase, &[make("late")]);
    let mut late = Box::pin(place.send(&late));
    assert!(late.as_mut().now_or_never().is_none());
    place.documents.open();
    let answers = join_all(sent).await;
    assert!(answers.iter().all(Result::is_ok));
    late.await.unwrap();
    assert_eq!(place.log().await.len(), 301);
}

#[tokio::test]
async fn a_line_has_so_many_bytes() {
    let place = Place::memory().await;
    place.documents.shut().await;
    let text = "x".repeat(60_000);
    let large = |n: usize| {
        let commands: Vec<_> = (0..4)
            .map(|at| {
                let node = format!("n{n}-{at}");
                (
                    "node.create",
                    json!({"node": node, "type": "t", "props": {"a": text}}),
                )
            })
            .collect();
        batch(&format!("b{n}"), 0, Mode::Rebase, &commands)
    };
    let large: Vec<_> = (0..50).map(large).collect();
    let mut sent: Vec<_> = large
        .iter()
        .map(|batch| Box::pin(place.send(batch)))
        .collect();
    let crowded = sent
        .iter_mut()
        .filter_map(|one| one.as_mut().now_or_never());
    let crowded = crowded
        .filter(|answer| matches!(answer, Err(CanvasError::Crowded)))
        .count();
    // 8 MiB are 34 of them.
    assert_eq!(crowded, 50 - 34);
    let small = batch("small", 0, Mode::Rebase, &[make("small")]);
    let mut small = Box::pin(place.send(&small));
    assert!(small.as_mut().now_or_never().is_none(), "a small one fits");
}
