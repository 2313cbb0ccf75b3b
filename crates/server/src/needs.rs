//! What the mounted routes need of the routing registry: every kind of resource, by which port it is
//! reached, how finely it can be routed, and what of the store belongs to it.
//!
//! **Invariant:** a collection of documents and a rail of events belong to one kind, and kinds whose records
//! are committed in one batch are on one engine: all but one of them are `same_as` that one.

use std::{collections::HashMap, sync::LazyLock};

pub(crate) use control::Breadth;
use control::{Control, Need, ResourceKind, RoutePlace, RouteRow, RouteTarget};

use crate::startup::Missing;

/// By which port a kind is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// Documents, by their collections.
    Documents,
    /// Event logs, by their rails.
    Events,
    /// Rates.
    Throttle,
    /// Objects.
    Objects,
    /// What nodes tell each other.
    Bus,
    /// Stream tickets.
    Tickets,
}

impl Port {
    /// What is kept behind it, for messages.
    pub(crate) const fn holds(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Events => "events",
            Self::Throttle => "rates",
            Self::Objects => "objects",
            Self::Bus => "messages",
            Self::Tickets => "tickets",
        }
    }
}

/// One kind of resource.
pub(crate) struct Kind {
    /// Its name in the registry.
    pub(crate) name: &'static str,
    /// By which port it is reached.
    pub(crate) port: Port,
    /// How finely it can be routed.
    pub(crate) breadth: Breadth,
    /// The kind whose batches its records are written in.
    pub(crate) follows: Option<&'static str>,
    /// Its collections or rails.
    pub(crate) holds: &'static [&'static str],
}

const fn kind(
    name: &'static str,
    port: Port,
    breadth: Breadth,
    holds: &'static [&'static str],
) -> Kind {
    Kind {
        name,
        port,
        breadth,
        follows: None,
        holds,
    }
}

/// A kind whose records are committed together with content and with the fences of the gates. The system's
/// kill switches fence every tenant's writes: those of a tenant on another engine by a copy of that fence there.
const fn gated(name: &'static str, holds: &'static [&'static str]) -> Kind {
    Kind {
        follows: Some(NEXUS),
        ..kind(name, Port::Documents, Breadth::Served, holds)
    }
}

use Breadth::{Env, Everyone, Served, Tenant};
use Port::{Bus, Documents, Events, Objects, Throttle, Tickets};

/// The kind of the control store, which the configuration names and the registry repeats.
pub(crate) const CONTROL: &str = "control";

/// Kinds that are asked for by their names.
pub(crate) const NEXUS: &str = "nexus";
pub(crate) const NODE_BUS: &str = "node_bus";
pub(crate) const AUDIT_LOG: &str = "audit_log";
pub(crate) const AUDIT_RECORDS: &str = "audit_records";
pub(crate) const STREAM_TICKETS: &str = "stream_tickets";
pub(crate) const RATE_LIMIT: &str = "rate_limit";
pub(crate) const RAW_STORAGE: &str = "raw_storage";
pub(crate) const MEDIA: &str = "media";

/// All kinds.
pub(crate) static KINDS: &[Kind] = &[
    // Tenants, users, members, sessions, and the registry itself: where the configuration says.
    kind(CONTROL, Documents, Everyone, &[]),
    kind(
        NEXUS,
        Documents,
        Served,
        &[
            "atoms",
            "packs",
            "cards",
            "settings",
            "runs",
            "snippets",
            "record_changes",
            "deleted_records",
            "record_slots",
            "record_groups",
            "record_keys",
            "assets",
            "asset_uploads",
            "asset_lists",
            "asset_care",
        ],
    ),
    gated("memory", &["memory"]),
    gated("maybes", &["maybes"]),
    gated("analytics_events", &["analytics_events"]),
    gated("page_content", &["page_content"]),
    gated("seo", &["seo"]),
    // The rows of these gates are read and fenced together, as one collection.
    gated(
        "strategy_lock",
        &["gates", "gate_approvals", gatechain::COPIES],
    ),
    gated("kill_switch", &[]),
    gated("firearms", &[]),
    gated("kpi", &[]),
    gated("temperature", &[]),
    gated("budget", &["gate_budgets"]),
    kind(
        "feature_flags",
        Documents,
        Tenant,
        &["flags", "flag_history"],
    ),
    kind("train_prefs", Documents, Tenant, &["train_prefs"]),
    kind(
        AUDIT_LOG,
        Documents,
        Everyone,
        &[
            "audit-logs",
            "audit-heads",
            "audit-tiles",
            "audit-index",
            "audit-subjects",
            "audit-epochs",
        ],
    ),
    kind(AUDIT_RECORDS, Events, Everyone, &["audit", "audit-changes"]),
    kind(
        "realtime_registry",
        Documents,
        Env,
        &["threads", "canvases"],
    ),
    kind("canvas_commits", Documents, Env, &["canvas"]),
    kind(STREAM_TICKETS, Tickets, Everyone, &[]),
    kind("chat_bus", Events, Env, &["chat"]),
    kind("canvas_bus", Events, Env, &["canvas"]),
    kind(NODE_BUS, Bus, Everyone, &[]),
    kind(RATE_LIMIT, Throttle, Tenant, &[]),
    kind(RAW_STORAGE, Objects, Env, &[]),
    kind(MEDIA, Objects, Env, &[]),
];

type Held = HashMap<&'static str, &'static Kind>;

fn holders(port: Port) -> Held {
    let of_port = KINDS.iter().filter(|kind| kind.port == port);
    of_port
        .flat_map(|kind| kind.holds.iter().map(move |held| (*held, kind)))
        .collect()
}

/// The kind that a collection of documents belongs to.
pub(crate) fn of_collection(name: &str) -> Option<&'static Kind> {
    static COLLECTIONS: LazyLock<Held> = LazyLock::new(|| holders(Documents));
    COLLECTIONS.get(name).copied()
}

