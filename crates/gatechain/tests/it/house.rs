//! A gate chain in a small world, and writes that pass through it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use identity::{Env, Member, Precondition, Recorded, Role, Scope, SystemAuthority};
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::{Batch, DocKey, Documents, Partition};
use tenantry_gatechain::{
    AlwaysEnforce, CommitRefused, Committed, Credentials, Databases, Decision, DecisionLog, Denied,
    Enforcement, GateChain, GateDeps, Mode, Mutation, OneDatabase, PayloadHash, Permit, Row, RowId,
    Stopwatch,
};
use testkit::{MemoryDocuments, World};

identity::action!(CreateCard, "nexus.cards.create", Member);

/// A card that is to be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Card {
    pub(crate) id: String,
    pub(crate) cost: Option<u64>,
    pub(crate) text: String,
}

impl Card {
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    pub(crate) fn costing(mut self, cost: u64) -> Self {
        self.cost = Some(cost);
        self
    }

    pub(crate) fn payload(&self) -> Value {
        json!({ "text": self.text })
    }
}

impl Mutation for Card {
    type Action = CreateCard;
    const KIND: &'static str = "cards";

    fn target(&self) -> Option<&str> {
        Some(&self.id)
    }

    fn cost_micros(&self) -> Option<u64> {
        self.cost
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        PayloadHash::of(&self.payload())
    }
}

/// Keeps decisions.
#[derive(Default)]
pub(crate) struct Decisions(Mutex<Vec<Decision>>);

impl Decisions {
    pub(crate) fn all(&self) -> Vec<Decision> {
        self.0.lock().clone()
    }
}

#[async_trait]
impl DecisionLog for Decisions {
    async fn record(&self, _: &Member, decision: &Decision) -> Recorded {
        let mut decisions = self.0.lock();
        decisions.push(decision.clone());
        Recorded::Durable {
            seq: decisions.len() as u64,
        }
    }
}

/// Each look takes a microsecond.
#[derive(Default)]
pub(crate) struct Steps(AtomicU64);

impl Stopwatch for Steps {
    fn nanos(&self) -> u64 {
        self.0.fetch_add(1000, Ordering::Relaxed)
    }
}

/// Everything is in shadow mode.
pub(crate) struct Shadow;

#[async_trait]
impl Enforcement for Shadow {
    async fn mode(&self, _: &Scope, _: &'static str) -> Mode {
        Mode::Shadow
    }
}

/// What a test works with.
pub(crate) struct House {
    pub(crate) world: Arc<World>,
    pub(crate) documents: Arc<dyn Documents>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) gates: GateChain,
}

impl House {
    pub(crate) fn new() -> Self {
        let world = Arc::new(World::new());
        let documents = Arc::new(MemoryDocuments::new(world.clock.clone()));
        Self::on(world, documents, Arc::new(AlwaysEnforce))
    }

    /// A process on documents that may have seen others.
    pub(crate) fn on(
        world: Arc<World>,
        documents: Arc<dyn Documents>,
        enforcement: Arc<dyn Enforcement>,
    ) -> Self {
        Self::over(world, documents, enforcement, Arc::new(OneDatabase))
    }

    /// A process some of whose tenants are in other databases.
    pub(crate) fn over(
        world: Arc<World>,
        documents: Arc<dyn Documents>,
        enforcement: Arc<dyn Enforcement>,
        databases: Arc<dyn Databases>,
    ) -> Self {
        let decisions = Arc::new(Decisions::default());
        let deps = GateDeps {
            documents: documents.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            authority: authority(),
            enforcement,
            decisions: decisions.clone(),
            stopwatch: Arc::new(Steps::default()),
        };
        let gates = GateChain::over(deps, databases);
        Self {
            world,
            documents,
            decisions,
            gates,
        }
    }

    /// Another process beside this one.
    pub(crate) fn beside(&self) -> Self {
        Self::on(
            self.world.clone(),
            self.documents.clone(),
            Arc::new(AlwaysEnforce),
        )
    }

