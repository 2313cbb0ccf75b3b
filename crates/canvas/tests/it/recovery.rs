//! From every stale revision the answer alone leads to the head, in one step.

use serde_json::json;
use tenantry_canvas::{CanvasConfig, Mode, Restore, Way};

use crate::{
    chance::Chance,
    house::{House, batch, elsewhere, identity},
    oracle::Oracle,
};

/// Follows the way on the state of a client that is at `rev`.
pub(crate) fn follow(mut client: Oracle, rev: u64, way: &Way) -> Oracle {
    match way {
        Way::Commits(commits) => {
            for commit in commits.iter().filter(|commit| commit.rev > rev) {
                client.apply(&serde_json::to_value(commit).unwrap());
            }
            client
        }
        Way::Snapshot(snapshot) => {
            let nodes: Vec<_> = snapshot
                .state
                .nodes()
                .map(|node| (**node).clone())
                .collect();
            Oracle::of(&json!({ "nodes": nodes }))
        }
    }
}

/// Makes `revs` commits and returns the states of all revisions, by the oracle.
async fn history(house: &House, revs: u64) -> Vec<Oracle> {
    let chance = Chance::new(7);
    let mut history = vec![Oracle::default()];
    for rev in 0..revs {
        let (kind, args) = if rev == 0 {
            ("node.create", json!({"node": "n0", "type": "t"}))
        } else if chance.one_in(6) {
            let text = "x".repeat(chance.below(2000));
            (
                "node.create",
                json!({"node": format!("n{rev}"), "type": "t", "props": {"text": text}}),
            )
        } else {
            ("node.update", json!({"node": "n0", "set": {"x": rev}}))
        };
        house.one(&format!("b{rev}"), kind, args).await;
        let page = house.service.commits(&house.key, rev, 1).await.unwrap();
        let mut next = history.last().unwrap().clone();
        next.apply(&serde_json::to_value(&page.items[0]).unwrap());
        history.push(next);
    }
    history
}

#[tokio::test]
async fn the_refusal_leads_to_the_head_from_every_stale_base() {
    let config = CanvasConfig {
        commits_kept: 60,
        snapshot_commits: 10,
        ..CanvasConfig::default()
    };
    let house = House::with(config).await;
    let history = history(&house, 180).await;
    let restarted = house.ground.start();
    let oldest = house
        .service
        .commits(&house.key, 0, 1)
        .await
        .unwrap()
        .oldest_rev;
    assert!(oldest > 50, "{oldest}");
    let (mut by_commits, mut by_snapshot, mut below_floor) = (0, 0, 0);
    for (base, client) in (0..180).zip(history) {
        let service = if base % 2 == 0 {
            &house.service
        } else {
            &restarted
        };
        let delete = ("node.delete", json!({"node": "n0"}));
        let stale = batch("stale", base, Mode::Strict, &[delete]);
        let away = elsewhere(service.submit(&house.scope, &house.key, &stale).await);
        let client = follow(client, base, &away.recovery.way);
        assert_eq!(
            client.hash(),
            away.recovery.head_hash.to_string(),
            "from {base}"
        );
        assert_eq!(away.recovery.head_rev, 180);
        match &away.recovery.way {
            Way::Commits(commits) => {
                let (count, first) = (commits.len() as u64, commits[0].rev);
                assert_eq!((count, first), (180 - base, base + 1));
                by_commits += 1;
            }
            Way::Snapshot(_) => by_snapshot += 1,
        }
        below_floor += usize::from(base + 1 < oldest);
    }
    let did = (by_commits, by_snapshot, below_floor);
    assert!(
        by_commits > 5 && by_snapshot > 50 && below_floor > 50,
        "{did:?}"
    );
}

#[tokio::test]
async fn whichever_is_smaller_is_sent() {
    let house = House::new().await;
    let big = json!({"node": "big", "type": "t", "props": {"text": "x".repeat(20_000)}});
    house.one("b0", "node.create", big).await;
    for n in 0..5 {
        house
            .one(
                &format!("b{}", n + 1),
                "node.update",
                json!({"node": "big", "set": {"n": n}}),
            )
            .await;
    }
    let stale = |base| {
        batch(
            "stale",
            base,
            Mode::Strict,
            &[("node.delete", json!({"node": "big"}))],
        )
    };
    let away = elsewhere(house.send(&stale(1)).await);
    assert!(matches!(&away.recovery.way, Way::Commits(commits) if commits.len() == 5));
    for n in 0..40 {
        let text = json!({"node": "big", "set": {"text": "y".repeat(2_000 + n)}});
        house.one(&format!("c{n}"), "node.update", text).await;
    }
    let away = elsewhere(house.send(&stale(1)).await);
    assert!(matches!(away.recovery.way, Way::Snapshot(_)));
}

#[tokio::test]
async fn a_restore_opens_an_epoch_and_everyone_gets_there() {
    let house = House::new().await;
    house
        .one("b1", "node.create", json!({"node": "a", "type": "t"}))
        .await;
    let first = house.service.view(&house.key).await.unwrap();
    house.one("b2", "node.delete", json!({"node": "a"})).await;
    let restore = Restore {
        identity: identity("r1"),
        rev: 1,
    };
    let done = house
        .service
        .restore(&house.scope, &house.key, &restore)
        .await
        .unwrap();
    assert_eq!(
        (done.rev, done.epoch, done.state_hash),
        (3, 2, first.state_hash)
    );
    let again = house
        .service
        .restore(&house.scope, &house.key, &restore)
        .await
        .unwrap();
    assert!(again.duplicate && again.rev == 3);
    house
        .one("b3", "node.create", json!({"node": "b", "type": "t"}))
        .await;
    for service in [&house.service, &house.ground.start()] {
        for base in 0..3 {
            let stale = batch(
                "stale",
                base,
                Mode::Rebase,
                &[("node.create", json!({"node": "z", "type": "t"}))],
            );
            let away = elsewhere(service.submit(&house.scope, &house.key, &stale).await);
            assert!(matches!(&away.recovery.way, Way::Snapshot(snapshot) if snapshot.rev == 4));
        }
        let old = service.view_at(&house.key, 2).await.unwrap();
        assert!(old.state.is_empty() && old.epoch == 1);
        assert_eq!(
            service.view_at(&house.key, 3).await.unwrap().state_hash,
            first.state_hash
        );
    }
    // The one after the restore is known by its commit.
    let stale = batch(
        "stale",
        3,
        Mode::Strict,
        &[("node.delete", json!({"node": "a"}))],
    );
    let away = elsewhere(house.send(&stale).await);
    assert_eq!(away.recovery.epoch, 2);
}
