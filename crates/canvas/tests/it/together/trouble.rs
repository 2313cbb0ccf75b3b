//! A store that fails, loses its answers, or is written by another node.

use std::sync::{Arc, atomic::Ordering};

use store::{Documents, StoreError};
use tenantry_canvas::CanvasError;
use testkit::MemoryEventLog;

use super::{Place, Watched, nodes};
use crate::house::Ground;

/// Whichever call fails: a member whose own lookup failed fails alone; all others stand or fall together.
#[tokio::test]
async fn a_store_that_fails_fails_those_whom_it_concerns_and_they_can_be_sent_again() {
    for failing in 0.. {
        let place = Place::memory().await;
        let before = nodes("before", 5, 0);
        assert!(place.send_all(&before).await.iter().all(Result::is_ok));
        let group = nodes("n", 8, 5);
        place.documents.fail_after(failing);
        let answers = place.send_all(&group).await;
        if place.documents.is_to_fail() {
            assert_eq!(failing, 10, "the head, eight receipts, and one commit");
            return;
        }
        let failed = answers.iter().filter_map(|answer| answer.as_ref().err());
        let failed: Vec<String> = failed
            .map(|error| match error {
                CanvasError::Store(StoreError::Unavailable(why)) => why.clone(),
                other => panic!("call {failing}: {other:?}"),
            })
            .collect();
        assert!(matches!(failed.len(), 1 | 8), "call {failing}: {failed:?}");
        assert!(failed.iter().all(|why| why == "made to fail"));
        assert_eq!(place.rev().await, 5 + 8 - failed.len() as u64);
        let again = place.send_all(&group).await;
        for (first, again) in answers.into_iter().zip(again) {
            let again = again.unwrap();
            assert_eq!(again.duplicate, first.is_ok());
            assert!(first.is_err() || first.unwrap().rev == again.rev);
        }
        assert_eq!(place.log().await.len(), 13);
    }
}

#[tokio::test]
async fn what_was_done_though_its_answer_was_lost_is_found_by_who_asks_again() {
    let place = Place::memory().await;
    let group = nodes("n", 8, 0);
    place.documents.lose_after(0);
    let answers = place.send_all(&group).await;
    for answer in &answers {
        let lost = matches!(answer, Err(CanvasError::Store(StoreError::Unavailable(_))));
        assert!(lost, "{answer:?}");
    }
    let again = place.send_all(&group).await;
    let log = place.log().await;
    for (at, again) in again.into_iter().enumerate() {
        let again = again.unwrap();
        assert!(again.duplicate);
        Place::check(&log, &format!("n{at}"), &again);
    }
    assert_eq!(log.len(), 8);
}

/// A group of which a part was sent to another node as well, which is faster.
#[tokio::test]
async fn who_has_lost_reads_again_and_carries_its_whole_group_out() {
    let place = Place::memory().await;
    let other = place.ground.start();
    let group = nodes("n", 20, 0);
    let theirs = nodes("n", 5, 0);
    let elsewhere = theirs
        .iter()
        .map(|batch| other.submit(&place.scope, &place.key, batch));
    let elsewhere = futures_util::future::join_all(elsewhere);
    let (theirs, ours) = tokio::join!(elsewhere, place.send_all(&group));
    let lost = place.documents.lost.load(Ordering::SeqCst);
    assert!(lost > 0, "nobody was in another's way");
    let log = place.log().await;
    assert_eq!(log.len(), 20);
    let mut new = 0;
    for (at, answer) in theirs.into_iter().enumerate() {
        let answer = answer.unwrap();
        Place::check(&log, &format!("n{at}"), &answer);
        new += usize::from(!answer.duplicate);
    }
    for (at, answer) in ours.into_iter().enumerate() {
        let answer = answer.unwrap();
        Place::check(&log, &format!("n{at}"), &answer);
        new += usize::from(!answer.duplicate);
    }
    assert_eq!(new, 20);
}

/// A node that is always slower is told so in the end, and nothing of it is done.
#[tokio::test(start_paused = true)]
async fn who_always_loses_is_refused() {
    let place = Place::memory().await;
    let stubborn = Arc::new(AlwaysFirst(Arc::clone(&place.documents)));
    let log = Arc::new(MemoryEventLog::default());
    let ground = Ground::over(stubborn, log, testkit::World::new());
    let slow = ground.start();
    let batches = nodes("n", 3, 0);
    let sent = batches
        .iter()
        .map(|batch| slow.submit(&place.scope, &place.key, batch));
    for answer in futures_util::future::join_all(sent).await {
        assert!(matches!(answer, Err(CanvasError::Contended)), "{answer:?}");
    }
    assert_eq!(place.rev().await, 0);
}

/// Another node is faster at every head.
struct AlwaysFirst(Arc<Watched>);

#[async_trait::async_trait]
impl Documents for AlwaysFirst {
    async fn get(&self, key: &store::DocKey) -> Result<Option<store::Document>, StoreError> {
        self.0.get(key).await
    }
    async fn list(
        &self,
        partition: &store::Partition,
        listing: &store::Listing,
    ) -> Result<Vec<store::Document>, StoreError> {
        self.0.list(partition, listing).await
    }
    async fn commit(&self, batch: store::Batch) -> Result<store::Version, store::CommitError> {
        match batch.expectations().first() {
            Some((key, _)) if key.id.ends_with("/head") => {
                Err(store::CommitError::Conflict(key.clone()))
            }
            _ => self.0.commit(batch).await,
        }
    }
}
