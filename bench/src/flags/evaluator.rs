//! One evaluation with a constraint and a rollout.

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, ensure};
use engine_embedded::Embedded;
use flags::{
    Context, Definition, Flag, Flags, FlagsDeps, Layer, LayerName, Layers, Place, Row as FlagRow,
};
use identity::{Clock, Precondition, SystemAuthority};
use serde_json::json;
use unleash_yggdrasil::{Context as TheirContext, EngineState, UpdateMessage};

use super::SUBJECT;
use crate::{
    ambient::{SystemClock, SystemEntropy, scratch},
    scope,
    stats::{median, median_ratio},
    table::{Row, per_second},
};

const ROUNDS: usize = 60;
const PEOPLE: usize = 1000;
/// Evaluations of a round are this often everyone.
const TURNS: usize = 100;
const KEY: &str = "new-checkout";
/// Evaluations per second: one takes at most 0.15 µs.
const TARGET_NS: f64 = 150.0;

/// Measures the three in interleaved rounds; the peer is the baseline.
///
/// # Errors
/// When the evaluators do not agree about someone.
pub(super) fn measure() -> Result<Vec<Row>> {
    let theirs = peer()?;
    let their_people = their_people();
    let (key, definition) = ours()?;
    let tenant = Layer::new(
        1,
        [(
            key.parse()?,
            FlagRow::Flag(Box::new(Flag::new(key.parse()?, &definition)?)),
        )],
    );
    let system = Layer::default();
    let layers = Layers {
        system: &system,
        tenant: &tenant,
        place: Place {
            tenant: "t_bench",
            env: "dev",
            project: "p_bench",
            mode: "lab",
        },
        now: SystemClock.now(),
    };
    let people = people();
    for (their, our) in their_people.iter().zip(&people) {
        let ours = layers.evaluate(KEY, our)?.is_on();
        ensure!(theirs.is_enabled(KEY, their, &None) == ours, "{our:?}");
    }
    let service = Service::open(&definition)?;
    let mut rates: [Vec<f64>; 3] = Default::default();
    eprintln!(
        "flags: {ROUNDS} rounds of {} evaluations each",
        PEOPLE * TURNS
    );
    for _ in 0..ROUNDS {
        let [peer, pure, served] = &mut rates;
        peer.push(rate(|| {
            their_people
                .iter()
                .filter(|person| theirs.is_enabled(KEY, person, &None))
                .count()
        }));
        pure.push(rate(|| {
            people
                .iter()
                .filter(|person| layers.evaluate(KEY, person).is_ok_and(|it| it.is_on()))
                .count()
        }));
        served.push(service.rate(&people)?);
    }
    Ok(rows(&rates))
}

fn rows([peer, pure, served]: &[Vec<f64>; 3]) -> Vec<Row> {
    let row = |what: &str, rates: &[f64]| {
        let rate = median(rates.iter().copied());
        Row::new(
            SUBJECT,
            what,
            format!("{:.0} ns", 1e9 / rate),
            per_second(rate),
        )
    };
    let target = format!("at most {TARGET_NS:.0} ns");
    let mut pure_row =
        row("evaluation, constraint and rollout", pure).compared(median_ratio(pure, peer), None);
    pure_row.detail = format!("{}; target {target}", pure_row.detail);
    vec![
        row("unleash-yggdrasil, the same flag", peer),
        pure_row,
        row("the same through `Flags`, both layers remembered", served)
            .compared(median_ratio(served, peer), None),
    ]
}

/// Evaluations per second, where `all` evaluates everyone once and counts who is in.
fn rate(mut all: impl FnMut() -> usize) -> f64 {
    let started = Instant::now();
    for _ in 0..TURNS {
        black_box(all());
    }
    (PEOPLE * TURNS) as f64 / started.elapsed().as_secs_f64()
}

fn plan(person: usize) -> &'static str {
    if person.is_multiple_of(2) {
        "pro"
    } else {
        "free"
    }
}

fn people() -> Vec<Context> {
    let person = |n| Context::targeted(format!("u_{n}")).with("plan", plan(n));
    (0..PEOPLE).map(person).collect()
}

fn their_people() -> Vec<TheirContext> {
    let person = |n| TheirContext {
        user_id: Some(format!("u_{n}")),
        properties: Some(HashMap::from([("plan".to_owned(), plan(n).to_owned())])),
        ..TheirContext::default()
    };
    (0..PEOPLE).map(person).collect()
}

fn ours() -> Result<(&'static str, Definition)> {
    let definition = serde_json::from_value(json!({"rules": [{
        "when": [{"attribute": "plan", "op": "in", "values": ["pro", "team"]}],
        "rollout": 50,
    }]}))?;
    Ok((KEY, definition))
}

fn peer() -> Result<EngineState> {
    let features = json!({"version": 2, "features": [{
        "name": KEY, "enabled": true, "strategies": [{
            "name": "flexibleRollout",
            "parameters": {"rollout": "50", "stickiness": "userId", "groupId": KEY},
            "constraints": [{"contextName": "plan", "operator": "IN", "values": ["pro", "team"]}],
        }],
    }]});
    let engine = EngineState::default();
    let warnings = engine.take_state(UpdateMessage::FullResponse(serde_json::from_value(
        features,
    )?));
    ensure!(
        warnings.is_none_or(|warnings| warnings.is_empty()),
        "the peer warns"
    );
    Ok(engine)
}

/// The same flag behind the service, over the embedded engine.
struct Service {
    runtime: tokio::runtime::Runtime,
    flags: Flags,
    scope: identity::Scope,
    _folder: tempfile::TempDir,
}

impl Service {
    fn open(definition: &Definition) -> Result<Self> {
        let folder = scratch()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (flags, scope) = runtime.block_on(async {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let engine = Embedded::open(folder.path(), clock.clone(), Arc::new(SystemEntropy))?;
            let flags = Flags::new(FlagsDeps {
                documents: engine.documents(),
                clock,
                authority: SystemAuthority::assume(),
            });
            let scope = scope::of_one_tenant().await?;
            let (key, any) = (KEY.parse()?, Precondition::Any);
            let put = flags.put(&scope, LayerName::Tenant, &key, definition, &any);
            put.await.context("the flag is stored")?;
            Ok::<_, anyhow::Error>((flags, scope))
        })?;
        Ok(Self {
            runtime,
            flags,
            scope,
            _folder: folder,
        })
    }

    fn rate(&self, people: &[Context]) -> Result<f64> {
        self.runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..TURNS {
                for person in people {
                    let evaluation = self.flags.evaluate(&self.scope, KEY, person).await?;
                    black_box(evaluation.is_on());
                }
            }
            Ok((PEOPLE * TURNS) as f64 / started.elapsed().as_secs_f64())
        })
    }
}
