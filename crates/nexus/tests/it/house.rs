//! Cards behind a gate chain, in a small world.

use std::sync::Arc;

use async_trait::async_trait;
use gatechain::{
    AlwaysEnforce, Credentials, Decision, DecisionLog, GateChain, GateDeps, KillSwitch, Mutation,
    Permit, Stopwatch,
};
use identity::{Env, Member, Precondition, Recorded, Role, Scope, SystemAuthority};
use serde_json::{Value, json};
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, PageRequest, Partition, StoreError,
    Version,
};
use tenantry_nexus::{
    Card, Create, Delete, Id, IdempotencyKey, Made, MergePatch, Model, Nexus, NexusDeps,
    NexusError, Patch, Record, Records, Replace, Restore,
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

/// Documents that let others go first, so that racers in one thread do race.
struct Yielding(MemoryDocuments);

#[async_trait]
impl Documents for Yielding {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        tokio::task::yield_now().await;
        self.0.get(key).await
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        tokio::task::yield_now().await;
        self.0.list(partition, listing).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        tokio::task::yield_now().await;
        self.0.commit(batch).await
    }
}

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) gates: GateChain,
    pub(crate) nexus: Nexus,
    pub(crate) documents: Arc<dyn Documents>,
    pub(crate) cards: Records<Card>,
}

impl House {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let documents = MemoryDocuments::new(world.clock.clone());
        Self::over(world, Arc::new(Yielding(documents)))
    }

    /// Over documents of the caller's.
    pub(crate) fn over(world: World, documents: Arc<dyn Documents>) -> Self {
        let gates = GateChain::new(GateDeps {
            documents: documents.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            authority: SystemAuthority::assume(),
            enforcement: Arc::new(AlwaysEnforce),
            decisions: Arc::new(Forgetful),
            stopwatch: Arc::new(Still),
        });
        let nexus = Nexus::new(NexusDeps {
            documents: documents.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            directory: world.directory.clone(),
        });
        let cards = nexus.records();
        Self {
            world,
            gates,
            nexus,
            documents,
            cards,
        }
    }

    pub(crate) async fn scope(&self, tenant: &str, env: Env) -> Scope {
        self.world
            .scope_as(tenant, env, "u_owner", Role::Owner)
            .await
    }

    /// A scope of someone who is no owner.
    pub(crate) async fn member(&self, tenant: &str, user: &str) -> Scope {
        let world = &self.world;
        world.scope_as(tenant, Env::Dev, user, Role::Member).await
    }

    /// Gives the scope's tenant an asset, of which records know the id alone.
    pub(crate) async fn asset(&self, scope: &Scope, id: &str) {
        let assets = Partition::in_scope(scope, tenantry_nexus::assets::ASSETS);
        let asset = Batch::new().put(&DocKey::new(&assets, id), "{}");
        self.documents.commit(asset).await.unwrap();
    }

    pub(crate) async fn permit<M: Mutation>(&self, scope: &Scope, mutation: M) -> Permit<M> {
        let permit = self.gates.admit(scope, mutation, Credentials::default());
        match permit.await {
            Ok(permit) => permit,
            Err(denied) => panic!("{denied}"),
        }
    }

    pub(crate) async fn create<M: Model>(
        &self,
        scope: &Scope,
        value: M::Body,
        key: Option<&str>,
    ) -> Result<Made<M>, NexusError> {
        let create = Create {
            value,
            key: key.map(|key| IdempotencyKey::parse(key).unwrap()),
            payload: None,
        };
        let permit = self.permit(scope, create).await;
        self.nexus.records().create(scope, permit).await
    }

    /// Makes a record of what a client would send.
    pub(crate) async fn make<M: Model>(
        &self,
        scope: &Scope,
        body: Value,
    ) -> Result<Record<M>, NexusError> {
        let made = self.create(scope, body_of::<M>(body), None).await;
        made.map(|made| made.record)
    }

    pub(crate) async fn made(&self, scope: &Scope, title: &str) -> Record<Card> {
        self.create(scope, card(title), None).await.unwrap().record
    }

    pub(crate) async fn replace<M: Model>(
        &self,
        scope: &Scope,
        id: &Id<M>,
        value: M::Body,
        precondition: Precondition,
    ) -> Result<Record<M>, NexusError> {
        let replace = Replace {
            id: id.clone(),
            value,
            precondition,
            payload: None,
        };
        let permit = self.permit(scope, replace).await;
        self.nexus.records().replace(scope, permit).await
    }

    /// Replaces what a record says with what a client would send.
    pub(crate) async fn put<M: Model>(
        &self,
        scope: &Scope,
        id: &Id<M>,
        body: Value,
    ) -> Result<Record<M>, NexusError> {
        let body = body_of::<M>(body);
        self.replace(scope, id, body, Precondition::Any).await
    }

    pub(crate) async fn patch<M: Model>(
        &self,
        scope: &Scope,
        id: &Id<M>,
        patch: Value,
        precondition: Precondition,
    ) -> Result<Record<M>, NexusError> {
        let patch = Patch {
            id: id.clone(),
            patch: MergePatch(patch),
            precondition,
            payload: None,
        };
        let permit = self.permit(scope, patch).await;
        self.nexus.records().patch(scope, permit).await
    }

    pub(crate) async fn find<M: Model>(&self, scope: &Scope, id: &Id<M>) -> Option<Record<M>> {
        self.nexus.records().find(scope, id).await.unwrap()
    }

    pub(crate) async fn all<M: Model>(&self, scope: &Scope) -> Vec<Record<M>> {
        let records = self.nexus.records();
        let page = records.list(scope, &PageRequest::largest()).await;
        page.unwrap().items
    }

    pub(crate) async fn delete<M: Model>(
        &self,
        scope: &Scope,
        id: &Id<M>,
        precondition: Precondition,
    ) -> Result<Record<M>, NexusError> {
        let id = id.clone();
        let permit = self.permit(scope, Delete { id, precondition }).await;
        self.nexus.records().delete(scope, permit).await
    }

    pub(crate) async fn restore<M: Model>(
        &self,
        scope: &Scope,
        id: &Id<M>,
    ) -> Result<Record<M>, NexusError> {
        let permit = self.permit(scope, Restore { id: id.clone() }).await;
        self.nexus.records().restore(scope, permit).await
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

pub(crate) fn body_of<M: Model>(body: Value) -> M::Body {
    serde_json::from_value(body).unwrap()
}

/// Where a value was refused.
pub(crate) fn pointer<T: std::fmt::Debug>(refused: Result<T, NexusError>) -> String {
    match refused {
        Err(NexusError::Invalid(invalid)) => invalid.pointer,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn card(title: &str) -> Card {
    serde_json::from_value(json!({ "title": title })).unwrap()
}
