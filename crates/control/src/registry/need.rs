//! What a deployment needs of the registry: kinds, how finely each can be routed, and which go together.

use identity::TenantId;

use super::{ResourceKind, RoutePlace, RouteTarget};

/// How finely the rows of a kind may tell its places apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// One row for all: its records, or those they are committed with, belong to all tenants.
    Everyone,
    /// A row for each tenant but `t_system`: what holds for all of them is where everyone is.
    Served,
    /// A row for each tenant: its records are the same in all environments.
    Tenant,
    /// A row for each tenant and environment.
    Env,
}

impl Breadth {
    /// Whether a row for `place` would ever be asked for.
    #[must_use]
    pub fn allows(self, place: &RoutePlace) -> bool {
        match self {
            Self::Everyone => *place == RoutePlace::default(),
            Self::Served => {
                let system = place.tenant.as_ref().is_some_and(TenantId::is_system);
                place.env.is_none() && !system
            }
            Self::Tenant => place.env.is_none(),
            Self::Env => true,
        }
    }

    const fn why_not(self) -> &'static str {
        match self {
            Self::Everyone => "is one for all tenants and environments: this row never counts",
            Self::Served => {
                "is the same in all environments, and t_system's is everyone's: this row never counts"
            }
            Self::Tenant => "is the same in all environments: this row never counts",
            Self::Env => "",
        }
    }
}

/// A kind that the mounted routes need a backend for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The kind.
    pub kind: ResourceKind,
    /// How finely it can be routed.
    pub breadth: Breadth,
    /// The kind whose batches its records are written in; both are on one engine.
    pub follows: Option<ResourceKind>,
}

impl Need {
    /// What is wrong with a row of the kind, whatever its backend says.
    pub(super) fn faults(&self, place: &RoutePlace, target: &RouteTarget) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.breadth.allows(place) {
            faults.push(self.breadth.why_not().to_owned());
        }
        if let Some(leader) = &self.follows
            && *target != RouteTarget::same_as(leader)
        {
            faults.push(format!(
                "shares batches with {leader}: they must be on one engine, so this row says \
                 \"backend\": \"same_as\", \"config\": {{\"kind\": \"{leader}\"}}"
            ));
        }
        faults
    }
}
