//! The engine under test.
//!
//! Without variables each test starts a `redis-server` of its own. `REDIS_URL` names another server
//! instead, as `redis://[user:password@]host[:port][/database]`; it must be durable. Keys of each
//! test begin with a prefix of their own, so a server can be used again.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use deadpool_redis::redis::{self, Client, Value};
use identity::{Clock as _, Env, SystemAuthority, Timestamp};
use parking_lot::Mutex;
use store::{
    Bus, EventLog, Relocation, Throttle,
    contract::{Scopes, Subject},
};
use tenantry_engine_redis::{
    Fsync, Policy, Promise, Redis, RedisConfig, RedisCredentials, RedisPassword,
};
use testkit::{RedisServer, SeededEntropy, World};
use url::Url;
use zeroize::Zeroizing;

pub(crate) struct Engine {
    pub(crate) world: World,
    pub(crate) scopes: Scopes,
    /// The server, unless it is another's.
    own: Option<RedisServer>,
    config: RedisConfig,
    credentials: RedisCredentials,
    open: Mutex<Redis>,
}

/// Connects to the server that `REDIS_URL` names, or to one of our own.
pub(crate) async fn engine() -> Engine {
    match env::var("REDIS_URL") {
        Ok(url) => {
            let mut url = Url::parse(&url).unwrap();
            let password = url.password().map(|text| Zeroizing::new(text.to_owned()));
            let password = password.map(|text| RedisPassword::new(text).unwrap());
            url.set_password(None).unwrap();
            url.set_username("").unwrap();
            let credentials = RedisCredentials {
                password,
                ..RedisCredentials::default()
            };
            over(None, RedisConfig::new(url.as_str()).unwrap(), credentials).await
        }
        Err(_) => own(&[]).await,
    }
}

/// A server of the test's own, with more settings.
pub(crate) async fn own(settings: &[&str]) -> Engine {
    let server = RedisServer::start_with(settings);
    let config = RedisConfig::new(&server.url()).unwrap();
    over(Some(server), config, RedisCredentials::default()).await
}

pub(crate) async fn over(
    own: Option<RedisServer>,
    config: RedisConfig,
    credentials: RedisCredentials,
) -> Engine {
    let config = config.with_prefix(&unique()).unwrap();
    let world = World::new();
    let scopes = Scopes {
        one: world.scope("t_one", Env::Dev, "u_1").await,
        other_tenant: world.scope("t_two", Env::Dev, "u_1").await,
        other_env: world.scope("t_one", Env::Prod, "u_1").await,
        system: SystemAuthority::assume(),
    };
    let open = connect(&config, &credentials).await;
    Engine {
        world,
        scopes,
        own,
        config,
        credentials,
        open: Mutex::new(open),
    }
}

/// A prefix that no other test has.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{}-{next}", since.as_micros(), std::process::id())
}

/// Another node: what it draws differs from what others draw.
pub(crate) async fn connect(config: &RedisConfig, credentials: &RedisCredentials) -> Redis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = u64::try_from(since.as_nanos()).unwrap();
    let entropy = Arc::new(SeededEntropy::new(seed));
    Redis::connect(config, credentials, entropy).await.unwrap()
}

/// Runs a command on `server`, as an operator does.
pub(crate) async fn run(server: &RedisServer, words: &[String]) -> Value {
    let client = Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(&mut connection).await.unwrap()
}

/// The id of an entry of what `XRANGE` answered.
pub(crate) fn entry_id(range: &Value, at: usize) -> String {
    let entries: Vec<(String, Value)> = redis::from_redis_value_ref(range).unwrap();
    entries[at].0.clone()
}

impl Engine {
    pub(crate) fn handle(&self) -> Redis {
        self.open.lock().clone()
    }

    /// The server of this test, which it may kill.
    pub(crate) fn server(&self) -> &RedisServer {
        self.own.as_ref().unwrap()
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        &self.config
    }

    /// An engine that takes whatever `server` promises.
    pub(crate) async fn relaxed(server: RedisServer) -> Self {
        let policy = Policy {
            promise: Promise::Relaxed,
            appendfsync: Fsync::No,
            wait: None,
        };
        let config = RedisConfig::new(&server.url()).unwrap();
        let config = config.with_policy(policy).unwrap();
        over(Some(server), config, RedisCredentials::default()).await
    }

    /// Runs a command past the engine.
    pub(crate) async fn command(&self, words: &[String]) -> Value {
        run(self.server(), words).await
    }

    /// Another process on the same server.
    pub(crate) async fn node(&self) -> Redis {
        connect(&self.config, &self.credentials).await
    }

    async fn reopen(&self) {
        if let Some(server) = &self.own {
            server.kill();
            server.revive();
        }
        let node = self.node().await;
        *self.open.lock() = node;
    }
}

macro_rules! subject {
    ($port:ty, $get:expr) => {
        #[async_trait]
        impl Subject<$port> for Engine {
            fn port(&self) -> Arc<$port> {
                let get: fn(&Engine) -> Arc<$port> = $get;
                get(self)
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

subject!(dyn Bus, |engine| engine.handle().bus());
subject!(dyn EventLog, |engine| engine.handle().events());
subject!(dyn Relocation, |engine| engine.handle().relocation());
subject!(dyn Throttle, |engine| {
    engine.handle().throttle_by(engine.world.clock.clone())
});
