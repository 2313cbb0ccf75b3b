//! Runs of agents: carried out once, told, recorded, kept as replays; stopped, refused, interrupted.

mod carried_out;
mod stopped;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gatechain::{
    AlwaysEnforce, Credentials, Decision, DecisionLog, GateChain, GateDeps, Stopwatch,
};
use identity::{Member, Recorded, Scope, SystemAuthority};
use nexus::assets::{Asset, Assets, AssetsDeps};
use realtime::CanvasKey;
use serde_json::{Value, json};
use store::{PageRequest, Read};
use tenantry_canvas::{
    CanvasError, CanvasService, Exports, Heading, Mode, Plan, Run, RunOf, Runs, RunsDeps, SentStep,
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
