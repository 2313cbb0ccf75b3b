//! A tenant in a database of its own has the notes about its files there, and those of before are carried after it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use gatechain::{AlwaysEnforce, COPIES, Database, Databases, GateChain, GateDeps};
use identity::{Env, SystemAuthority, TenantId};
use serde_json::json;
use store::{
    Batch, CommitError, DocKey, Document, Documents, LIST_LIMIT_MAX, Listing, Partition,
    StoreError, Version,
};
use tenantry_nexus::assets::{CARE, UNREGISTERED_KEPT, noted_tenant};
use testkit::{Faulty, MemoryBlobs, MemoryDocuments, World};

use super::house::{BYTES, Forgetful, House, Meanwhile, Raw, Still, is_unknown, upload};

const AWAY: &str = "t_a";

type Engine = Arc<Faulty<MemoryDocuments>>;

/// Everyone's database, and the one to which a tenant moves.
struct Apart {
    everyones: Engine,
    own: Engine,
    has_moved: AtomicBool,
}

impl Apart {
    fn of(&self, partition: &Partition, id: &str) -> &Engine {
        let home = partition.home().unwrap();
        let tenant = match home.holds {
            CARE => noted_tenant(id).unwrap_or(home.tenant),
            _ => home.tenant,
        };
        let is_own = tenant.as_str() == AWAY || home.holds == COPIES;
        match is_own && self.has_moved.load(Ordering::SeqCst) {
            true => &self.own,
            false => &self.everyones,
        }
    }

    async fn notes(engine: &Engine) -> Vec<Document> {
        let care = Partition::of_system(&SystemAuthority::assume(), CARE);
        let listing = Listing {
            limit: LIST_LIMIT_MAX,
            ..Listing::default()
        };
        engine.inner().list(&care, &listing).await.unwrap()
    }
}

#[async_trait]
impl Documents for Apart {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.of(&key.partition, &key.id).get(key).await
    }
    async fn list(&self, of: &Partition, listing: &Listing) -> Result<Vec<Document>, StoreError> {
        self.of(of, "").list(of, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let expected = batch.expectations().iter().map(|(key, _)| key);
        let mut keys = expected.chain(batch.writes().iter().map(|(key, _)| key));
        let first = keys.next().unwrap();
        let engine = self.of(&first.partition, &first.id);
        let together = keys.all(|key| Arc::ptr_eq(self.of(&key.partition, &key.id), engine));
        assert!(together, "a batch over two engines: {batch:?}");
        engine.commit(batch).await
    }
}

#[async_trait]
impl Databases for Apart {
    async fn of(&self, tenant: &TenantId) -> Result<Option<Database>, StoreError> {
        let is_own = tenant.as_str() == AWAY && self.has_moved.load(Ordering::SeqCst);
        Ok(is_own.then(|| Database {
            id: "own".into(),
            told: json!({}),
        }))
    }
    async fn named(&self) -> Result<Vec<Database>, StoreError> {
        Ok(Vec::new())
    }
    async fn everyones(&self) -> Result<Arc<dyn Documents>, StoreError> {
        Ok(self.everyones.clone())
    }
    fn documents(&self, _: &Database) -> Result<Arc<dyn Documents>, StoreError> {
        Ok(self.own.clone())
    }
}

fn house() -> (House, Arc<Apart>) {
    let world = World::new();
    let engine = || Arc::new(Faulty::new(MemoryDocuments::new(world.clock.clone())));
    let apart = Arc::new(Apart {
        everyones: engine(),
        own: engine(),
        has_moved: AtomicBool::new(false),
    });
    let deps = GateDeps {
        documents: apart.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        authority: SystemAuthority::assume(),
        enforcement: Arc::new(AlwaysEnforce),
        decisions: Arc::new(Forgetful),
        stopwatch: Arc::new(Still),
    };
    let gates = GateChain::over(deps, apart.clone());
    let blobs = Arc::new(Faulty::new(MemoryBlobs::new(world.clock.clone())));
    let assets = House::over(&world, apart.clone(), blobs.clone()).across(gates.clone());
    let house = House {
        world,
        gates,
        documents: apart.everyones.clone(),
        meanwhile: Meanwhile::over(&apart.everyones),
        blobs,
        assets,
    };
    (house, apart)
}

#[tokio::test]
async fn what_nobody_registered_is_deleted_wherever_its_tenant_is_and_was() {
    let (house, apart) = house();
    let scope = house.scope(AWAY, Env::Dev).await;
    let other = house.scope("t_b", Env::Dev).await;
    let before = house.presign::<Raw>(&scope, upload()).await.unwrap();
    let others = house.presign::<Raw>(&other, upload()).await.unwrap();
    for presigned in [&before, &others] {
        assert_eq!(house.send(presigned, BYTES), 204);
    }
    // The move: what is the tenant's is copied, and the row is switched.
    let uploads = Partition::in_scope(&scope, "asset_uploads");
    let key = DocKey::new(&uploads, before.id.as_str());
    let promise = apart.everyones.inner().get(&key).await.unwrap().unwrap();
    let copied = Batch::new().put(&key, promise.value);
    apart.own.inner().commit(copied).await.unwrap();
    apart.has_moved.store(true, Ordering::SeqCst);
    house.world.clock.advance(gatechain::FRESH_MAX);

    let after = house.presign::<Raw>(&scope, upload()).await.unwrap();
    let kept = house.stored::<Raw>(&scope, upload()).await;
    assert_eq!(house.send(&after, BYTES), 204);
    assert_eq!(Apart::notes(&apart.own).await.len(), 2);
    assert_eq!(Apart::notes(&apart.everyones).await.len(), 2);
    house.world.clock.advance(UNREGISTERED_KEPT);
    let mut deleted = 0;
    for _ in 0..3 {
        deleted += house.assets.turn().await.unwrap().deleted;
    }
    assert_eq!(deleted, 3);
    for engine in [&apart.own, &apart.everyones] {
        assert!(Apart::notes(engine).await.is_empty());
    }
    for (scope, gone) in [(&scope, &before), (&scope, &after), (&other, &others)] {
        assert!(!house.has(scope, "raw", &gone.id).await);
        is_unknown(&house.register::<Raw>(scope, &gone.id).await);
    }
    assert!(house.has(&scope, "raw", &kept.id).await);
    house.delete::<Raw>(&scope, &kept.id).await.unwrap();
    assert!(!house.has(&scope, "raw", &kept.id).await);
}
