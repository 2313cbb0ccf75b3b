//! Nodes that share a store, and people whose scopes are earned through the guard.

use std::sync::Arc;

use identity::{Env, Precondition, Recording, Role, Scope, SystemAuthority, UserId};
use store::{Batch, DocKey, Documents, Partition};
use tenantry_privacy::{
    Effective, Preference, PrivacyError, Source, TrainPrefs, TrainPrefsDeps, Training,
};
use testkit::{Faulty, MemoryDocuments, MemoryRecorder, World};

pub(super) use Training::{Allow, Deny};

/// A process, as far as preferences go.
pub(super) struct Node {
    pub(super) world: World,
    pub(super) documents: Arc<Faulty<MemoryDocuments>>,
    pub(super) prefs: Arc<TrainPrefs>,
    pub(super) recorder: Arc<MemoryRecorder>,
    pub(super) recording: Recording,
}

/// Preferences over `documents`, with nothing remembered.
pub(super) fn over(world: &World, documents: Arc<dyn Documents>) -> Arc<TrainPrefs> {
    Arc::new(TrainPrefs::new(TrainPrefsDeps {
        documents,
        directory: world.directory.clone(),
        clock: world.clock.clone(),
        authority: SystemAuthority::assume(),
    }))
}

impl Node {
    pub(super) fn new() -> Self {
        let world = World::new();
        let memory = MemoryDocuments::new(world.clock.clone());
        let documents = Arc::new(Faulty::new(memory));
        let prefs = over(&world, documents.clone());
        let (recorder, recording) = MemoryRecorder::recording();
        Self {
            recorder,
            recording,
            world,
            documents,
            prefs,
        }
    }

    /// Another process over the same store.
    pub(super) fn another(&self) -> Arc<TrainPrefs> {
        over(&self.world, self.documents.clone())
    }

    /// `user` in `t_a`, where they have `role`.
    pub(super) async fn at_a(&self, user: &str, role: Role) -> Scope {
        self.world.scope_as("t_a", Env::Dev, user, role).await
    }

    pub(super) async fn operator(&self) -> Scope {
        let (tenant, role) = ("t_system", Role::Admin);
        self.world
            .scope_as(tenant, Env::Dev, "u_operator", role)
            .await
    }

    /// What users say for themselves.
    pub(super) async fn say(&self, scope: &Scope, training: Training) -> Preference {
        self.say_of(scope, scope.user().as_str(), training)
            .await
            .unwrap()
    }

    /// What the scope's user says about `user`.
    pub(super) async fn say_of(
        &self,
        scope: &Scope,
        user: &str,
        training: Training,
    ) -> Result<Preference, PrivacyError> {
        let subject = self.prefs.subject(scope, &id(user)).await?;
        self.prefs
            .set_user(&subject, training, &Precondition::Any)
            .await
    }

    /// Replaces the record of a level with something that is none.
    pub(super) async fn damage(&self, level: Damage) {
        let authority = SystemAuthority::assume();
        let tenant = "t_a".parse().unwrap();
        let of_tenant = || Partition::of_tenant(&authority, &tenant, "train_prefs");
        let key = match level {
            Damage::System => {
                DocKey::new(&Partition::of_system(&authority, "train_prefs"), "system")
            }
            Damage::Tenant => DocKey::new(&of_tenant(), "tenant"),
            Damage::User(user) => DocKey::new(&of_tenant(), user),
        };
        let batch = Batch::new().put(&key, "{\"purpose\":\"training\",".as_bytes());
        self.documents.commit(batch).await.unwrap();
    }
}

/// Which level's record to damage.
pub(super) enum Damage {
    System,
    Tenant,
    User(&'static str),
}

pub(super) fn id(user: &str) -> UserId {
    user.parse().unwrap()
}

/// An answer without its version.
pub(super) fn told(effective: Effective) -> (Training, Source) {
    (effective.training, effective.source)
}
