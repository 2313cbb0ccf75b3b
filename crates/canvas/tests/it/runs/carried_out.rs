//! Runs that are carried out, once, and plans that are none.

use std::time::Duration;

use identity::AssetId;
use nexus::{RunStatus, assets::Assets};
use serde_json::json;
use store::{Blobs, PageRequest};
use tenantry_canvas::{
    CanvasError, Commit, Heading, Mode, Plan, REPLAY_KIND, SentStep, replay::Replay,
};

use super::{Studio, heading, make, step, two};

#[tokio::test(start_paused = true)]
async fn a_run_is_carried_out_told_recorded_and_kept() {
    let studio = Studio::new().await;
    let steps = vec![
        make(0, "a"),
        make(300, "b"),
        step(40, "node.move", &json!({"node": "b", "parent": "a"})),
    ];
    let plan = Plan::new(heading("rn_1", 0, Mode::Strict), steps).unwrap();
    let (run, is_new) = studio.start(plan).await.unwrap();
    assert_eq!((run.status, is_new), (RunStatus::Running, true));
    let run = studio.ended("rn_1").await;
    assert_eq!(run.error, None);
    assert_eq!(
        (run.status, run.revs.as_slice()),
        (RunStatus::Succeeded, [1, 2, 3].as_slice())
    );

    let commits = studio
        .canvases
        .commits(&studio.key, 0, 10)
        .await
        .unwrap()
        .items;
    for (commit, batch) in commits.iter().zip(["1", "2", "3"]) {
        let wire = serde_json::to_value(commit).unwrap();
        assert_eq!(
            wire["actor"],
            json!({"agent": "layout.bot", "user_id": "u_1"})
        );
        assert_eq!(
            (&wire["client_id"], &wire["batch_id"]),
            (&json!("rn_1"), &json!(batch))
        );
    }
    assert_eq!(commits.len(), 3);

    let replay = kept(&studio, &commits).await;
    assert_eq!(run.asset_id.as_ref(), Some(&replay));
    assert_eq!(
        studio.told().await,
        [
            "canvas.run running",
            "canvas.commit ",
            "canvas.commit ",
            "canvas.commit ",
            "artifact.ready ",
            "canvas.run succeeded"
        ]
    );
    recorded(&studio, &replay.to_string());
}

/// That the only artifact is the replay of the run, which shows these commits; its id.
async fn kept(studio: &Studio, commits: &[Commit]) -> AssetId {
    let [replay] = studio.replays().await.try_into().unwrap();
    assert_eq!(replay.facts.kind.as_str(), REPLAY_KIND);
    assert_eq!(
        replay.facts.parent.as_ref().unwrap().canvas(),
        Some(studio.key.canvas())
    );
    let meta = serde_json::to_value(&replay.facts.meta).unwrap();
    assert_eq!(
        (
            &meta["run_id"],
            &meta["agent"],
            &meta["from_rev"],
            &meta["to_rev"]
        ),
        (&json!("rn_1"), &json!("layout.bot"), &json!(0), &json!(3))
    );
    let key = Assets::key(&studio.scope, &replay).unwrap();
    let bytes = studio.blobs.get(&key).await.unwrap().unwrap();
    let last = Replay::open(&bytes).unwrap().verify().unwrap();
    assert_eq!(last.commit.as_ref(), commits.last());
    replay.id
}

