//! A process, as far as flags go, with an admin of `t_a` and an operator.

use std::sync::Arc;

use identity::{Env, Precondition, Recording, Role, Scope, SystemAuthority};
use serde_json::Value;
use store::{Batch, DocKey, Documents, Partition};
use tenantry_flags::{Changed, Context, Evaluation, Flags, FlagsDeps, FlagsError, LayerName};
use testkit::{Faulty, MemoryDocuments, MemoryRecorder, World};

use super::rules::definition;

pub(super) struct Node {
    pub(super) world: World,
    pub(super) documents: Arc<Faulty<MemoryDocuments>>,
    pub(super) flags: Arc<Flags>,
    pub(super) admin: Scope,
    pub(super) operator: Scope,
    pub(super) recorder: Arc<MemoryRecorder>,
    pub(super) recording: Recording,
}

/// Flags over `documents`, with nothing remembered.
pub(super) fn over(world: &World, documents: Arc<dyn Documents>) -> Arc<Flags> {
    Arc::new(Flags::new(FlagsDeps {
        documents,
        clock: world.clock.clone(),
        authority: SystemAuthority::assume(),
    }))
}

impl Node {
    pub(super) async fn new() -> Self {
        let world = World::new();
        let documents = Arc::new(Faulty::new(MemoryDocuments::new(world.clock.clone())));
        let (recorder, recording) = MemoryRecorder::recording();
        Self {
            admin: world
                .scope_as("t_a", Env::Dev, "u_admin", Role::Admin)
                .await,
            operator: world
                .scope_as("t_system", Env::Prod, "u_op", Role::Admin)
                .await,
            flags: over(&world, documents.clone()),
            recorder,
            recording,
            documents,
            world,
        }
    }

    /// Another process over the same store.
    pub(super) fn another(&self) -> Arc<Flags> {
        over(&self.world, self.documents.clone())
    }

    /// Who speaks for a layer here.
    pub(super) fn scope(&self, layer: LayerName) -> &Scope {
        match layer {
            LayerName::System => &self.operator,
            LayerName::Tenant => &self.admin,
        }
    }

    pub(super) async fn try_put(
        &self,
        layer: LayerName,
        key: &str,
        json: &Value,
    ) -> Result<Changed, FlagsError> {
        let (scope, key) = (self.scope(layer), key.parse().unwrap());
        let definition = definition(json);
        self.flags
            .put(scope, layer, &key, &definition, &Precondition::Any)
            .await
    }

    pub(super) async fn put(&self, layer: LayerName, key: &str, json: &Value) -> Changed {
        self.try_put(layer, key, json).await.unwrap()
    }

    pub(super) async fn delete(&self, layer: LayerName, key: &str) -> Changed {
        let (scope, key) = (self.scope(layer), key.parse().unwrap());
        let any = Precondition::Any;
        self.flags.delete(scope, layer, &key, &any).await.unwrap()
    }

    pub(super) async fn evaluate(&self, key: &str) -> Result<Evaluation, FlagsError> {
        self.flags
            .evaluate(&self.admin, key, &Context::targeted("u_1"))
            .await
    }

    pub(super) async fn is_on(&self, key: &str) -> bool {
        self.evaluate(key).await.unwrap().is_on()
    }

    /// Where the documents of a layer are.
    pub(super) fn partition(&self, layer: LayerName) -> Partition {
        match layer {
            LayerName::System => Partition::of_system(&SystemAuthority::assume(), "flags"),
            LayerName::Tenant => Partition::in_scope(&self.admin, "flags"),
        }
    }

    /// Replaces a document of a layer behind the service's back, and everything remembered.
    pub(super) async fn damage(
        &mut self,
        layer: LayerName,
        id: &str,
        value: impl Into<bytes::Bytes>,
    ) {
        let key = DocKey::new(&self.partition(layer), id);
        let batch = Batch::new().put(&key, value);
        self.documents.commit(batch).await.unwrap();
        self.flags = self.another();
    }
}
