//! Temperatures.

use std::time::Duration;

use identity::Timestamp;
use serde::{Deserialize, Serialize};

use super::{InvalidRow, Row, RowKind, check_figure, check_span};
use crate::{ActionPattern, TargetName};

/// Longest wait that is told, in seconds: a day.
const WAIT_S_MAX: f64 = 86_400.0;

/// Stops actions while something is too hot; it cools by half in each half-life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Temperature {
    /// What depends on it.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub action: ActionPattern,
    /// It depends on it for this target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub target: Option<TargetName>,
    /// Above it the gate closes.
    pub ceiling: f64,
    /// In how many seconds it cools by half.
    pub half_life_s: u32,
}

/// How hot something was at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Heat {
    /// The temperature, 0 or more.
    pub score: f64,
    /// When it was so.
    pub at: Timestamp,
}

impl Temperature {
    /// The temperature at `now`.
    #[must_use]
    pub fn at(&self, heat: Option<Heat>, now: Timestamp) -> f64 {
        let Some(heat) = heat else { return 0.0 };
        let half_lives = now.since(heat.at).as_secs_f64() / f64::from(self.half_life_s.max(1));
        heat.score * (-half_lives).exp2()
    }

    /// The state after it was heated (or, below 0, cooled) `by` at `now`. Its time never goes back: else
    /// it would cool once more for what two clocks are apart, each time that one follows the other.
    #[must_use]
    pub fn heat(&self, before: Option<Heat>, by: f64, now: Timestamp) -> Heat {
        Heat {
            score: (self.at(before, now) + by).clamp(0.0, super::FIGURE_MAX),
            at: before.map_or(now, |before| now.max(before.at)),
        }
    }

    /// How long until it has cooled to the ceiling; `None` when it is not above it.
    #[must_use]
    pub fn too_hot_for(&self, heat: Option<Heat>, now: Timestamp) -> Option<Duration> {
        let score = self.at(heat, now);
        if score <= self.ceiling {
            return None;
        }
        let half_lives = (score / self.ceiling).log2();
        let wait = (half_lives * f64::from(self.half_life_s)).min(WAIT_S_MAX);
        // A ceiling of 0 is reached never: the quotient is infinite, and the wait the longest.
        Some(Duration::try_from_secs_f64(wait).unwrap_or(Duration::from_secs(1)))
    }
}

impl Row for Temperature {
    const KIND: RowKind = RowKind::Temperature;

    fn action(&self) -> &ActionPattern {
        &self.action
    }

    fn target(&self) -> Option<&TargetName> {
        self.target.as_ref()
    }

    fn check(&self, _: Timestamp) -> Result<(), InvalidRow> {
        check_figure("/ceiling", self.ceiling)?;
        if self.ceiling < 0.0 {
            return Err(InvalidRow::at("/ceiling", "must be 0 at least"));
        }
        check_span("/half_life_s", self.half_life_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    #[test]
    fn it_cools_by_half_in_each_half_life() {
        let row = Temperature {
            action: "*".parse().unwrap(),
            target: None,
            ceiling: 25.0,
            half_life_s: 10,
        };
        let heat = row.heat(None, 100.0, at(0));
        assert_eq!(row.at(Some(heat), at(10)), 50.0);
        let wait = row.too_hot_for(Some(heat), at(0)).unwrap();
        assert_eq!(wait, Duration::from_secs(20));
        assert_eq!(row.too_hot_for(Some(heat), at(20)), None);
        let more = row.heat(Some(heat), 10.0, at(10));
        assert_eq!(more.score, 60.0);
        assert_eq!(row.heat(Some(more), -100.0, at(10)).score, 0.0);
    }

    #[test]
    fn nodes_whose_clocks_are_apart_do_not_cool_it_by_taking_turns() {
        let row = Temperature {
            action: "*".parse().unwrap(),
            target: None,
            ceiling: 25.0,
            half_life_s: 10,
        };
        let turns = [5, 0].into_iter().cycle().take(10);
        let heat = turns.fold(None, |before, now| Some(row.heat(before, 3.0, at(now))));
        assert_eq!(heat.unwrap().score, 30.0);
    }

    #[test]
    fn what_never_cools_to_its_ceiling_says_a_day() {
        let row = Temperature {
            action: "*".parse().unwrap(),
            target: None,
            ceiling: 0.0,
            half_life_s: 10,
        };
        let heat = row.heat(None, 1.0, at(0));
        let day = Duration::from_secs(86_400);
        assert_eq!(row.too_hot_for(Some(heat), at(5)), Some(day));
    }
}
