//! Runs of agents: carried out once, told, recorded, kept as replays; stopped, refused, interrupted.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gatechain::{
    AlwaysEnforce, Credentials, Decision, DecisionLog, GateChain, GateDeps, KillSwitch, Stopwatch,
};
use identity::{Member, Precondition, Recorded, Role, Scope, SystemAuthority};
use nexus::{
    RunStatus,
    assets::{Asset, Assets, AssetsDeps},
};
use realtime::CanvasKey;
use serde_json::{Value, json};
use store::{Blobs, PageRequest, Read};
use tenantry_canvas::{
    CanvasError, CanvasService, Exports, Heading, INTERRUPTED, LEASE, Mode, Plan, REPLAY_KIND, Run,
    RunId, RunOf, Runs, RunsDeps, SentStep, replay::Replay,
};
use testkit::{MemoryBlobs, MemoryRecorder};

use crate::house::{Ground, batch, canvas, sent};

struct Forgetful;

#[async_trait]
impl DecisionLog for Forgetful {
    async fn record(&self, _: &Member, _: &Decision) -> Recorded {
        Recorded::Durable { seq: 1 }
    }
}

struct Still;

impl Stopwatch for Still {
    fn nanos(&self) -> u64 {
        0
    }
}

/// A node with gates, blobs and a record, on which agents run.
struct Studio {
    ground: Ground,
    gates: GateChain,
    blobs: Arc<MemoryBlobs>,
    assets: Arc<Assets>,
    record: Arc<MemoryRecorder>,
    canvases: Arc<CanvasService>,
    runs: Arc<Runs>,
    scope: Scope,
    key: CanvasKey,
}

impl Studio {
    async fn new() -> Self {
        let ground = Ground::memory();
        let (clock, entropy) = (ground.world.clock.clone(), ground.world.entropy.clone());
        let (record, recording) = MemoryRecorder::recording();
        let gates = GateChain::new(GateDeps {
            documents: ground.documents.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            authority: SystemAuthority::assume(),
            enforcement: Arc::new(AlwaysEnforce),
            decisions: Arc::new(Forgetful),
            stopwatch: Arc::new(Still),
        });
        let blobs = Arc::new(MemoryBlobs::new(clock.clone()));
        let assets = Arc::new(Assets::new(AssetsDeps {
            documents: ground.documents.clone(),
            raw: blobs.clone(),
            media: blobs.clone(),
            clock: clock.clone(),
            entropy,
            authority: SystemAuthority::assume(),
            upload_bytes_max: 1 << 20,
        }));
        let canvases = Arc::new(ground.start());
        let exports = Arc::new(Exports::new(canvases.clone(), assets.clone()));
        let runs = Arc::new(Runs::new(RunsDeps {
            documents: ground.documents.clone(),
            canvases: canvases.clone(),
            exports,
            guard: ground.world.guard.clone(),
            recording,
            clock,
        }));
        let scope = ground.scope("u_1").await;
        let key = canvas(&canvases, &scope, "cv_1").await;
        Self {
            ground,
            gates,
            blobs,
            assets,
            record,
            canvases,
            runs,
            scope,
            key,
        }
    }

    async fn start_as(&self, user: &str, plan: Plan) -> Result<(Run, bool), CanvasError> {
        let scope = self.ground.scope(user).await;
        let run = RunOf::new(self.key.clone(), plan, None);
        let permit = self.gates.admit(&scope, run, Credentials::default()).await;
        let Ok(permit) = permit else {
            panic!("denied");
        };
        self.runs.start(scope, permit).await
    }

    async fn start(&self, plan: Plan) -> Result<(Run, bool), CanvasError> {
        self.start_as("u_1", plan).await
    }

    async fn find(&self, id: &str) -> Run {
        let found = self.runs.find(&self.key, &id.parse().unwrap()).await;
        found.unwrap().unwrap()
    }

    /// The run as it ended. Time passes by itself while nothing else does.
    async fn ended(&self, id: &str) -> Run {
        loop {
            let run = self.find(id).await;
            if run.status.is_final() {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the run has taken so many steps.
    async fn taken(&self, revs: u64) {
        while self.canvases.view(&self.key).await.unwrap().rev < revs {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One command of someone else.
    async fn other(&self, base: u64, kind: &str, args: Value) {
        let scope = self.ground.scope("u_2").await;
        let batch = batch("other", base, Mode::Strict, &[(kind, args)]);
        self.canvases
            .submit(&scope, &self.key, &batch)
            .await
            .unwrap();
    }

    async fn replays(&self) -> Vec<Asset> {
        let page = PageRequest::largest();
        let found = self.assets.artifacts(&self.scope, None, &page).await;
        found.unwrap().items
    }

    /// What was told: the types, and the statuses of runs.
    async fn told(&self) -> Vec<String> {
        let read = self.ground.log.read(self.key.stream(), None, 1000).await;
        let Read::Page { events, .. } = read.unwrap() else {
            panic!("a gap");
        };
        let events = events.iter().map(|event| {
            let event: Value = serde_json::from_slice(&event.body).unwrap();
            let status = event["data"]["status"].as_str().unwrap_or_default();
            format!("{} {status}", event["type"].as_str().unwrap())
        });
        events.collect()
    }
}

fn heading(id: &str, base_rev: u64, mode: Mode) -> Heading {
    Heading {
        run_id: id.parse().unwrap(),
        name: "tidy up".to_owned(),
        agent: "layout.bot".parse().unwrap(),
        base_rev,
        epoch: None,
        mode,
    }
}

fn step(after_ms: u64, kind: &str, args: &Value) -> SentStep {
    SentStep {
        after: Duration::from_millis(after_ms),
        commands: vec![sent(0, kind, args)],
    }
}

fn make(after_ms: u64, node: &str) -> SentStep {
    step(
        after_ms,
        "node.create",
        &json!({"node": node, "type": "note"}),
    )
}

/// A plan that makes two nodes, the second after `after_ms`.
fn two(id: &str, base: u64, mode: Mode, after_ms: u64) -> Plan {
    Plan::new(
        heading(id, base, mode),
        vec![make(0, "a"), make(after_ms, "b")],
    )
    .unwrap()
}

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

    let [replay] = studio.replays().await.try_into().unwrap();
    assert_eq!(Some(&replay.id), run.asset_id.as_ref());
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
    let asset = replay.id.to_string();
    for detail in [
        ("run_id", "rn_1"),
        ("agent", "layout.bot"),
        ("status", "succeeded"),
        ("asset_id", &asset),
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
        assert_eq!(listed.items, [run.clone()]);
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
