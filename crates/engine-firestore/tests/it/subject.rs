//! The engine under test. Each test has a project of its own, which an emulator makes when it is named.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use identity::Clock as _;
use identity::{Env, SystemAuthority, Timestamp};
use parking_lot::RwLock;
use store::{
    Batch, CommitError, DocKey, Documents, Partition, Version,
    contract::{Scopes, Subject},
};
use tenantry_engine_firestore::{Firestore, FirestoreLocation, FirestoreSettings};
use testkit::{FirestoreEmulator, SeededEntropy, World};

/// One project, its callers and its time.
pub(crate) struct Store {
    pub(crate) world: World,
    pub(crate) address: String,
    project: String,
    scopes: Scopes,
    chance: Arc<SeededEntropy>,
    documents: RwLock<Arc<dyn Documents>>,
    own: Option<FirestoreEmulator>,
}

/// A project of the emulator that the environment names, or of one of our own.
pub(crate) async fn open() -> Store {
    match env::var("FIRESTORE_EMULATOR_HOST") {
        Ok(address) => Store::at(address, None).await,
        Err(_) => open_own().await,
    }
}

/// A project of an emulator that nobody else uses, because things are done to it.
pub(crate) async fn open_own() -> Store {
    let emulator = FirestoreEmulator::start();
    Store::at(emulator.address(), Some(emulator)).await
}

fn settings(project: &str, address: &str) -> FirestoreSettings {
    let location = FirestoreLocation::emulator(project, None, address).unwrap();
    FirestoreSettings::new(location, None).unwrap()
}

impl Store {
    async fn at(address: String, own: Option<FirestoreEmulator>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let project = format!("t-{}-{}-{next}", since.as_millis(), std::process::id());
        let world = World::new();
        let scopes = Scopes {
            one: world.scope("t_one", Env::Dev, "u_1").await,
            other_tenant: world.scope("t_other", Env::Dev, "u_1").await,
            other_env: world.scope("t_one", Env::Prod, "u_1").await,
            system: SystemAuthority::assume(),
        };
        let chance = Arc::new(SeededEntropy::new(u64::from(std::process::id())));
        let firestore = connect(&project, &address, &world, &chance).await;
        Self {
            world,
            address,
            project,
            scopes,
            chance,
            documents: RwLock::new(firestore.documents()),
            own,
        }
    }

    /// The emulator that nobody else uses.
    pub(crate) fn emulator(&self) -> &FirestoreEmulator {
        self.own
            .as_ref()
            .expect("it was opened with one of its own")
    }

    pub(crate) fn documents(&self) -> Arc<dyn Documents> {
        Arc::clone(&self.documents.read())
    }

    /// Another connection to the same project, straight or over a proxy: another node.
    pub(crate) async fn another(&self, address: &str) -> Firestore {
        connect(&self.project, address, &self.world, &self.chance).await
    }

    /// A document of the test's own partition.
    pub(crate) fn key(&self, id: &str) -> DocKey {
        DocKey::new(&self.partition(), id)
    }

    pub(crate) fn partition(&self) -> Partition {
        Partition::in_scope(&self.scopes.one, "engine")
    }

    /// The number in a document, with its version; 0 when there is none.
    pub(crate) async fn number(
        &self,
        documents: &dyn Documents,
        key: &DocKey,
    ) -> (u64, Option<Version>) {
        let Some(found) = documents.get(key).await.unwrap() else {
            return (0, None);
        };
        let text = std::str::from_utf8(&found.value).unwrap();
        (text.parse().unwrap(), Some(found.version))
    }
}

/// Expects what was read, or that nothing was there.
pub(crate) fn expecting(key: &DocKey, version: Option<Version>) -> Batch {
    match version {
        Some(version) => Batch::new().expect_version(key, version),
        None => Batch::new().expect_absent(key),
    }
}

pub(crate) fn conflict(key: &DocKey) -> Result<Version, CommitError> {
    Err(CommitError::Conflict(key.clone()))
}

async fn connect(
    project: &str,
    address: &str,
    world: &World,
    chance: &Arc<SeededEntropy>,
) -> Firestore {
    let (clock, chance) = (world.clock.clone(), Arc::clone(chance));
    Firestore::connect(&settings(project, address), clock, chance)
        .await
        .unwrap()
}

#[async_trait]
impl Subject<dyn Documents> for Store {
    fn port(&self) -> Arc<dyn Documents> {
        self.documents()
    }

    fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.world.clock.advance(by);
    }

    async fn reopen(&self) {
        // The emulator forgets all when it ends, so it is our side that starts anew.
        let firestore = self.another(&self.address).await;
        *self.documents.write() = firestore.documents();
    }
}
