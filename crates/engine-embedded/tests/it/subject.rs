//! An embedded engine in a temporary folder, for the contract suites and for other tests.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use identity::{Clock as _, Env, SystemAuthority, Timestamp};
use parking_lot::Mutex;
use store::{
    Bus, Documents, EventLog, Relocation, Throttle,
    contract::{Scopes, Subject},
};
use tempfile::TempDir;
use tenantry_engine_embedded::Embedded;
use testkit::World;

pub(crate) struct Engine {
    pub(crate) world: World,
    scopes: Scopes,
    folder: TempDir,
    open: Mutex<Option<Embedded>>,
}

/// Opens an engine in a fresh folder.
pub(crate) async fn engine() -> Engine {
    let world = World::new();
    let scopes = Scopes {
        one: world.scope("t_one", Env::Dev, "u_1").await,
        other_tenant: world.scope("t_two", Env::Dev, "u_1").await,
        other_env: world.scope("t_one", Env::Prod, "u_1").await,
        system: SystemAuthority::assume(),
    };
    let folder = tempfile::tempdir().unwrap();
    let open = Mutex::new(Some(open(folder.path(), &world)));
    Engine {
        world,
        scopes,
        folder,
        open,
    }
}

/// Opens `folder` with the clock and the chance of `world`.
pub(crate) fn open(folder: &Path, world: &World) -> Embedded {
    Embedded::open(folder, world.clock.clone(), world.entropy.clone()).unwrap()
}

impl Engine {
    pub(crate) fn handle(&self) -> Embedded {
        self.open.lock().clone().unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn close(&self) {
        let open = self.open.lock().take();
        open.unwrap().close().await;
    }

    pub(crate) async fn reopen(&self) {
        self.close().await;
        *self.open.lock() = Some(open(self.folder(), &self.world));
    }
}

macro_rules! subject {
    ($port:ty, $get:ident) => {
        #[async_trait]
        impl Subject<$port> for Engine {
            fn port(&self) -> Arc<$port> {
                self.handle().$get()
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
                Engine::reopen(self).await;
            }
        }
    };
}

subject!(dyn Documents, documents);
subject!(dyn EventLog, events);
subject!(dyn Relocation, relocation);
subject!(dyn Throttle, throttle);
subject!(dyn Bus, bus);
