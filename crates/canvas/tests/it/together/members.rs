//! Each change of a group has an answer of its own.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use serde_json::json;
use tenantry_canvas::{CanvasError, Elsewise, Mode, Restore, Undoing};

use super::{Place, make, nodes, set};
use crate::house::{batch, elsewhere, identity};

#[tokio::test]
async fn who_is_refused_is_refused_alone() {
    let place = Place::memory().await;
    place
        .send(&batch("first", 0, Mode::Strict, &[make("a"), make("b")]))
        .await
        .unwrap();
    let before = place.documents.heads();
    let huge = json!({"node": "a", "set": {"x": "y".repeat(70_000)}});
    let others_meanwhile = [
        batch("one", 1, Mode::Strict, &[set("a", 1)]),
        batch("strict", 1, Mode::Strict, &[set("b", 2)]),
        batch("rebase", 1, Mode::Rebase, &[set("b", 3)]),
        batch("same", 1, Mode::Rebase, &[set("a", 4)]),
        batch("ahead", 9, Mode::Strict, &[set("a", 5)]),
        batch("first", 1, Mode::Strict, &[set("a", 6)]),
        batch("one", 1, Mode::Strict, &[set("b", 7)]),
        batch("one", 1, Mode::Strict, &[set("a", 1)]),
        batch("again", 1, Mode::Rebase, &[make("a")]),
        batch("bad", 3, Mode::Strict, &[("node.update", huge)]),
        batch("last", 1, Mode::Rebase, &[make("c")]),
    ];
    let mut answers = place.send_all(&others_meanwhile).await.into_iter();
    let mut next = || answers.next().unwrap();
    let one = next().unwrap();
    assert_eq!((one.rev, one.duplicate), (2, false));
    let strict = elsewhere(next());
    assert_eq!(strict.kind, Elsewise::Behind);
    assert!(strict.conflicts.is_empty(), "{strict:?}");
    let rebased = next().unwrap();
    assert_eq!((rebased.rev, rebased.rebased_over), (3, vec![2]));
    let same = elsewhere(next());
    assert_eq!((same.conflicts[0].by_rev, same.conflicts.len()), (2, 1));
    assert_eq!(elsewhere(next()).kind, Elsewise::Ahead);
    for what in ["stored", "staged"] {
        let refused = next();
        let is_conflict = matches!(refused, Err(CanvasError::IdempotencyConflict));
        assert!(is_conflict, "{what}: {refused:?}");
    }
    let repeated = next().unwrap();
    assert_eq!((repeated.rev, repeated.duplicate), (2, true));
    assert_eq!(repeated.effective, one.effective);
    assert_eq!(elsewhere(next()).kind, Elsewise::Behind);
    let bad = next();
    assert!(matches!(bad, Err(CanvasError::CommandInvalid { .. })));
    let last = next().unwrap();
    assert_eq!((last.rev, last.rebased_over), (4, vec![2, 3]));
    assert_eq!(place.documents.heads() - before, 1, "all were one group");
    assert_eq!(place.log().await.len(), 4);
}

#[tokio::test]
async fn the_same_batch_is_carried_out_once_in_a_group_and_after_it() {
    let place = Place::memory().await;
    let one = nodes("n", 1, 0).remove(0);
    for round in 0..3 {
        let many = vec![one.clone(); 20];
        let answers = place.send_all(&many).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let new = answers.iter().filter(|applied| !applied.duplicate).count();
        assert_eq!(new, usize::from(round == 0));
        assert!(answers.iter().all(|applied| applied.rev == 1));
        assert!(
            answers
                .iter()
                .all(|one| one.effective == answers[0].effective)
        );
    }
    assert_eq!(place.documents.heads(), 1);
    assert_eq!(place.log().await.len(), 1);
}

#[tokio::test]
async fn undoing_and_restoring_wait_for_what_they_are_about() {
    let place = Place::memory().await;
    let made = nodes("n", 3, 0);
    let undoing = |of: &str, id: &str| Undoing {
        identity: identity(id),
        batch_id: of.parse().unwrap(),
    };
    // The batch to take back, and the revision to go back to, come just before.
    let (undo, redo) = (undoing("n1", "undo"), undoing("undo", "redo"));
    let restore = Restore {
        identity: identity("restore"),
        rev: 2,
    };
    let (service, scope, key) = (&place.service, &place.scope, &place.key);
    let late = batch("late", 3, Mode::Rebase, &[set("n0", 1)]);
    let (made, undone, redone, restored, late) = tokio::join!(
        place.send_all(&made),
        service.undo(scope, key, &undo),
        service.undo(scope, key, &redo),
        service.restore(scope, key, &restore),
        place.send(&late),
    );
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(undone.unwrap().rev, 4);
    assert_eq!(redone.unwrap().rev, 5);
    let restored = restored.unwrap();
    assert_eq!((restored.rev, restored.epoch), (6, 2));
    let late = elsewhere(late);
    assert_eq!((late.kind, late.recovery.head_rev), (Elsewise::Behind, 6));
    let view = place.service.view(&place.key).await.unwrap();
    assert_eq!((view.rev, view.state.len()), (6, 2));
    let again = place.ground.start().view(&place.key).await.unwrap();
    assert_eq!(again.state_hash, view.state_hash);
    place.log().await;
}

/// A group that is far larger than a batch of the store may be is several.
#[tokio::test]
async fn a_group_is_no_larger_than_a_batch_of_the_store() {
    let place = Place::memory().await;
    let text = "x".repeat(60_000);
    let large = |n: usize| {
        let props = json!({"node": format!("n{n}"), "type": "t", "props": {"a": text, "b": ""}});
        let created = ("node.create", props);
        batch(&format!("b{n}"), 0, Mode::Rebase, &[created])
    };
    let large: Vec<_> = (0..90).map(large).collect();
    let answers = place.send_all(&large).await;
    let revs: Vec<u64> = answers.into_iter().map(|done| done.unwrap().rev).collect();
    assert_eq!(revs, (1..=90).collect::<Vec<_>>());
    let heads = place.documents.heads();
    assert!((3..=30).contains(&heads), "{heads} writes of the head");
    let small = nodes("s", 250, 90);
    let answers = place.send_all(&small).await;
    assert!(answers.iter().all(Result::is_ok));
    let heads = place.documents.heads() - heads;
    assert!((3..=6).contains(&heads), "{heads} writes of the head");
}

/// What a group missed is read once, and not by each of it.
#[tokio::test]
async fn a_group_far_behind_reads_what_it_missed_once() {
    let place = Place::memory().await;
    for part in 0..4 {
        let made = nodes(&format!("p{part}-"), 100, place.rev().await);
        assert!(place.send_all(&made).await.iter().all(Result::is_ok));
    }
    let other = place.ground.start();
    other.view(&place.key).await.unwrap();
    let before = place.documents.lists.load(Ordering::SeqCst);
    let late: Vec<_> = (0..40)
        .map(|n| nodes(&format!("late{n}-"), 1, 30 + n).remove(0))
        .collect();
    let sent = late
        .iter()
        .map(|batch| other.submit(&place.scope, &place.key, batch));
    for (at, answer) in (0..).zip(join_all(sent).await) {
        let answer = answer.unwrap();
        assert_eq!(answer.rev, 401 + at);
        let unseen: Vec<u64> = (31 + at..401 + at).collect();
        assert_eq!(answer.rebased_over, unseen);
    }
    let lists = place.documents.lists.load(Ordering::SeqCst) - before;
    assert!(lists <= 2, "{lists} queries");
    place.log().await;
}
