//! The backend `redis`: event logs, rates, stream tickets, and what nodes tell each other.

use std::sync::Arc;

use async_trait::async_trait;
use control::{Backend, RouteTarget};
use engine_redis::{
    ClientIdentity, Redis, RedisConfig, RedisCredentials, RedisError, RedisPassword,
    TrustedAuthorities,
};
use serde_json::Value;
use store::observed;
use zeroize::Zeroizing;

use super::{
    backend::{Health, Opened, Trouble},
    open::{Opener, known, secret_faults, shown},
};
use crate::needs::Port;

/// Its name in the registry.
pub(super) const REDIS: &str = "redis";
/// The password, if the server asks for one.
const PASSWORD: &str = "password";
/// Over TLS: the certificates of authorities that sign the server's, if it is not a public one.
const CA: &str = "ca";
/// Over TLS: who this node is, if the server asks.
const CLIENT_CERTIFICATE: &str = "client_certificate";
const CLIENT_KEY: &str = "client_key";

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
    let config = config(target);
    let plain = config.as_ref().is_ok_and(|config| !config.tls());
    let mut faults: Vec<String> = config.err().into_iter().collect();
    let known = [PASSWORD, CA, CLIENT_CERTIFICATE, CLIENT_KEY];
    faults.extend(secret_faults(REDIS, target, &[], &known));
    let named = |secret: &str| target.secrets.contains_key(secret);
    for secret in [CA, CLIENT_CERTIFICATE, CLIENT_KEY] {
        if plain && named(secret) {
            faults.push(format!(
                "the secret {secret} is for TLS: the url must begin with rediss://"
            ));
        }
    }
    for (given, lacking) in [
        (CLIENT_CERTIFICATE, CLIENT_KEY),
        (CLIENT_KEY, CLIENT_CERTIFICATE),
    ] {
        if named(given) && !named(lacking) {
            faults.push(format!("the secret {given} needs the secret {lacking}"));
        }
    }
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
    let credentials = credentials(opener, target).await?;
    let entropy = Arc::clone(&opener.entropy);
    let opened = Redis::connect(&config, &credentials, entropy).await;
    let redis = opened.map_err(|error| Trouble::Backend(shown(error)))?;
    let durability = redis.durability().await;
    let durability = durability.map_err(|error| Trouble::Backend(shown(error)))?;
    Ok(Opened {
        documents: None,
        events: Some(observed::events(redis.events(), REDIS)),
        relocation: Some(redis.relocation()),
        throttle: Some(observed::throttle(redis.throttle(), REDIS)),
        blobs: None,
        bus: Some(observed::bus(redis.bus(), REDIS)),
        tickets: Some(redis.tickets(Arc::clone(&opener.clock))),
        durability: durability.to_string(),
        health: Arc::new(redis),
    })
}

/// What the secrets of a row hold.
async fn credentials(opener: &Opener, target: &RouteTarget) -> Result<RedisCredentials, Trouble> {
    // The registry's own check looks whether they are there, and not into them.
    let wrong = |error: RedisError| Trouble::Backend(shown(error));
    let password = named(opener, target, PASSWORD).await?;
    let authorities = named(opener, target, CA).await?;
    let certificate = named(opener, target, CLIENT_CERTIFICATE).await?;
    let key = named(opener, target, CLIENT_KEY).await?;
    let authorities = authorities.map(|pem| TrustedAuthorities::new(&pem));
    let client = certificate.zip(key);
    let client = client.map(|(certificate, key)| ClientIdentity::new(&certificate, key));
    Ok(RedisCredentials {
        password: password
            .map(RedisPassword::new)
            .transpose()
            .map_err(wrong)?,
        authorities: authorities.transpose().map_err(wrong)?,
        client: client.transpose().map_err(wrong)?,
    })
}

/// A secret, if the row names it.
async fn named(
    opener: &Opener,
    target: &RouteTarget,
    name: &str,
) -> Result<Option<Zeroizing<String>>, Trouble> {
    match target.secrets.contains_key(name) {
        true => opener.secret(target, name).await.map(Some),
        false => Ok(None),
    }
}

#[async_trait]
impl Health for Redis {
    async fn check(&self) -> Result<(), String> {
        self.durability().await.map(drop).map_err(shown)
    }
}
