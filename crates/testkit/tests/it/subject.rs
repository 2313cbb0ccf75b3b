//! In-memory engines for the contract suites, measured and traced as in a server: that changes no law.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use identity::{Clock as _, Env, SystemAuthority, Timestamp};
use store::{
    Blobs, Bus, Documents, EventLog, LocalBus, Throttle,
    contract::{
        Scopes, Subject,
        blobs::{BlobsSubject, Browser},
    },
    observed,
};
use tenantry_testkit::{MemoryBlobs, MemoryDocuments, MemoryEventLog, MemoryThrottle, World};

pub(crate) struct Memory<T> {
    world: World,
    scopes: Scopes,
    engine: Arc<T>,
}

async fn memory<T>(make: impl FnOnce(&World) -> T) -> Memory<T> {
    let world = World::new();
    Memory {
        scopes: Scopes {
            one: world.scope("t_one", Env::Dev, "u_1").await,
            other_tenant: world.scope("t_two", Env::Dev, "u_1").await,
            other_env: world.scope("t_one", Env::Prod, "u_1").await,
            system: SystemAuthority::assume(),
        },
        engine: Arc::new(make(&world)),
        world,
    }
}

pub(crate) async fn documents() -> Memory<MemoryDocuments> {
    memory(|world| MemoryDocuments::new(world.clock.clone())).await
}

pub(crate) async fn events() -> Memory<MemoryEventLog> {
    memory(|_| MemoryEventLog::default()).await
}

pub(crate) async fn throttle() -> Memory<MemoryThrottle> {
    memory(|world| MemoryThrottle::new(world.clock.clone())).await
}

pub(crate) async fn bus() -> Memory<LocalBus> {
    memory(|_| LocalBus::default()).await
}

pub(crate) async fn blobs() -> Memory<MemoryBlobs> {
    memory(|world| MemoryBlobs::new(world.clock.clone())).await
}

macro_rules! subject {
    ($engine:ty, $port:ty, $observed:expr) => {
        #[async_trait]
        impl Subject<$port> for Memory<$engine> {
            fn port(&self) -> Arc<$port> {
                let engine: Arc<$port> = self.engine.clone();
                $observed(engine, "memory")
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
            /// Memory has no restart: it lives as long as the value.
            async fn reopen(&self) {}
        }
    };
}

subject!(MemoryDocuments, dyn Documents, observed::documents);
subject!(MemoryEventLog, dyn EventLog, observed::events);
subject!(MemoryThrottle, dyn Throttle, observed::throttle);
subject!(MemoryBlobs, dyn Blobs, observed::blobs);
subject!(LocalBus, dyn Bus, observed::bus);

impl BlobsSubject for Memory<MemoryBlobs> {
    fn browser(&self) -> &dyn Browser {
        self
    }
}

#[async_trait]
impl Browser for Memory<MemoryBlobs> {
    async fn post_form(&self, url: &str, fields: &[(String, String)], file: Bytes) -> u16 {
        self.engine.post_form(url, fields, file)
    }
    async fn put(&self, url: &str, headers: &[(String, String)], body: Bytes) -> u16 {
        self.engine.put(url, headers, body)
    }
    async fn get(&self, url: &str, _: &[(String, String)]) -> (u16, Bytes) {
        self.engine.get_url(url)
    }
}