/// That each step is on record, and how the run ended.
fn recorded(studio: &Studio, asset: &str) {
    let recorded = studio.record.entries();
    let actions: Vec<_> = recorded
        .iter()
        .map(|one| (one.action, one.target.as_str()))
        .collect();
    let command = ("canvas.command", "/canvas/cv_1/commands");
    assert_eq!(
        actions,
        [
            command,
            command,
            command,
            ("canvas.run.end", "/canvas/cv_1/runs")
        ]
    );
    let end = recorded.last().unwrap();
    assert_eq!(end.user.as_deref(), Some("u_1"));
    for detail in [
        ("run_id", "rn_1"),
        ("agent", "layout.bot"),
        ("status", "succeeded"),
        ("asset_id", asset),
    ] {
        assert!(
            end.details.contains(&(detail.0, detail.1.to_owned())),
            "{end}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_sent_again_is_begun_once() {
    let studio = Studio::new().await;
    let plan = || two("rn_1", 0, Mode::Strict, 2_000);
    studio.start(plan()).await.unwrap();
    for _ in 0..5 {
        let (run, is_new) = studio.start(plan()).await.unwrap();
        assert_eq!((run.run_id.as_str(), is_new), ("rn_1", false));
    }
    let ended = studio.ended("rn_1").await;
    assert_eq!(studio.start(plan()).await.unwrap(), (ended, false));
    assert_eq!(studio.canvases.view(&studio.key).await.unwrap().rev, 2);
    assert_eq!(studio.replays().await.len(), 1);
    for (user, plan) in [
        ("u_1", two("rn_1", 0, Mode::Strict, 2_001)),
        ("u_2", plan()),
    ] {
        let other = studio.start_as(user, plan).await;
        assert!(
            matches!(other, Err(CanvasError::IdempotencyConflict)),
            "{other:?}"
        );
    }
    let listed = studio
        .runs
        .list(&studio.key, &PageRequest::largest())
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_first_step_would_be_refused_is_none() {
    let studio = Studio::new().await;
    studio
        .other(0, "node.create", json!({"node": "x", "type": "t"}))
        .await;
    let behind = studio.start(two("rn_1", 0, Mode::Strict, 0)).await;
    assert!(
        matches!(behind, Err(CanvasError::Elsewhere(_))),
        "{behind:?}"
    );
    let invalid = vec![step(0, "node.delete", &json!({"node": "nobody"}))];
    let invalid = Plan::new(heading("rn_1", 1, Mode::Strict), invalid).unwrap();
    let invalid = studio.start(invalid).await;
    assert!(
        matches!(invalid, Err(CanvasError::CommandInvalid { .. })),
        "{invalid:?}"
    );
    assert_eq!(
        studio
            .runs
            .find(&studio.key, &"rn_1".parse().unwrap())
            .await
            .unwrap(),
        None
    );
    // The id is free.
    let (_, is_new) = studio.start(two("rn_1", 1, Mode::Strict, 0)).await.unwrap();
    assert!(is_new);
    assert_eq!(studio.ended("rn_1").await.status, RunStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_so_many_runs_at_once() {
    let studio = Studio::new().await;
    for n in 0..8 {
        let first = make(10_000, &format!("n{n}"));
        let plan = Plan::new(heading(&format!("rn_{n}"), 0, Mode::Rebase), vec![first]).unwrap();
        studio.start(plan).await.unwrap();
    }
    let one_more = studio.start(two("rn_more", 0, Mode::Rebase, 0)).await;
    assert!(matches!(one_more, Err(CanvasError::Busy)), "{one_more:?}");
    studio.ended("rn_0").await;
    studio.ended("rn_7").await;
    tokio::task::yield_now().await;
    studio
        .start(two("rn_more", 0, Mode::Rebase, 0))
        .await
        .unwrap();
}

#[test]
fn a_plan_has_limits() {
    let pointer = |name: &str, steps: Vec<SentStep>| {
        let heading = Heading {
            name: name.to_owned(),
            ..heading("rn_1", 0, Mode::Strict)
        };
        match Plan::new(heading, steps) {
            Err(CanvasError::PlanInvalid { pointer, .. }) => pointer,
            Err(CanvasError::CommandInvalid { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    };
    let steps = |count: usize, after| (0..count).map(|n| make(after, &format!("n{n}"))).collect();
    assert_eq!(pointer("", steps(1, 0)), "/name");
    assert_eq!(pointer("a\nb", steps(1, 0)), "/name");
    assert_eq!(pointer(&"x".repeat(301), steps(1, 0)), "/name");
    assert_eq!(pointer("x", steps(0, 0)), "/steps");
    assert_eq!(pointer("x", steps(201, 0)), "/steps");
    assert_eq!(pointer("x", steps(1, 10_001)), "/steps/0/after_ms");
    assert_eq!(pointer("x", steps(61, 10_000)), "/steps/60/after_ms");
    let empty = SentStep {
        after: Duration::ZERO,
        commands: Vec::new(),
    };
    assert!(pointer("x", vec![make(0, "a"), empty]).starts_with("step 2: "));
    assert!(Plan::new(heading("rn_1", 0, Mode::Strict), steps(200, 3_000)).is_ok());
}
