//! Runs that do not get to their end: refused, called off, barred, interrupted.

use std::time::Duration;

use gatechain::KillSwitch;
use identity::{Precondition, Role};
use nexus::RunStatus;
use serde_json::json;
use store::PageRequest;
use tenantry_canvas::{CanvasError, INTERRUPTED, LEASE, Mode, Plan, RunId};

use super::{Studio, heading, make, step, two};

#[tokio::test(start_paused = true)]
async fn what_others_do_meanwhile_stops_a_strict_run_and_not_one_that_goes_around_it() {
    for mode in [Mode::Strict, Mode::Rebase] {
        let studio = Studio::new().await;
        studio.start(two("rn_1", 0, mode, 5_000)).await.unwrap();
        studio.taken(1).await;
        studio
            .other(1, "node.create", json!({"node": "x", "type": "t"}))
            .await;
        let run = studio.ended("rn_1").await;
        if mode == Mode::Rebase {
            assert_eq!(
                (run.status, run.revs.as_slice()),
                (RunStatus::Succeeded, [1, 3].as_slice())
            );
            continue;
        }
        let error = run.error.unwrap();
        assert_eq!(
            (run.status, run.revs.as_slice()),
            (RunStatus::Failed, [1].as_slice())
        );
        assert_eq!((error.code.as_str(), error.step), ("rev_mismatch", Some(2)));
        // What was done is kept, and so is the replay of it.
        assert_eq!(studio.canvases.view(&studio.key).await.unwrap().rev, 2);
        assert_eq!(
            studio.replays().await.first().map(|one| &one.id),
            run.asset_id.as_ref()
        );
        assert!(run.asset_id.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_names_what_would_have_been_overwritten() {
    let studio = Studio::new().await;
    let update = step(
        5_000,
        "node.update",
        &json!({"node": "a", "set": {"text": "ours"}}),
    );
    let plan = Plan::new(heading("rn_1", 0, Mode::Rebase), vec![make(0, "a"), update]).unwrap();
    studio.start(plan).await.unwrap();
    studio.taken(1).await;
    studio
        .other(
            1,
            "node.update",
            json!({"node": "a", "set": {"text": "theirs"}}),
        )
        .await;
    let error = studio.ended("rn_1").await.error.unwrap();
    assert_eq!((error.code.as_str(), error.step), ("rev_mismatch", Some(2)));
    let [conflict] = error.conflicts.try_into().unwrap();
    assert_eq!(
        (
            conflict.node.as_str(),
            conflict.by_rev,
            conflict.actor.as_str()
        ),
        ("a", 2, "u_2")
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_called_off_ends_before_its_next_step() {
    let studio = Studio::new().await;
    studio
        .start(two("rn_1", 0, Mode::Strict, 10_000))
        .await
        .unwrap();
    studio.taken(1).await;
    let id: RunId = "rn_1".parse().unwrap();
    let called_off = studio.runs.cancel(&studio.key, &id).await.unwrap();
    assert_eq!(
        (called_off.status, called_off.cancel_requested),
        (RunStatus::Running, true)
    );
    let run = studio.ended("rn_1").await;
    assert_eq!(
        (run.status, run.revs.as_slice()),
        (RunStatus::Cancelled, [1].as_slice())
    );
    assert!(run.asset_id.is_some());
    assert_eq!(studio.runs.cancel(&studio.key, &id).await.unwrap(), run);
    assert_eq!(studio.told().await.last().unwrap(), "canvas.run cancelled");
    let nobody = studio
        .runs
        .cancel(&studio.key, &"rn_2".parse().unwrap())
        .await;
    assert!(matches!(nobody, Err(CanvasError::NotFound)));
}

#[tokio::test(start_paused = true)]
async fn a_kill_switch_stops_a_run() {
    let studio = Studio::new().await;
    studio
        .start(two("rn_1", 0, Mode::Strict, 10_000))
        .await
        .unwrap();
    studio.taken(1).await;
    let row = json!({"action": "canvas.run", "reason": "stop"});
    let row: KillSwitch = serde_json::from_value(row).unwrap();
    let (id, any) = ("k".parse().unwrap(), Precondition::Any);
    studio
        .gates
        .put(&studio.scope, &id, row, &any)
        .await
        .unwrap();
    studio.ground.world.clock.advance(Duration::from_secs(6));
    let run = studio.ended("rn_1").await;
    let error = run.error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.step),
        ("kill_switch_engaged", Some(2))
    );
    assert_eq!(
        (run.status, run.revs.as_slice()),
        (RunStatus::Failed, [1].as_slice())
    );
    assert!(studio.replays().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_act_any_more_runs_no_further() {
    let studio = Studio::new().await;
    studio
        .start_as("u_9", two("rn_1", 0, Mode::Strict, 10_000))
        .await
        .unwrap();
    studio.taken(1).await;
    studio
        .ground
        .world
        .directory
        .set_role("t_a", "u_9", Role::Viewer);
    studio.ground.world.clock.advance(Duration::from_secs(3));
    let run = studio.ended("rn_1").await;
    assert_eq!(run.error.unwrap().code, "role_forbidden");
    assert_eq!((run.status, run.revs.len()), (RunStatus::Failed, 1));
    assert!(studio.replays().await.is_empty());
}

/// The server stops after the first step: its tasks are gone, and nobody has said so.
#[test]
fn a_run_whose_server_stopped_is_ended_by_who_looks_next() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let stopped = runtime();
    let studio = stopped.block_on(async {
        let studio = Studio::new().await;
        studio
            .start(two("rn_1", 0, Mode::Strict, 10_000))
            .await
            .unwrap();
        studio.taken(1).await;
        studio
    });
    drop(stopped);
    runtime().block_on(async {
        assert_eq!(studio.find("rn_1").await.status, RunStatus::Running);
        studio
            .ground
            .world
            .clock
            .advance(LEASE + Duration::from_millis(1));
        let listed = studio
            .runs
            .list(&studio.key, &PageRequest::largest())
            .await
            .unwrap();
        let run = studio.find("rn_1").await;
        assert_eq!(listed.items, std::slice::from_ref(&run));
        let error = run.error.clone().unwrap();
        assert_eq!(
            (run.status, error.code.as_str()),
            (RunStatus::Failed, INTERRUPTED)
        );
        // Its place is free, and sent again it is what it is.
        let again = studio
            .start(two("rn_1", 0, Mode::Strict, 10_000))
            .await
            .unwrap();
        assert_eq!(again, (run, false));
        assert_eq!(
            studio.told().await,
            ["canvas.run running", "canvas.commit ", "canvas.run failed"]
        );
    });
}