    pub(crate) async fn tenant(&self) -> Scope {
        self.world.scope("t_a", Env::Dev, "u_owner").await
    }

    pub(crate) async fn member(&self) -> Scope {
        self.world
            .scope_as("t_a", Env::Dev, "u_member", Role::Member)
            .await
    }

    pub(crate) async fn operator(&self) -> Scope {
        self.world.scope("t_system", Env::Dev, "u_operator").await
    }

    /// Puts a row, from the JSON that a client sends.
    pub(crate) async fn put<T: Row>(&self, scope: &Scope, id: &str, row: Value) {
        let row: T = serde_json::from_value(row).unwrap();
        let any = Precondition::Any;
        self.gates.put(scope, &row_id(id), row, &any).await.unwrap();
    }

    /// Puts a budget of `limit` per `window`, at `price`.
    pub(crate) async fn budget(&self, scope: &Scope, id: &str, limit: u64, price: u64) {
        let row = json!({
            "action": "nexus.*", "limit_micros": limit, "price_micros": price,
            "window": "total", "counter": "",
        });
        let row: tenantry_gatechain::BudgetRow = serde_json::from_value(row).unwrap();
        let (id, any) = (row_id(id), Precondition::Any);
        self.gates.put(scope, &id, row, &any).await.unwrap();
    }

    pub(crate) async fn stop(&self, scope: &Scope, id: &str, action: &str) {
        let row = json!({"action": action, "reason": "stop"});
        self.put::<tenantry_gatechain::KillSwitch>(scope, id, row)
            .await;
    }

    pub(crate) async fn admit(&self, scope: &Scope, card: Card) -> Result<Permit<Card>, Denied> {
        let permit = self.gates.admit(scope, card, Credentials::default()).await;
        permit.map_err(|denied| *denied)
    }

    /// Passes the gates and writes.
    pub(crate) async fn write(&self, scope: &Scope, card: Card) -> Result<Committed<Card>, Denied> {
        match self.try_write(scope, card).await {
            Ok(committed) => Ok(committed),
            Err(CommitRefused::Denied(denied)) => Err(*denied),
            Err(other) => panic!("{other}"),
        }
    }

    pub(crate) async fn try_write(
        &self,
        scope: &Scope,
        card: Card,
    ) -> Result<Committed<Card>, CommitRefused> {
        let permit = self.gates.admit(scope, card, Credentials::default()).await;
        let permit = permit.map_err(CommitRefused::Denied)?;
        let batch = batch(scope, permit.mutation());
        permit.commit(batch).await
    }

    /// The code that refuses a write, or `ok`.
    pub(crate) async fn answer(&self, scope: &Scope, card: Card) -> &'static str {
        match self.admit(scope, card).await {
            Ok(_) => "ok",
            Err(denied) => denied.refusal.code.as_str(),
        }
    }

    /// What is spent and reserved of a budget.
    pub(crate) async fn spending(&self, scope: &Scope, id: &str) -> (u64, u64) {
        let row = self.gates.find(scope, &row_id(id)).await.unwrap();
        let row: tenantry_gatechain::BudgetRow = row.unwrap().value;
        let spending = self.gates.spending(scope, &row).await.unwrap();
        (spending.spent_micros, spending.reserved_micros)
    }
}

pub(crate) fn authority() -> SystemAuthority {
    SystemAuthority::assume()
}

pub(crate) fn row_id(id: &str) -> RowId {
    id.parse().unwrap()
}

/// The key of a card.
pub(crate) fn key(scope: &Scope, id: &str) -> DocKey {
    DocKey::new(&Partition::in_scope(scope, "cards"), id)
}

/// The batch that writes a card that is not there yet.
pub(crate) fn batch(scope: &Scope, card: &Card) -> Batch {
    let key = key(scope, &card.id);
    let value = card.payload().to_string();
    Batch::new().expect_absent(&key).put(&key, value)
}