/// The kind that a rail belongs to.
pub(crate) fn of_rail(name: &str) -> Option<&'static Kind> {
    static RAILS: LazyLock<Held> = LazyLock::new(|| holders(Events));
    RAILS.get(name).copied()
}

/// The kind of this name.
pub(crate) fn named(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// By which port a kind of the registry is reached, if it is one of ours.
pub(crate) fn port_of(kind: &ResourceKind) -> Option<Port> {
    named(&kind.to_string()).map(|kind| kind.port)
}

/// All kinds, as the registry checks them.
///
/// # Errors
/// When one is no name of a kind.
pub(crate) fn needs() -> anyhow::Result<Vec<Need>> {
    let need = |kind: &Kind| -> anyhow::Result<Need> {
        Ok(Need {
            kind: kind.name.parse()?,
            breadth: kind.breadth,
            follows: kind.follows.map(str::parse).transpose()?,
        })
    };
    KINDS.iter().map(need).collect()
}

/// Where the rows of a new installation send each kind.
pub(crate) struct Seeds {
    /// The control store; its row says what the configuration says.
    pub(crate) control: RouteTarget,
    /// Documents.
    pub(crate) documents: RouteTarget,
    /// Event logs, rates, tickets, and what nodes tell each other.
    pub(crate) events: RouteTarget,
    /// Objects, if there is a place for them.
    pub(crate) objects: Option<RouteTarget>,
}

impl Seeds {
    fn target(&self, kind: &Kind) -> anyhow::Result<Option<RouteTarget>> {
        if let Some(leader) = kind.follows {
            return Ok(Some(RouteTarget::same_as(&leader.parse()?)));
        }
        Ok(match kind.port {
            _ if kind.name == CONTROL => Some(self.control.clone()),
            Documents => Some(self.documents.clone()),
            Events | Throttle | Bus | Tickets => Some(self.events.clone()),
            Objects => self.objects.clone(),
        })
    }
}

/// Makes the rows that are missing.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn seed(control: &Control, seeds: &Seeds) -> anyhow::Result<()> {
    for kind in KINDS {
        let Some(target) = seeds.target(kind)? else {
            continue;
        };
        let row = RouteRow::new(kind.name.parse()?, RoutePlace::default(), target);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_held_by_one_kind() {
        for port in [Documents, Events] {
            let kinds = KINDS.iter().filter(|kind| kind.port == port);
            let held: usize = kinds.map(|kind| kind.holds.len()).sum();
            assert_eq!(holders(port).len(), held, "{port:?}");
        }
    }

    #[test]
    fn who_follows_follows_a_kind_that_leads_and_is_routed_as_finely() {
        for kind in KINDS {
            let Some(leader) = kind.follows else { continue };
            let leader = named(leader).unwrap();
            assert!(leader.follows.is_none(), "{}", kind.name);
            assert_eq!(
                (kind.port, kind.breadth),
                (leader.port, leader.breadth),
                "{}",
                kind.name
            );
        }
    }
}
