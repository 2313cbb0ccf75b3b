//! Batches: once, in order, or not at all.

use std::num::NonZeroU32;

use realtime::RealtimeError;
use serde_json::json;
use store::Quota;
use tenantry_canvas::{CanvasError, CommandBatch, Elsewise, Mode, Sent, Way};

use crate::house::{House, batch, canvas, elsewhere, identity, sent, try_batch};

fn make(node: &str) -> (&'static str, serde_json::Value) {
    (
        "node.create",
        json!({"node": node, "type": "t", "props": {"x": 1}}),
    )
}

fn set(node: &str, name: &str) -> (&'static str, serde_json::Value) {
    ("node.update", json!({"node": node, "set": {name: 2}}))
}

#[tokio::test]
async fn a_batch_is_carried_out_once_however_often_it_is_sent() {
    let house = House::new().await;
    let first = batch("b1", 0, Mode::Strict, &[make("a"), make("b")]);
    let done = house.send(&first).await.unwrap();
    assert_eq!((done.rev, done.epoch, done.duplicate), (1, 1, false));
    house
        .one("b2", "node.create", json!({"node": "c", "type": "t"}))
        .await;
    let other_node = house.ground.start();
    for again in 0..5 {
        let service = if again % 2 == 0 {
            &house.service
        } else {
            &other_node
        };
        let known = service
            .submit(&house.scope, &house.key, &first)
            .await
            .unwrap();
        assert!(known.duplicate);
        assert_eq!((known.rev, known.state_hash), (done.rev, done.state_hash));
        assert_eq!(known.effective, done.effective);
    }
    assert_eq!(house.service.view(&house.key).await.unwrap().rev, 2);
}

