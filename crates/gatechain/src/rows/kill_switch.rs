//! Kill switches.

use identity::Timestamp;
use serde::{Deserialize, Serialize};

use super::{InvalidRow, Row, RowKind, check_reason};
use crate::{ActionPattern, TargetName};

/// Stops actions for as long as the row exists, or until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct KillSwitch {
    /// What it stops.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub action: ActionPattern,
    /// Stops it for this target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub target: Option<TargetName>,
    /// Why, for those who are stopped.
    pub reason: String,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub expires_at: Option<Timestamp>,
}

impl KillSwitch {
    /// Whether it is engaged at `now`.
    #[must_use]
    pub fn is_engaged(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

impl Row for KillSwitch {
    const KIND: RowKind = RowKind::KillSwitches;

    fn action(&self) -> &ActionPattern {
        &self.action
    }

    fn target(&self) -> Option<&TargetName> {
        self.target.as_ref()
    }

    fn check(&self, now: Timestamp) -> Result<(), InvalidRow> {
        check_reason(&self.reason)?;
        if self.is_engaged(now) {
            return Ok(());
        }
        Err(InvalidRow::at("/expires_at", "must be in the future"))
    }
}
