//! Assets behind a gate chain, and a browser that uploads.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use gatechain::{
    AlwaysEnforce, Credentials, Decision, DecisionLog, GateChain, GateDeps, KillSwitch, Mutation,
    PayloadHash, Permit, Stopwatch,
};
use identity::{AssetId, Env, Member, Precondition, Recorded, Role, Scope, SystemAuthority};
use parking_lot::Mutex;
use serde_json::json;
use store::{
    Batch, Blobs, CommitError, DocKey, Document, Documents, Listing, ObjectKey, PageRequest,
    Partition, StoreError, Version,
};
use tenantry_nexus::{
    NexusError,
    assets::{
        Asset, Assets, AssetsDeps, Checksum, Filter, Media, Parent, Presign, Presigned, RawStorage,
        Register, Registered, Remove, Shelf, Upload,
    },
};
use testkit::{Faulty, MemoryBlobs, MemoryDocuments, World};

pub(super) const BYTES: &[u8] = b"0123456789";

pub(super) struct Forgetful;

#[async_trait]
impl DecisionLog for Forgetful {
    async fn record(&self, _: &Member, _: &Decision) -> Recorded {
        Recorded::Durable { seq: 1 }
    }
}

pub(super) struct Still;

impl Stopwatch for Still {
    fn nanos(&self) -> u64 {
        0
    }
}

identity::action!(
    /// Making something for the tests.
    Making, "nexus.tests.make", Member
);

/// Something that a test makes.
pub(super) struct Make;

impl Mutation for Make {
    type Action = Making;
    const KIND: &'static str = "tests";
    fn payload_sha256(&self) -> Option<PayloadHash> {
        None
    }
}

/// Documents that let something happen right before a commit.
pub(super) struct Meanwhile {
    inner: Arc<Faulty<MemoryDocuments>>,
    happens: Mutex<Option<(u32, BoxFuture<'static, ()>)>>,
}

impl Meanwhile {
    pub(super) fn over(inner: &Arc<Faulty<MemoryDocuments>>) -> Arc<Self> {
        Arc::new(Self {
            inner: inner.clone(),
            happens: Mutex::default(),
        })
    }

    /// Lets something happen before the commit that follows the next `commits`.
    pub(super) fn after(&self, commits: u32, happens: impl Future<Output = ()> + Send + 'static) {
        *self.happens.lock() = Some((commits, Box::pin(happens)));
    }

    fn is_due(&self) -> Option<BoxFuture<'static, ()>> {
        let mut happens = self.happens.lock();
        match happens.take() {
            Some((0, future)) => Some(future),
            Some((commits, future)) => {
                *happens = Some((commits - 1, future));
                None
            }
            None => None,
        }
    }
}

#[async_trait]
impl Documents for Meanwhile {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.inner.get(key).await
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.inner.list(partition, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let happens = self.is_due();
        if let Some(happens) = happens {
            happens.await;
        }
        self.inner.commit(batch).await
    }
}

pub(super) struct House {
    pub(super) world: World,
    pub(super) gates: GateChain,
    pub(super) documents: Arc<Faulty<MemoryDocuments>>,
    pub(super) meanwhile: Arc<Meanwhile>,
    pub(super) blobs: Arc<Faulty<MemoryBlobs>>,
    pub(super) assets: Assets,
}

impl House {
    pub(super) fn new() -> Self {
        let world = World::new();
        let documents = Arc::new(Faulty::new(MemoryDocuments::new(world.clock.clone())));
        let blobs = Arc::new(Faulty::new(MemoryBlobs::new(world.clock.clone())));
        let meanwhile = Meanwhile::over(&documents);
        let gates = GateChain::new(GateDeps {
            documents: meanwhile.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            authority: SystemAuthority::assume(),
            enforcement: Arc::new(AlwaysEnforce),
            decisions: Arc::new(Forgetful),
            stopwatch: Arc::new(Still),
        });
        let assets = Self::over(&world, meanwhile.clone(), blobs.clone());
        Self {
            world,
            gates,
            documents,
            meanwhile,
            blobs,
            assets,
        }
    }

    /// The same assets, in another process.
    pub(super) fn elsewhere(&self) -> Assets {
        Self::over(&self.world, self.documents.clone(), self.blobs.clone())
    }

    /// The same in another process, into whose writes something can come.
    pub(super) fn watched(&self) -> (Arc<Meanwhile>, Assets) {
        let meanwhile = Meanwhile::over(&self.documents);
        let assets = Self::over(&self.world, meanwhile.clone(), self.blobs.clone());
        (meanwhile, assets)
    }

    pub(super) fn over(
        world: &World,
        documents: Arc<dyn Documents>,
        blobs: Arc<dyn Blobs>,
    ) -> Assets {
        Assets::new(AssetsDeps {
            documents,
            raw: blobs.clone(),
            media: blobs,
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            authority: SystemAuthority::assume(),
            upload_bytes_max: 1000,
        })
    }

