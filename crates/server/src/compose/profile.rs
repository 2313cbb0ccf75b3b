//! Where a new installation keeps everything, as the rows of its registry then say.

use std::collections::BTreeMap;

use control::RouteTarget;
use serde_json::{Map, Value};

use super::{
    embedded::EMBEDDED,
    firestore::FIRESTORE,
    redis::REDIS,
    s3::{self, S3},
};
use crate::{
    cli::CloudArgs,
    config::Config,
    needs::Seeds,
    routes_command::{object, secrets_of},
    startup::Missing,
};

/// Where the control store of a configuration is: in this process, unless it says otherwise.
///
/// # Errors
/// Never; the name of a backend is one.
pub(super) fn control_store(config: &Config) -> anyhow::Result<RouteTarget> {
    match &config.control {
        Some(target) => Ok(target.clone()),
        None => in_this_process(),
    }
}

fn in_this_process() -> anyhow::Result<RouteTarget> {
    Ok(RouteTarget {
        backend: EMBEDDED.parse()?,
        config: Map::new(),
        secrets: BTreeMap::new(),
    })
}

/// Everything on this machine: one node.
///
/// # Errors
/// When the configuration's references are none.
pub(crate) fn embedded(config: &Config) -> anyhow::Result<Seeds> {
    let here = in_this_process()?;
    Ok(Seeds {
        control: control_store(config)?,
        documents: here.clone(),
        events: here,
        objects: config.s3_endpoint.as_ref().map(s3::seeded).transpose()?,
    })
}

/// Everything where many nodes can share it. The configuration then says where the control store is, and has no
/// S3 endpoint of its own.
///
/// # Errors
/// [`StartupError`](crate::StartupError) names every flag that is missing or says nothing useful.
pub(crate) fn cloud(config: &mut Config, args: &CloudArgs) -> anyhow::Result<Seeds> {
    let mut missing = Missing::default();
    let mut target = |backend: &str, given: Option<&String>, short: Option<&str>| {
        let Some(given) = given else {
            missing.note(format!(
                "--{backend} says where the profile cloud finds its {backend}"
            ));
            return None;
        };
        let target = target(backend, given, short, &args.secrets);
        missing.collect(target.map_err(|error| format!("--{backend}: {error:#}")))
    };
    let redis = target(REDIS, args.redis.as_ref(), Some("url"));
    let firestore = target(FIRESTORE, args.firestore.as_ref(), Some("project"));
    let s3 = target(S3, args.s3.as_ref(), None);
    missing.finish()?;
    let (Some(redis), Some(firestore)) = (redis, firestore) else {
        anyhow::bail!("the profile is not complete");
    };
    config.control = Some(firestore.clone());
    config.s3_endpoint = None;
    Ok(Seeds {
        control: firestore.clone(),
        documents: firestore,
        events: redis,
        objects: s3,
    })
}

/// A target whose config is a JSON object, or the one value that `short` names.
fn target(
    backend: &str,
    given: &str,
    short: Option<&str>,
    secrets: &[String],
) -> anyhow::Result<RouteTarget> {
    let config = match short {
        Some(name) if !given.trim_start().starts_with('{') => {
            Map::from_iter([(name.to_owned(), Value::from(given))])
        }
        _ => object(given)?,
    };
    Ok(RouteTarget {
        backend: backend.parse()?,
        config,
        secrets: secrets_of(backend, secrets)?,
    })
}
