//! The backend `s3`: what its rows must say, its open buckets, and the endpoint for development.
//!
//! **Invariant:** bucket and credentials come from a row of the routing registry, never from the environment.

use std::{collections::BTreeMap, fmt, sync::Arc};

use control::{Backend, ResourceKind, RouteTarget, SecretRef, Secrets};
use engine_embedded::{S3Endpoint, S3EndpointSettings};
use engine_s3::{S3Blobs, S3Credentials, S3Location, S3Settings};
use identity::Clock;
use quick_cache::sync::Cache;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    config::{Config, S3EndpointConfig},
    needs::OBJECT_KINDS,
    startup::Missing,
};

/// Its name in the registry.
pub(super) const S3: &str = "s3";
/// The endpoint of a row that is served by the development endpoint.
const OWN_ENDPOINT: &str = "s3_endpoint";
/// The one bucket of the development endpoint, and the region that requests to it are signed for.
const OWN_BUCKET: &str = "tenantry-dev";
const OWN_REGION: &str = "us-east-1";
/// The folder of its objects, in the data folder.
const OWN_FOLDER: &str = "objects";
/// The secrets of a row.
const ACCESS_KEY_ID: &str = "access_key_id";
const SECRET_ACCESS_KEY: &str = "secret_access_key";
/// Buckets that are kept open; a connection pool each.
const BUCKETS_MAX: usize = 128;

/// The backend, for the registry's own check.
///
/// # Errors
/// When its name is no name of a backend.
pub(super) fn backend(config: &Config) -> anyhow::Result<Backend> {
    // Its port is not known yet, and does not matter here.
    let own = config.s3_endpoint.as_ref().map(|_| "http://127.0.0.1");
    Ok(Backend::new(S3.parse()?, move |kind, target| {
        faults(kind, target, own)
    }))
}

fn faults(kind: &ResourceKind, target: &RouteTarget, own: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    if !OBJECT_KINDS.contains(&kind.to_string().as_str()) {
        faults.push(format!(
            "the backend {S3} serves {} alone",
            OBJECT_KINDS.join(" and ")
        ));
    }
    faults.extend(location(target, own).err());
    let needed = [ACCESS_KEY_ID, SECRET_ACCESS_KEY];
    for name in needed {
        if !target.secrets.contains_key(name) {
            faults.push(format!("the secret {name} is not named"));
        }
    }
    for name in target.secrets.keys() {
        if !needed.contains(&name.as_str()) {
            faults.push(format!("the secret {name} is not one of the backend {S3}"));
        }
    }
    faults
}

/// Where a row's bucket is.
fn location(target: &RouteTarget, own: Option<&str>) -> Result<S3Location, String> {
    let mut config = target.config.clone();
    if config.get("endpoint").is_some_and(|at| at == OWN_ENDPOINT) {
        let why = "its endpoint is s3_endpoint, and the configuration has no table [s3_endpoint]";
        let own = own.ok_or(why)?;
        config.insert("endpoint".to_owned(), own.into());
    }
    serde_json::from_value(Value::Object(config)).map_err(|error| format!("its config: {error}"))
}

/// Where new rows send objects: to the development endpoint.
///
/// # Errors
/// When the configuration's references are none.
pub(super) fn seeded(config: &S3EndpointConfig) -> anyhow::Result<RouteTarget> {
    let told = json!({
        "bucket": OWN_BUCKET,
        "region": OWN_REGION,
        "endpoint": OWN_ENDPOINT,
        "path_style": true,
    });
    let config_of_row: Map<String, Value> = serde_json::from_value(told)?;
    let secrets = [
        (ACCESS_KEY_ID.to_owned(), config.access_key_id.parse()?),
        (
            SECRET_ACCESS_KEY.to_owned(),
            config.secret_access_key.parse()?,
        ),
    ];
    Ok(RouteTarget {
        backend: S3.parse()?,
        config: config_of_row,
        secrets: BTreeMap::from(secrets),
    })
}

/// Starts the development endpoint, if there is to be one; notes what keeps it from starting.
pub(super) async fn endpoint(
    config: &Config,
    secrets: &Secrets,
    missing: &mut Missing,
) -> Option<S3Endpoint> {
    let endpoint = config.s3_endpoint.as_ref()?;
    let id = missing.collect(text(secrets, &endpoint.access_key_id).await);
    let secret = missing.collect(text(secrets, &endpoint.secret_access_key).await);
    let settings = S3EndpointSettings {
        listen: endpoint.listen,
        folder: config.data.join(OWN_FOLDER),
        bucket: OWN_BUCKET.to_owned(),
        access_key_id: id?.to_string(),
        secret_access_key: secret?,
    };
    missing.collect(S3Endpoint::start(settings).await)
}