    pub(super) async fn scope(&self, tenant: &str, env: Env) -> Scope {
        let owner = self.world.scope_as(tenant, env, "u_owner", Role::Owner);
        owner.await
    }

    pub(super) async fn permit<M: Mutation>(&self, scope: &Scope, mutation: M) -> Permit<M> {
        let permit = self.gates.admit(scope, mutation, Credentials::default());
        match permit.await {
            Ok(permit) => permit,
            Err(denied) => panic!("{denied}"),
        }
    }

    pub(super) async fn presign<S: Shelf>(
        &self,
        scope: &Scope,
        upload: Upload,
    ) -> Result<Presigned, NexusError> {
        let permit = self.permit(scope, Presign::<S>::new(upload, None)).await;
        self.assets.presign(scope, permit).await
    }

    pub(super) async fn register<S: Shelf>(
        &self,
        scope: &Scope,
        id: &AssetId,
    ) -> Result<Registered, NexusError> {
        let register = Register::<S>::new(id.clone(), None);
        let permit = self.permit(scope, register).await;
        self.assets.register(scope, permit).await
    }

    pub(super) async fn delete<S: Shelf>(
        &self,
        scope: &Scope,
        id: &AssetId,
    ) -> Result<(), NexusError> {
        let permit = self.permit(scope, Remove::<S>::new(id.clone())).await;
        self.assets.delete(scope, permit).await
    }

    /// Sends a form as a browser does; the HTTP status.
    pub(super) fn send(&self, presigned: &Presigned, bytes: &'static [u8]) -> u16 {
        let form = &presigned.form;
        let blobs = self.blobs.inner();
        blobs.post_form(&form.url, &form.fields, Bytes::from_static(bytes))
    }

    /// A registered file of ten bytes.
    pub(super) async fn stored<S: Shelf>(&self, scope: &Scope, upload: Upload) -> Asset {
        let presigned = self.presign::<S>(scope, upload).await.unwrap();
        assert_eq!(self.send(&presigned, BYTES), 204);
        let registered = self.register::<S>(scope, &presigned.id).await.unwrap();
        assert!(!registered.duplicate);
        registered.asset
    }

    pub(super) async fn listed<S: Shelf>(&self, scope: &Scope, filter: &Filter) -> Vec<AssetId> {
        let page = PageRequest::default();
        let page = self.assets.list::<S>(scope, filter, &page).await;
        let items = page.unwrap().items;
        items.into_iter().map(|asset| asset.id).collect()
    }

    pub(super) async fn artifacts(&self, scope: &Scope, parent: Option<&Parent>) -> Vec<Asset> {
        let page = PageRequest::default();
        let page = self.assets.artifacts(scope, parent, &page).await;
        page.unwrap().items
    }

    /// Whether the store has an object.
    pub(super) async fn has(&self, scope: &Scope, area: &'static str, id: &AssetId) -> bool {
        let key = ObjectKey::in_scope(scope, area, id, "a.txt").unwrap();
        self.blobs.inner().head(&key).await.unwrap().is_some()
    }

    /// Engages a kill switch of the scope's tenant.
    pub(super) async fn stop(&self, scope: &Scope) {
        let row = json!({"action": "nexus.*", "reason": "stop"});
        let row: KillSwitch = serde_json::from_value(row).unwrap();
        let (id, any) = ("k".parse().unwrap(), Precondition::Any);
        self.gates.put(scope, &id, row, &any).await.unwrap();
    }
}

/// The file `a.txt` of ten bytes.
pub(super) fn upload() -> Upload {
    Upload {
        filename: "a.txt".parse().unwrap(),
        content_type: "text/plain".parse().unwrap(),
        size: 10,
        sha256: None,
        kind: None,
        parent: None,
        meta: serde_json::from_value(json!({})).unwrap(),
    }
}

pub(super) fn hashed(bytes: &[u8]) -> Upload {
    use sha2::Digest;
    Upload {
        sha256: Some(Checksum(sha2::Sha256::digest(bytes).into())),
        ..upload()
    }
}

pub(super) fn made_from(parent: &AssetId) -> Upload {
    Upload {
        parent: Some(parent.clone()),
        ..upload()
    }
}

/// The pointer of what is not valid.
pub(super) fn pointer<T: std::fmt::Debug>(answer: Result<T, NexusError>) -> String {
    match answer {
        Err(NexusError::Invalid(invalid)) => invalid.pointer,
        other => panic!("{other:?}"),
    }
}

pub(super) fn is_unknown<T: std::fmt::Debug>(answer: &Result<T, NexusError>) {
    assert!(matches!(answer, Err(NexusError::NotFound)), "{answer:?}");
}

pub(super) type Raw = RawStorage;
pub(super) type Film = Media;
