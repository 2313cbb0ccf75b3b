//! Event streams, rates, stream tickets and an invalidation bus on Redis, shared by all nodes.
//!
//! Start at [`Redis::connect`]. What an acknowledgement means is a matter of the
//! server's settings and of the row that names it ([`Policy`]); a server that keeps
//! less than its row asks for is refused, and `docs/redis.md` says what each setting loses.
//! The ports are given out by `events()`, `throttle()`, `bus()` and `tickets()`.
//!
//! **Invariant:** what was acknowledged is kept as the policy says, and when it may
//! not have been, the epoch of every cursor changes: nobody reads other events under an old cursor.

mod bus;
mod config;
mod credentials;
mod durability;
mod error;
mod events;
mod lanes;
mod life;
mod listener;
mod names;
mod opening;
mod scripts;
mod throttle;
mod tickets;

use std::sync::Arc;

use deadpool_redis::redis::Client;
use identity::{Clock, Entropy, TicketOffice};
use store::{Bus, EventLog, Relocation, StoreError, Throttle};

pub use config::{Fsync, Policy, Promise, RedisConfig, Wait};
pub use credentials::{ClientIdentity, RedisCredentials, RedisPassword, TrustedAuthorities};
pub use durability::Durability;
pub use error::RedisError;

use bus::RedisBus;
use events::RedisEventLog;
use lanes::Lanes;
use listener::Listener;
use names::Names;
use throttle::RedisThrottle;
use tickets::RedisTickets;

/// A Redis that promises what its configuration asks for. Clones share its connections.
#[derive(Clone)]
pub struct Redis {
    lanes: Arc<Lanes>,
    names: Names,
    events: Arc<RedisEventLog>,
    bus: Arc<RedisBus>,
}

impl Redis {
    /// Connects, and asks the server what it promises.
    ///
    /// `entropy` draws the epochs of new streams and the secrets of tickets. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`RedisError`] says what is wrong with the configuration or the server.
    pub async fn connect(
        config: &RedisConfig,
        credentials: &RedisCredentials,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, RedisError> {
        let lanes = Arc::new(Lanes::new(config, credentials, entropy)?);
        let durability = lanes.meet().await?;
        tracing::info!(place = lanes.place(), tls = config.tls(), %durability, "connected to a Redis");
        let client = Client::open(config.connection(credentials)?)
            .map_err(|cause| RedisError::Invalid(cause.category().to_owned()))?;
        let names = Names::new(config.prefix());
        let listener = Listener::start(client, &lanes);
        Ok(Self {
            bus: Arc::new(RedisBus::new(&lanes, &names, &listener)),
            events: Arc::new(RedisEventLog::new(&lanes, &names, listener)),
            lanes,
            names,
        })
    }

    /// What the server promises now; for readiness.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not answer.
    pub async fn durability(&self) -> Result<Durability, StoreError> {
        self.lanes.durability().await
    }

    /// The event streams.
    #[must_use]
    pub fn events(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.events) as Arc<dyn EventLog>
    }

    /// The same event streams, to be moved.
    #[must_use]
    pub fn relocation(&self) -> Arc<dyn Relocation> {
        Arc::clone(&self.events) as Arc<dyn Relocation>
    }

    /// What all nodes tell each other.
    #[must_use]
    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus) as Arc<dyn Bus>
    }

    /// Stream tickets that any node gives and any node takes. `clock` is the one by which
    /// their ends were chosen.
    #[must_use]
    pub fn tickets(&self, clock: Arc<dyn Clock>) -> Arc<dyn TicketOffice> {
        Arc::new(RedisTickets::new(&self.lanes, &self.names, clock))
    }

    /// The rates, by the server's clock, which all nodes share.
    #[must_use]
    pub fn throttle(&self) -> Arc<dyn Throttle> {
        Arc::new(RedisThrottle::new(&self.lanes, &self.names, None))
    }

    /// The rates by a clock of the caller's, for tests that move it. Nodes whose clocks differ
    /// would allow more than a rate does.
    #[must_use]
    pub fn throttle_by(&self, clock: Arc<dyn Clock>) -> Arc<dyn Throttle> {
        Arc::new(RedisThrottle::new(&self.lanes, &self.names, Some(clock)))
    }
}
