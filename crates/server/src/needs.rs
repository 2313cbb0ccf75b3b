//! What the mounted routes need of the routing registry.

use std::collections::BTreeMap;

use control::{Control, ResourceKind, RoutePlace, RouteRow, RouteTarget};

/// The resources that the mounted routes need; each has a row in the routing registry.
const REQUIRED_KINDS: [&str; 9] = [
    "audit_log",
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
        .map(|kind| kind.parse())
        .collect::<Result<_, _>>()?)
}

/// Makes the rows that are missing: everything is served by `backend`.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn seed(control: &Control, backend: &str) -> anyhow::Result<()> {
    for kind in kinds()? {
        let target = RouteTarget {
            backend: backend.parse()?,
            config: serde_json::Map::new(),
            secrets: BTreeMap::new(),
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
