//! A gate chain over many tenants, each with a row of every kind.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::{Result, anyhow, bail};
use async_trait::async_trait;
use gatechain::{
    AlwaysEnforce, Ask, BudgetRow, Decision, DecisionLog, Extent, FRESH_MAX, FirearmRow, Gate,
    GateChain, GateDeps, KillSwitch, Kpi, Row, RowId, Stopwatch, StrategyLock, Temperature,
};
use identity::{Clock, Member, Precondition, Recorded, Role, Scope, SystemAuthority, Timestamp};
use serde_json::{Value, json};

use super::shelf::Shelf;
use crate::{
    ambient::{SystemClock, SystemEntropy},
    scope::Guests,
};

const ACTION: &str = "nexus.cards.create";

/// Passes over the hot tenants until all are remembered.
const PASSES_MAX: usize = 8;

/// The processor's own clock, as the server passes it in.
pub(crate) struct Monotonic {
    clock: quanta::Clock,
    began: u64,
}

impl Monotonic {
    pub(crate) fn start() -> Self {
        let clock = quanta::Clock::new();
        let began = clock.raw();
        Self { clock, began }
    }
}

impl Stopwatch for Monotonic {
    fn nanos(&self) -> u64 {
        self.clock.delta_as_nanos(self.began, self.clock.raw())
    }
}

/// A clock that costs what the system's does, and stands still while a round is measured,
/// so that all of it finds its snapshots warm.
struct Held(AtomicI64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        black_box(SystemClock.now());
        Timestamp::from_unix_ms(self.0.load(Ordering::Relaxed))
    }
}

/// Decisions are not what is measured, so they are not recorded.
pub(crate) struct Unrecorded;

#[async_trait]
impl DecisionLog for Unrecorded {
    async fn record(&self, _: &Member, _: &Decision) -> Recorded {
        Recorded::Degraded { why: "bench" }
    }
}

pub(super) struct House {
    clock: Arc<Held>,
    gates: GateChain,
    guests: Guests,
    hot: Vec<Scope>,
}

impl House {
    /// Gives `hot` tenants their rows.
    pub(super) async fn found(hot: usize) -> Result<Self> {
        let clock = Arc::new(Held(AtomicI64::new(SystemClock.now().unix_ms())));
        let gates = GateChain::new(GateDeps {
            documents: Arc::new(Shelf::default()),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            authority: SystemAuthority::assume(),
            enforcement: Arc::new(AlwaysEnforce),
            decisions: Arc::new(Unrecorded),
            stopwatch: Arc::new(Monotonic::start()),
        });
        let guests = Guests::new()?;
        let mut house = Self {
            clock,
            gates,
            guests,
            hot: Vec::with_capacity(hot),
        };
        let system = house.guests.scope("t_system").await?;
        house.furnish(&system).await?;
        for tenant in 0..hot {
            let scope = house.guests.scope(&format!("t_{tenant}")).await?;
            house.furnish(&scope).await?;
            house.hot.push(scope);
        }
        Ok(house)
    }

    pub(super) fn hot(&self) -> usize {
        self.hot.len()
    }

    /// Every other tenant decides once: it has no rows of its own.
    pub(super) async fn visit(&self, from: usize, to: usize) -> Result<()> {
        for tenant in from..to {
            let scope = self.guests.scope(&format!("t_{tenant}")).await?;
            self.gates.warm(&scope).await?;
        }
        Ok(())
    }

    /// Lets what is remembered grow old, and loads what the hot tenants need.
    pub(super) async fn warm(&self) -> Result<()> {
        let fresh_ms = i64::try_from(FRESH_MAX.as_millis())?;
        self.clock.0.fetch_add(fresh_ms, Ordering::Relaxed);
        // A memory that is full keeps what is asked for again, not what is seen once.
        for _ in 0..PASSES_MAX {
            for scope in &self.hot {
                self.gates.warm(scope).await?;
            }
            if (0..self.hot.len()).all(|at| self.decide(at).is_ok()) {
                return Ok(());
            }
        }
        bail!("the memory does not hold the hot tenants")
    }

    /// Brings the scope of a hot tenant to mind, and nothing else.
    pub(super) fn look_at(&self, at: usize) {
        if let Some(scope) = self.hot.get(at) {
            black_box((scope.tenant().clone(), scope.env(), scope.user().clone()));
        }
    }

    /// Decides for one of the hot tenants, on what is remembered.
    pub(super) fn decide(&self, at: usize) -> Result<()> {
        let scope = self.hot.get(at).ok_or_else(|| anyhow!("no such tenant"))?;
        let ask = Ask {
            action: ACTION,
            target: None,
            user: scope.user(),
            role: Role::Member,
            cost_micros: None,
            payload: None,
            bare: false,
            approval: None,
        };
        let verdicts = self.gates.remembered(scope, &ask, Extent::FirstRefusal);
        let verdicts = verdicts.ok_or_else(|| anyhow!("the snapshot is not warm any more"))?;
        if verdicts.len() != Gate::ALL.len() - 1 || verdicts.iter().any(|one| one.refusal.is_some())
        {
            bail!("not every gate let pass: {verdicts:?}");
        }
        Ok(())
    }

    async fn furnish(&self, scope: &Scope) -> Result<()> {
        self.put::<KillSwitch>(scope, json!({"action": "media.*", "reason": "elsewhere"}))
            .await?;
        let requirement = json!({"kind": "requirement", "action": "nexus.*"});
        self.put_as::<FirearmRow>(scope, "need", requirement)
            .await?;
        let licence =
            json!({"kind": "licence", "action": "nexus.cards.*", "subject": "role:member"});
        self.put_as::<FirearmRow>(scope, "have", licence).await?;
        self.put::<StrategyLock>(scope, json!({"action": "pricing.*", "reason": "frozen"}))
            .await?;
        self.put::<Kpi>(
            scope,
            json!({"action": "nexus.*", "floor": 1.0, "max_age_s": 86400}),
        )
        .await?;
        self.gates.observe(scope, &id("row")?, 2.0, None).await?;
        let row = json!({"action": "nexus.*", "ceiling": 50.0, "half_life_s": 600});
        self.put::<Temperature>(scope, row).await?;
        self.gates.heat(scope, &id("row")?, 20.0).await?;
        let budget = json!({"action": "nexus.*", "limit_micros": 1_000_000, "price_micros": 1,
            "window": "day", "counter": ""});
        self.put::<BudgetRow>(scope, budget).await
    }

    async fn put<T: Row>(&self, scope: &Scope, row: Value) -> Result<()> {
        self.put_as::<T>(scope, "row", row).await
    }

    async fn put_as<T: Row>(&self, scope: &Scope, name: &str, row: Value) -> Result<()> {
        let row: T = serde_json::from_value(row)?;
        self.gates
            .put(scope, &id(name)?, row, &Precondition::Any)
            .await?;
        Ok(())
    }
}

fn id(text: &str) -> Result<RowId> {
    Ok(text.parse()?)
}
