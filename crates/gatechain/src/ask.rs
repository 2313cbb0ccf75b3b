//! The question that the gates answer.

use identity::{Role, Timestamp, UserId};

use crate::{Approval, Layer, Level, PayloadHash, StateVersion};

/// What someone wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The action, such as `nexus.cards.create`.
    pub action: &'a str,
    /// What it is done to.
    pub target: Option<&'a str>,
    /// Who.
    pub user: &'a UserId,
    /// In what role.
    pub role: Role,
    /// What it costs, where that is declared, in micro-units.
    pub cost_micros: Option<u64>,
    /// The hash of what is to be written.
    pub payload: Option<PayloadHash>,
    /// Whether there is no body, so that the payload says nothing.
    pub bare: bool,
    /// The approval that was shown, if it is one.
    pub approval: Option<&'a Approval>,
}

/// The rows of both levels, as they were a moment ago.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// The operators'.
    pub system: &'a Layer,
    /// The tenant's; `None` for `t_system`, whose rows are the system's.
    pub tenant: Option<&'a Layer>,
}

impl<'a> Snapshot<'a> {
    /// Both levels, the system's first.
    pub(crate) fn layers(self) -> impl Iterator<Item = (Level, &'a Layer)> {
        let tenant = self.tenant.map(|layer| (Level::Tenant, layer));
        std::iter::once((Level::System, self.system)).chain(tenant)
    }

    /// Which state it is.
    #[must_use]
    pub fn version(self) -> StateVersion {
        StateVersion {
            system: self.system.fence(),
            tenant: self.tenant.and_then(Layer::fence),
        }
    }
}

/// A question, the rows that answer it, and the moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) ask: &'a Ask<'a>,
    pub(crate) rows: Snapshot<'a>,
    pub(crate) now: Timestamp,
}
