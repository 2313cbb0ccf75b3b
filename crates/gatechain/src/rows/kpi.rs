//! Key performance indicators.

use std::time::Duration;

use identity::Timestamp;
use serde::{Deserialize, Serialize};

use super::{InvalidRow, Row, RowKind, check_figure, check_span};
use crate::{ActionPattern, TargetName};

/// Stops actions while a figure is below its floor, or too old to be relied on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Kpi {
    /// What depends on it.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub action: ActionPattern,
    /// It depends on it for this target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub target: Option<TargetName>,
    /// Below it the gate closes.
    pub floor: f64,
    /// Once closed, it opens again at this figure; at the floor unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover_at: Option<f64>,
    /// An observation counts for so many seconds.
    pub max_age_s: u32,
}

/// What was last observed of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The figure.
    pub value: f64,
    /// When it was so.
    pub as_of: Timestamp,
    /// Whether it fell below the floor and has not recovered since.
    pub fallen: bool,
}

/// What a figure says about its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Below,
    Stale,
}

impl Kpi {
    fn recovers_at(&self) -> f64 {
        self.recover_at.unwrap_or(self.floor)
    }

    /// The state after `value` was observed at `as_of`; an older observation changes nothing.
    #[must_use]
    pub fn observe(&self, before: Option<Observed>, value: f64, as_of: Timestamp) -> Observed {
        match before {
            Some(before) if before.as_of > as_of => before,
            before => Observed {
                value,
                as_of,
                fallen: value < self.floor
                    || (before.is_some_and(|before| before.fallen) && value < self.recovers_at()),
            },
        }
    }

    pub(crate) fn standing(&self, observed: Option<Observed>, now: Timestamp) -> Standing {
        let age_max = Duration::from_secs(self.max_age_s.into());
        match observed {
            None => Standing::Stale,
            Some(observed) if now.since(observed.as_of) > age_max => Standing::Stale,
            // The row may have changed since: its floor holds for what was observed before.
            Some(observed)
                if observed.value < self.floor
                    || (observed.fallen && observed.value < self.recovers_at()) =>
            {
                Standing::Below
            }
            Some(_) => Standing::Good,
        }
    }
}

impl Row for Kpi {
    const KIND: RowKind = RowKind::Kpis;

    fn action(&self) -> &ActionPattern {
        &self.action
    }

    fn target(&self) -> Option<&TargetName> {
        self.target.as_ref()
    }

    fn check(&self, _: Timestamp) -> Result<(), InvalidRow> {
        check_figure("/floor", self.floor)?;
        check_figure("/recover_at", self.recovers_at())?;
        if self.recovers_at() < self.floor {
            let why = "must not be below the floor";
            return Err(InvalidRow::at("/recover_at", why));
        }
        check_span("/max_age_s", self.max_age_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    fn kpi() -> Kpi {
        Kpi {
            action: "*".parse().unwrap(),
            target: None,
            floor: 10.0,
            recover_at: Some(12.0),
            max_age_s: 60,
        }
    }

    #[test]
    fn a_figure_that_fell_recovers_above_the_floor_only() {
        let kpi = kpi();
        let mut observed = None;
        for (second, value, standing) in [
            (1, 10.0, Standing::Good),
            (2, 9.9, Standing::Below),
            (3, 11.9, Standing::Below),
            (4, 12.0, Standing::Good),
            (5, 10.5, Standing::Good),
        ] {
            observed = Some(kpi.observe(observed, value, at(second)));
            assert_eq!(kpi.standing(observed, at(second)), standing, "{value}");
        }
    }

    #[test]
    fn what_is_old_or_unknown_is_stale_and_the_past_changes_nothing() {
        let kpi = kpi();
        assert_eq!(kpi.standing(None, at(0)), Standing::Stale);
        let observed = kpi.observe(None, 11.0, at(10));
        assert_eq!(kpi.standing(Some(observed), at(70)), Standing::Good);
        assert_eq!(kpi.standing(Some(observed), at(71)), Standing::Stale);
        assert_eq!(kpi.observe(Some(observed), 1.0, at(9)), observed);
    }
}
