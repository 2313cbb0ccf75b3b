//! Runs: how far they are never goes back, and what is over does not change.

use std::time::Duration;

use identity::{Env, Precondition, Timestamp};
use serde_json::{Value, json};
use tenantry_nexus::{Body, Run, RunStatus};

use crate::house::{House, body_of, pointer};

const ALL: [&str; 5] = ["queued", "running", "succeeded", "failed", "cancelled"];

fn run(status: &str) -> Value {
    let mut body = json!({"name": "import", "status": status});
    if status == "failed" {
        body["error"] = json!({"code": "disk_full", "message": "No room."});
    }
    body
}

fn status(text: &str) -> RunStatus {
    serde_json::from_value(json!(text)).unwrap()
}

#[test]
fn each_status_is_followed_by_later_ones_alone() {
    let may = |before: &str| -> Vec<&str> {
        let follows = |next: &&str| status(before).may_become(status(next));
        ALL.into_iter().filter(follows).collect()
    };
    assert_eq!(may("queued"), ["queued", "running", "failed", "cancelled"]);
    assert_eq!(
        may("running"),
        ["running", "succeeded", "failed", "cancelled"]
    );
    for last in ["succeeded", "failed", "cancelled"] {
        assert_eq!(may(last), [last]);
        assert!(status(last).is_final());
    }
}

#[tokio::test]
async fn a_run_goes_from_queued_to_its_end_and_its_times_are_kept() {
    let house = House::new();
    let (scope, clock) = (house.scope("t_a", Env::Dev).await, &house.world.clock);
    let made = house
        .make::<Run>(&scope, json!({"name": "import"}))
        .await
        .unwrap();
    let value = &made.value;
    assert_eq!((value.status, value.started_at), (RunStatus::Queued, None));
    clock.advance(Duration::from_secs(5));
    let started = identity::Clock::now(&**clock);
    let put = |body: Value| house.put(&scope, &made.id, body);
    assert_eq!(
        put(run("running")).await.unwrap().value.started_at,
        Some(started)
    );
    clock.advance(Duration::from_secs(5));
    let going = put(run("running")).await.unwrap().value;
    assert_eq!((going.started_at, going.finished_at), (Some(started), None));
    assert_eq!(pointer(put(run("queued")).await), "/status");
    let finished = identity::Clock::now(&**clock);
    let over = put(run("failed")).await.unwrap();
    assert_eq!(over.value.started_at, Some(started));
    assert_eq!(over.value.finished_at, Some(finished));
    clock.advance(Duration::from_secs(5));
    for status in ["queued", "running", "succeeded", "cancelled"] {
        assert_eq!(pointer(put(run(status)).await), "/status", "{status}");
    }
    let mut renamed = run("failed");
    renamed["name"] = json!("export");
    assert_eq!(pointer(put(renamed).await), "");
    assert_eq!(house.find(&scope, &made.id).await, Some(over));
    let again = put(run("failed")).await.unwrap();
    assert_eq!(
        again.value.finished_at,
        Some(finished),
        "the same again changes nothing"
    );
}

#[tokio::test]
async fn a_new_run_is_not_over_and_what_never_ran_did_not_succeed() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    for status in ["succeeded", "failed", "cancelled"] {
        assert_eq!(
            pointer(house.make::<Run>(&scope, run(status)).await),
            "/status"
        );
    }
    let made = house.make::<Run>(&scope, run("running")).await.unwrap();
    assert!(made.value.started_at.is_some());
    let queued = house.make::<Run>(&scope, run("queued")).await.unwrap();
    let skipped = house.put(&scope, &queued.id, run("succeeded")).await;
    assert_eq!(pointer(skipped), "/status");
    let called_off = house
        .put(&scope, &queued.id, run("cancelled"))
        .await
        .unwrap();
    assert_eq!(called_off.value.started_at, None);
    assert!(called_off.value.finished_at.is_some());
}

#[test]
fn what_contradicts_itself_is_refused() {
    let failure = json!({"code": "x"});
    let step = |name: &str, status: &str| json!({"name": name, "status": status});
    let many: Vec<Value> = (0..201).map(|n| step(&n.to_string(), "queued")).collect();
    for (body, pointer) in [
        (json!({"name": ""}), "/name"),
        (json!({"name": "r", "status": "failed"}), "/error"),
        (
            json!({"name": "r", "status": "running", "error": failure}),
            "/error",
        ),
        (
            json!({"name": "r", "status": "failed", "error": {"code": ""}}),
            "/error/code",
        ),
        (json!({"name": "r", "steps": many}), "/steps"),
        (
            json!({"name": "r", "steps": [step("a", "queued"), step("a", "queued")]}),
            "/steps/1/name",
        ),
        (
            json!({"name": "r", "status": "succeeded", "steps": [step("a", "running")]}),
            "/steps/0/status",
        ),
        (
            json!({"name": "r", "steps": [{"name": "a", "error": failure}]}),
            "/steps/0/error",
        ),
        (json!({"name": "r", "input": {"a": "\u{0}"}}), "/input/a"),
        (
            json!({"name": "r", "output": {"a": "x".repeat(65 * 1024)}}),
            "/output",
        ),
    ] {
        let refused = body_of::<Run>(body.clone()).check().unwrap_err();
        assert_eq!(refused.pointer, pointer, "{body}");
    }
    for unknown in [
        json!({"name": "r", "status": "paused"}),
        json!({"status": "queued"}),
    ] {
        assert!(serde_json::from_value::<tenantry_nexus::RunBody>(unknown).is_err());
    }
}

#[tokio::test]
async fn steps_go_forward_too_and_stay_once_they_have_begun() {
    let house = House::new();
    let (scope, clock) = (house.scope("t_a", Env::Dev).await, &house.world.clock);
    let body = |steps: Value| json!({"name": "r", "status": "running", "steps": steps});
    let step = |name: &str, status: &str| json!({"name": name, "status": status});
    let planned = json!([
        step("a", "running"),
        step("b", "queued"),
        step("c", "queued")
    ]);
    let made = house.make::<Run>(&scope, body(planned)).await.unwrap();
    let began: Option<Timestamp> = made.value.steps[0].started_at;
    assert!(began.is_some());
    clock.advance(Duration::from_secs(1));
    let put = |steps: Value| house.put(&scope, &made.id, body(steps));
    for (steps, place) in [
        (
            json!([step("a", "queued"), step("b", "queued")]),
            "/steps/0/status",
        ),
        (json!([step("b", "queued")]), "/steps"),
        (
            json!([step("b", "succeeded"), step("a", "running")]),
            "/steps/0/status",
        ),
    ] {
        assert_eq!(pointer(put(steps.clone()).await), place, "{steps}");
    }
    // Their order may change, what has not begun may be dropped, and others may come.
    let next = json!([
        step("d", "succeeded"),
        step("b", "running"),
        step("a", "succeeded")
    ]);
    let run = put(next).await.unwrap().value;
    let names: Vec<&str> = run.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["d", "b", "a"]);
    let last = &run.steps[2];
    assert_eq!(last.started_at, began);
    assert!(last.finished_at > began);
    let back = json!([
        step("d", "running"),
        step("b", "running"),
        step("a", "succeeded")
    ]);
    assert_eq!(pointer(put(back).await), "/steps/0/status");
    let patch = json!({"status": "succeeded"});
    let early = house
        .patch(&scope, &made.id, patch, Precondition::Any)
        .await;
    assert_eq!(pointer(early), "/steps/1/status", "b still runs");
}
