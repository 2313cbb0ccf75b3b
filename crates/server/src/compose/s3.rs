//! The backend `s3`: what its rows must say, its open buckets, and the endpoint for development.
//!
//! **Invariant:** bucket and credentials come from a row of the routing registry, never from the environment.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use control::{Backend, RouteTarget, SecretRef, Secrets};
use engine_embedded::{S3Endpoint, S3EndpointSettings};
use engine_s3::{S3Blobs, S3Credentials, S3Location, S3Settings};
use serde_json::{Map, Value, json};
use store::observed;
use zeroize::Zeroizing;

use super::{
    backend::{Health, Opened, Trouble},
    carry::Objects,
    open::{Opener, known, secret_faults, secret_text, shown},
};
use crate::{
    config::{Config, S3EndpointConfig},
    needs::Port,
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

/// The backend, for the registry's own check.
///
/// # Errors
/// When its name is no name of a backend.
pub(super) fn backend(config: &Config, control: &RouteTarget) -> anyhow::Result<Backend> {
    // Its port is not known yet, and does not matter here.
    let own = config.s3_endpoint.as_ref().map(|_| "http://127.0.0.1");
    known(S3, &[Port::Objects], control, move |target| {
        faults(target, own)
    })
}

fn faults(target: &RouteTarget, own: Option<&str>) -> Vec<String> {
    let mut faults: Vec<String> = location(target, own).err().into_iter().collect();
    let needed = [ACCESS_KEY_ID, SECRET_ACCESS_KEY];
    faults.extend(secret_faults(S3, target, &needed, &[]));
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

/// A secret that is text, by its reference in the configuration.
async fn text(secrets: &Secrets, reference: &str) -> Result<Zeroizing<String>, String> {
    let reference: SecretRef = reference
        .parse()
        .map_err(|error| format!("s3_endpoint: {error}"))?;
    secret_text(secrets, &reference).await
}

/// Opens the bucket of a row; a row that is changed opens another, and resolves its secrets anew.
///
/// # Errors
/// What is wrong with the row.
pub(super) async fn open(opener: &Opener, target: &RouteTarget) -> Result<Opened, Trouble> {
    let own = opener.own_s3.get().map(String::as_str);
    let location = location(target, own).map_err(Trouble::Row)?;
    let id = opener.secret(target, ACCESS_KEY_ID).await?;
    let secret = opener.secret(target, SECRET_ACCESS_KEY).await?;
    let credentials = S3Credentials::new(&id, secret).map_err(|why| Trouble::Row(shown(why)))?;
    let settings = S3Settings {
        location,
        credentials,
    };
    let opened = S3Blobs::new(settings, Arc::clone(&opener.clock)).await;
    let bucket = Arc::new(opened.map_err(|why| Trouble::Row(shown(why)))?);
    Ok(Opened {
        documents: None,
        events: None,
        relocation: None,
        throttle: None,
        blobs: Some(Objects {
            served: observed::blobs(bucket.clone(), S3),
            movable: bucket.clone(),
        }),
        bus: None,
        tickets: None,
        durability: "as the object store promises".to_owned(),
        health: bucket,
    })
}

#[async_trait]
impl Health for S3Blobs {
    async fn check(&self) -> Result<(), String> {
        Self::check(self).await.map_err(shown)
    }
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

    fn check(target: &RouteTarget, own: Option<&str>, expect: &[&str]) {
        let found = faults(target, own);
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expect) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn a_row_that_says_everything_is_in_order() {
        let bucket = json!({"bucket": "tenantry", "region": "eu-central-1"});
        let both = [ACCESS_KEY_ID, SECRET_ACCESS_KEY];
        check(&target(bucket, &both), None, &[]);
        let config = S3EndpointConfig::fresh("file:/id".into(), "file:/secret".into());
        let own = Some("http://127.0.0.1");
        check(&seeded(&config).unwrap(), own, &[]);
    }

    #[test]
    fn everything_that_is_wrong_with_a_row_is_named() {
        check(
            &target(json!({"region": "eu-central-1"}), &["session_token"]),
            None,
            &[
                "`bucket`",
                "access_key_id is not named",
                "secret_access_key is not named",
                "session_token is not one",
            ],
        );
        let config = S3EndpointConfig::fresh("file:/id".into(), "file:/secret".into());
        let own = seeded(&config).unwrap();
        check(&own, None, &["no table [s3_endpoint]"]);
        let both = [ACCESS_KEY_ID, SECRET_ACCESS_KEY];
        let typo = json!({"bucket": "tenantry", "region": "eu-central-1", "acl": "public"});
        check(&target(typo, &both), None, &["`acl`"]);
    }
}
