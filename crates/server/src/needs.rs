//! What the mounted routes need of the routing registry.

use std::collections::BTreeMap;

use control::{Control, ResourceKind, RoutePlace, RouteRow, RouteTarget};

use crate::startup::Missing;

/// The resources whose bytes are objects in a bucket.
pub(crate) const OBJECT_KINDS: [&str; 2] = ["raw_storage", "media"];
/// All other resources that the mounted routes need; each has a row in the routing registry.
const REQUIRED_KINDS: [&str; 10] = [
    "audit_log",
    "canvas_commits",
    "chat_bus",
    "flags",
    "gates",
    "nexus_records",
    "rate_limit",
    "realtime_registry",
    "stream_tickets",
    "train_prefs",
];

/// The same, as the registry names them.
///
/// # Errors
/// When one is no name of a kind.
pub(crate) fn kinds() -> anyhow::Result<Vec<ResourceKind>> {
    Ok(REQUIRED_KINDS
        .iter()
        .chain(&OBJECT_KINDS)
        .map(|kind| kind.parse())
        .collect::<Result<_, _>>()?)
}

/// Makes the rows that are missing: everything is served by `backend`, and objects by `objects`
/// if there is a place for them.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn seed(
    control: &Control,
    backend: &str,
    objects: Option<&RouteTarget>,
) -> anyhow::Result<()> {
    for kind in kinds()? {
        let target = if OBJECT_KINDS.contains(&kind.to_string().as_str()) {
            match objects {
                Some(objects) => objects.clone(),
                None => continue,
            }
        } else {
            RouteTarget {
                backend: backend.parse()?,
                config: serde_json::Map::new(),
                secrets: BTreeMap::new(),
            }
        };
        let row = RouteRow {
            kind,
            place: RoutePlace {
                tenant: None,
                env: None,
            },
            target,
        };
        control.routes().put_if_absent(&row).await?;
    }
    Ok(())
}

/// Notes everything that is wrong with the rows, or missing among them.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn check(control: &Control, missing: &mut Missing) -> anyhow::Result<()> {
    for found in control.check_routes().await?.problems {
        let (tenant, env) = (found.place.tenant_text(), found.place.env_text());
        missing.note(format!(
            "the route of {} for {tenant}/{env}: {}",
            found.kind, found.problem
        ));
    }
    Ok(())
}
