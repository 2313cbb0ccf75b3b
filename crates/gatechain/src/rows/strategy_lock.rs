//! Strategy locks.

use identity::Timestamp;
use serde::{Deserialize, Serialize};

use super::{InvalidRow, Row, RowKind, check_reason, check_span};
use crate::{ActionPattern, TargetName};

/// Most approvals that a lock may ask for.
pub const QUORUM_MAX: u8 = 16;

/// Lets nothing pass, or only what others approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct StrategyLock {
    /// What it locks.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub action: ActionPattern,
    /// Locks it for this target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub target: Option<TargetName>,
    /// Why, for those who are stopped.
    pub reason: String,
    /// What opens it; without it nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
}

/// How many have to approve, and for how long that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ApprovalRule {
    /// So many admins, none of whom made the request; 1 to 16.
    pub quorum: u8,
    /// An approval holds so many seconds after it was asked for.
    pub ttl_s: u32,
}

impl Row for StrategyLock {
    const KIND: RowKind = RowKind::StrategyLocks;

    fn action(&self) -> &ActionPattern {
        &self.action
    }

    fn target(&self) -> Option<&TargetName> {
        self.target.as_ref()
    }

    fn check(&self, _: Timestamp) -> Result<(), InvalidRow> {
        check_reason(&self.reason)?;
        let Some(rule) = self.approval else {
            return Ok(());
        };
        if !(1..=QUORUM_MAX).contains(&rule.quorum) {
            let why = format!("must be 1 to {QUORUM_MAX}");
            return Err(InvalidRow::at("/approval/quorum", why));
        }
        check_span("/approval/ttl_s", rule.ttl_s)
    }
}