#[tokio::test]
async fn the_same_id_for_another_batch_is_a_conflict() {
    let house = House::new().await;
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a")]))
        .await
        .unwrap();
    for other in [
        batch("b1", 0, Mode::Strict, &[make("b")]),
        batch("b1", 1, Mode::Strict, &[make("a")]),
        batch("b1", 0, Mode::Rebase, &[make("a")]),
    ] {
        let refused = house.send(&other).await;
        assert!(
            matches!(refused, Err(CanvasError::IdempotencyConflict)),
            "{refused:?}"
        );
    }
    // Spaces are no difference; another user's batches are others.
    let spaced = Sent {
        args: serde_json::from_str(r#"{ "type":"t", "props":{"x": 1.0}, "node" : "a" }"#).unwrap(),
        ..sent(0, "node.create", &json!({}))
    };
    let spaced = CommandBatch::new(identity("b1"), 0, None, Mode::Strict, vec![spaced]).unwrap();
    assert!(house.send(&spaced).await.unwrap().duplicate);
    let other = house.ground.scope("u_2").await;
    let theirs = batch("b1", 1, Mode::Strict, &[make("b")]);
    let made = house
        .service
        .submit(&other, &house.key, &theirs)
        .await
        .unwrap();
    assert_eq!((made.rev, made.duplicate), (2, false));
}

#[tokio::test]
async fn one_bad_command_stops_its_batch() {
    let house = House::new().await;
    let bad = batch("b1", 0, Mode::Strict, &[make("a"), make("b"), make("a")]);
    match house.send(&bad).await {
        Err(CanvasError::CommandInvalid { cmd_id, why }) => {
            assert_eq!(cmd_id.unwrap().as_str(), "k2");
            assert_eq!(why, "there is a node a already");
        }
        other => panic!("{other:?}"),
    }
    let view = house.service.view(&house.key).await.unwrap();
    assert!(view.rev == 0 && view.state.is_empty());
    // The id is free still.
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a")]))
        .await
        .unwrap();
}

#[test]
fn batches_are_checked_before_anything_is_looked_up() {
    let refused = |commands: &[(&str, serde_json::Value)]| {
        let answer = try_batch("b", 0, Mode::Strict, commands);
        assert!(
            matches!(answer, Err(CanvasError::CommandInvalid { .. })),
            "{commands:?}"
        );
    };
    refused(&[]);
    refused(&[("node.explode", json!({"node": "a"}))]);
    refused(&[("node.delete", json!({"node": "a", "more": 1}))]);
    refused(&[(
        "node.create",
        json!({"node": "a", "type": "t", "props": {"x": 9_007_199_254_740_992_u64}}),
    )]);
    refused(&vec![("node.delete", json!({"node": "a"})); 10_000]);
    let twice = vec![
        sent(0, "node.delete", &json!({"node": "a"})),
        sent(0, "node.delete", &json!({"node": "b"})),
    ];
    let refused = CommandBatch::new(identity("b"), 0, None, Mode::Strict, twice);
    assert!(matches!(refused, Err(CanvasError::CommandInvalid { .. })));
}

#[tokio::test]
async fn a_strict_batch_behind_the_head_is_refused_with_the_way_there() {
    let house = House::new().await;
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a"), make("b")]))
        .await
        .unwrap();
    let big = json!({"node": "big", "type": "t", "props": {"text": "x".repeat(5000)}});
    house
        .send(&batch("b2", 1, Mode::Strict, &[("node.create", big)]))
        .await
        .unwrap();
    house
        .send(&batch("b3", 2, Mode::Strict, &[set("a", "y")]))
        .await
        .unwrap();
    let away = elsewhere(
        house
            .send(&batch("b4", 2, Mode::Strict, &[set("b", "y")]))
            .await,
    );
    assert_eq!(away.kind, Elsewise::Behind);
    assert!(away.conflicts.is_empty(), "nothing is in the way");
    let Way::Commits(commits) = away.recovery.way else {
        panic!("a commit is shorter than the state");
    };
    assert_eq!(commits.len(), 1);
    assert_eq!((away.recovery.head_rev, away.recovery.epoch), (3, 1));
    let away = elsewhere(
        house
            .send(&batch("b4", 1, Mode::Strict, &[set("a", "y")]))
            .await,
    );
    let conflict = &away.conflicts[0];
    assert_eq!(
        (
            conflict.node.as_str(),
            conflict.by_rev,
            conflict.props.len()
        ),
        ("a", 3, 1)
    );
    let away = elsewhere(
        house
            .send(&batch("b4", 4, Mode::Strict, &[set("a", "y")]))
            .await,
    );
    assert_eq!(away.kind, Elsewise::Ahead);
    let other_epoch = vec![sent(0, "node.delete", &json!({"node": "a"}))];
    let other_epoch = CommandBatch::new(identity("b4"), 3, Some(2), Mode::Strict, other_epoch);
    let away = elsewhere(house.send(&other_epoch.unwrap()).await);
    assert_eq!(away.kind, Elsewise::OtherEpoch);
    assert!(matches!(away.recovery.way, Way::Snapshot(_)));
}

/// For each pair: what others did, what was wanted by who had not seen it, and whether they meet.
#[tokio::test]
async fn rebased_batches_meet_others_only_where_they_touch_the_same() {
    let create = |node: &str, parent: &str| {
        (
            "node.create",
            json!({"node": node, "type": "t", "parent": parent}),
        )
    };
    let to = |node: &str, parent: &str| ("node.move", json!({"node": node, "parent": parent}));
    let after = |node: &str, other: &str| ("node.move", json!({"node": node, "after": other}));
    let delete = |node: &str| ("node.delete", json!({"node": node}));
    let cases = [
        (set("a", "x"), set("a", "y"), false),
        (set("a", "x"), set("a", "x"), true),
        (set("a", "x"), to("a", "f"), false),
        (set("a", "x"), delete("a"), true),
        (delete("a"), set("a", "y"), true),
        (delete("a"), delete("a"), true),
        (delete("f"), create("n", "f"), true),
        (create("n", "f"), delete("f"), true),
        (create("n", "f"), create("m", "f"), false),
        (create("n", "f"), create("n", "g"), true),
        (to("a", "f"), to("a", "g"), true),
        (to("a", "f"), to("b", "f"), false),
        (to("a", "f"), delete("f"), true),
        (to("h", "g"), delete("f"), true),
        (to("g", "f"), to("f", "g"), true),
        (to("a", "f"), after("b", "a"), true),
        (after("a", "b"), after("g", "f"), false),
        (set("h", "x"), delete("f"), true),
        (set("f", "x"), create("n", "f"), false),
    ];
    let house = House::new().await;
    for (at, (theirs, ours, meet)) in cases.into_iter().enumerate() {
        let key = canvas(&house.service, &house.scope, &format!("cv_{at}")).await;
        let nodes = [make("a"), make("b"), make("f"), make("g"), create("h", "f")];
        let send = async |id: &str, base, mode, commands: &[(&str, serde_json::Value)]| {
            let batch = batch(id, base, mode, commands);
            house.service.submit(&house.scope, &key, &batch).await
        };
        send("b1", 0, Mode::Strict, &nodes).await.unwrap();
        send("b2", 1, Mode::Strict, std::slice::from_ref(&theirs))
            .await
            .unwrap();
        let answer = send("b3", 1, Mode::Rebase, std::slice::from_ref(&ours)).await;
        let what = format!("{theirs:?} then {ours:?}");
        if meet {
            let away = elsewhere(answer);
            assert_eq!(away.kind, Elsewise::Behind, "{what}");
            assert_eq!(away.conflicts[0].by_rev, 2, "{what}");
        } else {
            let done = answer.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert_eq!((done.rev, done.rebased_over), (3, vec![2]), "{what}");
        }
    }
}

#[tokio::test]
async fn commits_are_a_chain_that_a_stranger_can_check() {
    let house = House::new().await;
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a"), make("b")]))
        .await
        .unwrap();
    house
        .one("b2", "node.move", json!({"node": "a", "parent": "b"}))
        .await;
    house
        .one(
            "b3",
            "node.update",
            json!({"node": "b", "set": {"name": "é"}, "unset": []}),
        )
        .await;
    let page = house.service.commits(&house.key, 0, 100).await.unwrap();
    let mut prev = "0".repeat(64);
    let mut oracle = crate::oracle::Oracle::default();
    for commit in &page.items {
        let wire = serde_json::to_value(commit).unwrap();
        assert_eq!(wire["prev_hash"], prev.as_str());
        assert_eq!(
            wire["commit_hash"],
            crate::oracle::commit_hash(&wire).as_str()
        );
        oracle.apply(&wire);
        assert_eq!(wire["state_hash"], oracle.hash().as_str());
        prev = wire["commit_hash"].as_str().unwrap().to_owned();
    }
    assert_eq!(page.items.len(), 3);
}

#[tokio::test]
async fn a_tenant_s_rates_hold_for_batches() {
    let mut house = House::new().await;
    house.ground.realtime.limits.publishes = Quota {
        burst: NonZeroU32::new(2).unwrap(),
        per_second: NonZeroU32::MIN,
    };
    let service = house.ground.start();
    let mut answers = Vec::new();
    for rev in 0..3 {
        let next = batch(
            &format!("b{rev}"),
            rev,
            Mode::Strict,
            &[make(&format!("n{rev}"))],
        );
        answers.push(service.submit(&house.scope, &house.key, &next).await);
    }
    let throttled = answers.pop().unwrap();
    assert!(
        matches!(
            throttled,
            Err(CanvasError::Realtime(RealtimeError::Throttled(_)))
        ),
        "{throttled:?}"
    );
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}
