//! Event streams, rates, stream tickets and an invalidation bus on Redis, shared by all nodes.
//!
//! Start at [`Redis::connect`]. What an acknowledgement means is a matter of the
//! server's settings and of the row that names it ([`Policy`]); a server that keeps
//! less than its row asks for is refused, and `docs/redis.md` says what each setting loses.
//! The ports are given out by `events()`, `throttle()`, `bus()` and `tickets()`.
//!
//! **Invariant:** what was acknowledged is kept as the policy says, and when it may
//! not have been, the epoch of every cursor changes: nobody reads other events under an old cursor.

mod config;
mod durability;
mod error;
mod lanes;
mod life;
mod scripts;

use std::sync::Arc;

use identity::Entropy;
use store::StoreError;

pub use config::{Fsync, Policy, Promise, RedisConfig, RedisPassword, Wait};
pub use durability::Durability;
pub use error::RedisError;

use lanes::Lanes;

/// A Redis that promises what its configuration asks for. Clones share its connections.
#[derive(Clone)]
pub struct Redis {
    lanes: Arc<Lanes>,
}

impl Redis {
    /// Connects, and asks the server what it promises.
    ///
    /// `entropy` draws the epochs of new streams and the secrets of tickets.
    ///
    /// # Errors
    /// [`RedisError`] says what is wrong with the configuration or the server.
    pub async fn connect(
        config: &RedisConfig,
        password: Option<&RedisPassword>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, RedisError> {
        let lanes = Lanes::new(config, password, entropy)?;
        let durability = lanes.meet().await?;
        tracing::info!(place = lanes.place(), %durability, "connected to a Redis");
        Ok(Self {
            lanes: Arc::new(lanes),
        })
    }

    /// What the server promises now; for readiness.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not answer.
    pub async fn durability(&self) -> Result<Durability, StoreError> {
        self.lanes.durability().await
    }
}