/// A secret that is text.
async fn text(secrets: &Secrets, reference: &str) -> Result<Zeroizing<String>, String> {
    let reference: SecretRef = reference
        .parse()
        .map_err(|error| format!("s3_endpoint: {error}"))?;
    fetch(secrets, &reference).await
}

async fn fetch(secrets: &Secrets, reference: &SecretRef) -> Result<Zeroizing<String>, String> {
    let value = secrets.fetch(reference).await;
    let value = value.map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(value.expose());
    let text = text.map_err(|_| format!("the secret {reference} is no text"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// The buckets that rows name, opened when they are first asked for.
pub(super) struct Buckets {
    secrets: Arc<Secrets>,
    clock: Arc<dyn Clock>,
    own: Option<String>,
    open: Cache<String, Arc<S3Blobs>>,
}

impl Buckets {
    pub(super) fn new(
        secrets: Arc<Secrets>,
        clock: Arc<dyn Clock>,
        own: Option<&S3Endpoint>,
    ) -> Self {
        Self {
            secrets,
            clock,
            own: own.map(S3Endpoint::url),
            open: Cache::new(BUCKETS_MAX),
        }
    }

    /// The bucket of a row. Rows that say the same share it; one that is changed opens another,
    /// and resolves its secrets anew.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub(super) async fn of(&self, target: &RouteTarget) -> Result<Arc<S3Blobs>, String> {
        let said = serde_json::to_string(target).map_err(shown)?;
        self.open
            .get_or_insert_async(&said, self.open_anew(target))
            .await
    }

    async fn open_anew(&self, target: &RouteTarget) -> Result<Arc<S3Blobs>, String> {
        if target.backend.to_string() != S3 {
            return Err(format!("the backend {} keeps no objects", target.backend));
        }
        let location = location(target, self.own.as_deref())?;
        let id = self.secret(target, ACCESS_KEY_ID).await?;
        let secret = self.secret(target, SECRET_ACCESS_KEY).await?;
        let credentials = S3Credentials::new(&id, secret).map_err(shown)?;
        let settings = S3Settings {
            location,
            credentials,
        };
        let opened = S3Blobs::new(settings, Arc::clone(&self.clock)).await;
        opened.map(Arc::new).map_err(shown)
    }

    async fn secret(&self, target: &RouteTarget, name: &str) -> Result<Zeroizing<String>, String> {
        let reference = target.secrets.get(name);
        let reference = reference.ok_or_else(|| format!("the secret {name} is not named"))?;
        fetch(&self.secrets, reference).await
    }
}

fn shown(error: impl fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(config: Value, secrets: &[&str]) -> RouteTarget {
        let secrets = secrets.iter();
        RouteTarget {
            backend: S3.parse().unwrap(),
            config: serde_json::from_value(config).unwrap(),
            secrets: secrets
                .map(|name| ((*name).to_owned(), "env:NAME".parse().unwrap()))
                .collect(),
        }
    }

    fn check(kind: &str, target: &RouteTarget, own: Option<&str>, expect: &[&str]) {
        let found = faults(&kind.parse().unwrap(), target, own);
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expect) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn a_row_that_says_everything_is_in_order() {
        let bucket = json!({"bucket": "tenantry", "region": "eu-central-1"});
        let both = [ACCESS_KEY_ID, SECRET_ACCESS_KEY];
        check("media", &target(bucket, &both), None, &[]);
        let config = S3EndpointConfig::fresh("file:/id".into(), "file:/secret".into());
        let own = Some("http://127.0.0.1");
        check("raw_storage", &seeded(&config).unwrap(), own, &[]);
    }

    #[test]
    fn everything_that_is_wrong_with_a_row_is_named() {
        check(
            "flags",
            &target(json!({"region": "eu-central-1"}), &["session_token"]),
            None,
            &[
                "raw_storage and media alone",
                "`bucket`",
                "access_key_id is not named",
                "secret_access_key is not named",
                "session_token is not one",
            ],
        );
        let config = S3EndpointConfig::fresh("file:/id".into(), "file:/secret".into());
        let own = seeded(&config).unwrap();
        check("media", &own, None, &["no table [s3_endpoint]"]);
        let both = [ACCESS_KEY_ID, SECRET_ACCESS_KEY];
        let typo = json!({"bucket": "tenantry", "region": "eu-central-1", "acl": "public"});
        check("media", &target(typo, &both), None, &["`acl`"]);
    }
}
