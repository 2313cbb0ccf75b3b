//! Cards behind a gate chain, in a small world.

use std::sync::Arc;

use async_trait::async_trait;
use gatechain::{
    AlwaysEnforce, Credentials, Decision, DecisionLog, GateChain, GateDeps, KillSwitch, Mutation,
    Permit, Stopwatch,
};
use identity::{Env, Member, Precondition, Recorded, Role, Scope, SystemAuthority};
use serde_json::json;
use store::Documents;
use tenantry_nexus::{
    Card, Create, Delete, Id, IdempotencyKey, Made, NexusDeps, NexusError, Record, Records,
    Replace, Restore,
};
use testkit::{MemoryDocuments, World};

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

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) gates: GateChain,
    pub(crate) cards: Records<Card>,
}

impl House {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let documents: Arc<dyn Documents> = Arc::new(MemoryDocuments::new(world.clock.clone()));
        let gates = GateChain::new(GateDeps {
            documents: documents.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            authority: SystemAuthority::assume(),
            enforcement: Arc::new(AlwaysEnforce),
            decisions: Arc::new(Forgetful),
            stopwatch: Arc::new(Still),
        });
        let cards = Records::new(NexusDeps {
            documents,
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
        });
        Self {
            world,
            gates,
            cards,
        }
    }

    pub(crate) async fn scope(&self, tenant: &str, env: Env) -> Scope {
        self.world
            .scope_as(tenant, env, "u_owner", Role::Owner)
            .await
    }

    pub(crate) async fn permit<M: Mutation>(&self, scope: &Scope, mutation: M) -> Permit<M> {
        let permit = self.gates.admit(scope, mutation, Credentials::default());
        match permit.await {
            Ok(permit) => permit,
            Err(denied) => panic!("{denied}"),
        }
    }

    pub(crate) async fn create(
        &self,
        scope: &Scope,
        value: Card,
        key: Option<&str>,
    ) -> Result<Made<Card>, NexusError> {
        let create = Create {
            value,
            key: key.map(|key| IdempotencyKey::parse(key).unwrap()),
            payload: None,
        };
        let permit = self.permit(scope, create).await;
        self.cards.create(scope, permit).await
    }

    pub(crate) async fn made(&self, scope: &Scope, title: &str) -> Record<Card> {
        self.create(scope, card(title), None).await.unwrap().record
    }

    pub(crate) async fn replace(
        &self,
        scope: &Scope,
        id: &Id<Card>,
        value: Card,
        precondition: Precondition,
    ) -> Result<Record<Card>, NexusError> {
        let replace = Replace {
            id: id.clone(),
            value,
            precondition,
            payload: None,
        };
        let permit = self.permit(scope, replace).await;
        self.cards.replace(scope, permit).await
    }

    pub(crate) async fn delete(
        &self,
        scope: &Scope,
        id: &Id<Card>,
        precondition: Precondition,
    ) -> Result<Record<Card>, NexusError> {
        let id = id.clone();
        let permit = self.permit(scope, Delete { id, precondition }).await;
        self.cards.delete(scope, permit).await
    }

    pub(crate) async fn restore(
        &self,
        scope: &Scope,
        id: &Id<Card>,
    ) -> Result<Record<Card>, NexusError> {
        let permit = self.permit(scope, Restore { id: id.clone() }).await;
        self.cards.restore(scope, permit).await
    }

    /// Engages a kill switch of the scope's tenant.
    pub(crate) async fn stop(&self, scope: &Scope) {
        let row = json!({"action": "nexus.*", "reason": "stop"});
        let row: KillSwitch = serde_json::from_value(row).unwrap();
        let id = "k".parse().unwrap();
        let any = Precondition::Any;
        self.gates.put(scope, &id, row, &any).await.unwrap();
    }
}

pub(crate) fn card(title: &str) -> Card {
    serde_json::from_value(json!({ "title": title })).unwrap()
}
