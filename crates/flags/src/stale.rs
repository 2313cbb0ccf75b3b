//! Flags that should be gone by now, and why.

use std::time::Duration;

use identity::{Timestamp, UserId};
use serde::Serialize;

use crate::{Flag, FlagKey, LayerName, Stored};

/// How long a flag may serve everyone the same before it counts as done.
pub const SETTLED_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a flag is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Staleness {
    /// Its `expires_at` has passed.
    Expired,
    /// Its schedule has ended, so that it serves its off variant for good.
    Ended,
    /// It has served everyone the same, unchanged, for [`SETTLED_AFTER`].
    Settled,
}

/// A flag that should be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleFlag {
    /// Its key.
    pub key: FlagKey,
    /// Whose it is.
    pub layer: LayerName,
    /// Why it should be gone.
    pub why: Staleness,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// Who did that.
    pub changed_by: UserId,
}

/// Why a flag is stale at `now`; `None` if it is not, or is meant to stay.
#[must_use]
pub fn staleness(flag: &Flag, stored: &Stored, now: Timestamp) -> Option<Staleness> {
    if flag.permanent {
        return None;
    }
    if flag.expires_at.is_some_and(|end| end <= now) {
        return Some(Staleness::Expired);
    }
    if flag.window.until.is_some_and(|until| until <= now) {
        return Some(Staleness::Ended);
    }
    let settled = flag.serves_everyone_alike(now) && now.since(stored.changed_at) >= SETTLED_AFTER;
    settled.then_some(Staleness::Settled)
}

impl Flag {
    /// Whether neither the context nor the time makes a difference from `now` on.
    fn serves_everyone_alike(&self, now: Timestamp) -> bool {
        if !self.enabled {
            return true;
        }
        let changes_by_itself = self.boundaries().any(|boundary| boundary > now);
        let alike = match self.rules.first() {
            None => true,
            Some(rule) => rule.is_for_everyone(now),
        };
        self.prerequisites.is_empty() && !changes_by_itself && alike
    }
}
