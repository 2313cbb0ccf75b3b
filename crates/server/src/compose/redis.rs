//! The backend `redis`: event logs, rates, stream tickets, and what nodes tell each other.

use std::sync::Arc;

use async_trait::async_trait;
use control::{Backend, RouteTarget};
use engine_redis::{Redis, RedisConfig, RedisPassword};
use serde_json::Value;
use store::observed;

use super::{
    backend::{Health, Opened, Trouble},
    open::{Opener, known, secret_faults, shown},
};
use crate::needs::Port;

/// Its name in the registry.
pub(super) const REDIS: &str = "redis";
/// The password, if the server asks for one.
pub(super) const PASSWORD: &str = "password";

/// The backend, for the registry's own check.
///
/// # Errors
/// When its name is no name of a backend.
pub(super) fn backend(control: &RouteTarget) -> anyhow::Result<Backend> {
    known(
        REDIS,
        &[Port::Events, Port::Throttle, Port::Bus, Port::Tickets],
        control,
        faults,
    )
}

fn faults(target: &RouteTarget) -> Vec<String> {
    let mut faults: Vec<String> = config(target).err().into_iter().collect();
    faults.extend(secret_faults(REDIS, target, &[], &[PASSWORD]));
    faults
}

fn config(target: &RouteTarget) -> Result<RedisConfig, String> {
    let config = Value::Object(target.config.clone());
    serde_json::from_value(config).map_err(|error| format!("its config: {error}"))
}

/// Connects to the Redis of a row.
///
/// # Errors
/// What is wrong with the row, or that the server is not there, or promises less than the row asks for.
pub(super) async fn open(opener: &Opener, target: &RouteTarget) -> Result<Opened, Trouble> {
    let config = config(target).map_err(Trouble::Row)?;
    let password = match target.secrets.contains_key(PASSWORD) {
        true => {
            let password = opener.secret(target, PASSWORD).await?;
            Some(RedisPassword::new(password).map_err(|error| Trouble::Row(shown(error)))?)
        }
        false => None,
    };
    let entropy = Arc::clone(&opener.entropy);
    let opened = Redis::connect(&config, password.as_ref(), entropy).await;
    let redis = opened.map_err(|error| Trouble::Backend(shown(error)))?;
    let durability = redis.durability().await;
    let durability = durability.map_err(|error| Trouble::Backend(shown(error)))?;
    Ok(Opened {
        documents: None,
        events: Some(observed::events(redis.events(), REDIS)),
        throttle: Some(observed::throttle(redis.throttle(), REDIS)),
        blobs: None,
        bus: Some(observed::bus(redis.bus(), REDIS)),
        tickets: Some(redis.tickets(Arc::clone(&opener.clock))),
        durability: durability.to_string(),
        health: Arc::new(redis),
    })
}

#[async_trait]
impl Health for Redis {
    async fn check(&self) -> Result<(), String> {
        self.durability().await.map(drop).map_err(shown)
    }
}
