//! Budgets.

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{InvalidRow, Row, RowKind};
use crate::{ActionPattern, TargetName};

/// Most micro-units of a limit, a price or a cost: whole numbers that every JSON reader keeps exact.
pub const MICROS_MAX: u64 = (1 << 53) - 1;

/// Bounds what actions may cost together in a window of time.
///
/// A row of the system bounds each tenant by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// What it pays for.
    pub action: ActionPattern,
    /// It pays for this target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// What may be spent in a window, in micro-units.
    pub limit_micros: u64,
    /// What an action costs unless it declares its cost, in micro-units.
    pub price_micros: u64,
    /// How long the limit counts.
    pub window: Window,
    /// Where it is counted what was spent; a row that is made again begins anew.
    pub counter: SmolStr,
}

/// How long a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase", try_from = "SmolStr")]
pub enum Window {
    /// For as long as the row exists.
    Total,
    /// For a day, UTC.
    Day,
    /// For a calendar month, UTC.
    Month,
}

/// A text is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be total, day or month")]
pub struct InvalidWindow;

/// Read from a text, because `serde_json` takes an enum that is no text for a
/// syntax error, which would be the wrong refusal.
impl TryFrom<SmolStr> for Window {
    type Error = InvalidWindow;
    fn try_from(text: SmolStr) -> Result<Self, InvalidWindow> {
        match text.as_str() {
            "total" => Ok(Self::Total),
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            _ => Err(InvalidWindow),
        }
    }
}

impl Window {
    /// The name of the window that `now` is in; no two windows share one.
    #[must_use]
    pub fn name(self, now: Timestamp) -> SmolStr {
        let date = now.to_string();
        match self {
            Self::Total => "total".into(),
            Self::Day => SmolStr::new(format!("d{}", date.get(..10).unwrap_or_default())),
            Self::Month => SmolStr::new(format!("m{}", date.get(..7).unwrap_or_default())),
        }
    }
}

impl Row for BudgetRow {
    const KIND: RowKind = RowKind::Budgets;

    fn action(&self) -> &ActionPattern {
        &self.action
    }

    fn target(&self) -> Option<&TargetName> {
        self.target.as_ref()
    }

    fn check(&self, _: Timestamp) -> Result<(), InvalidRow> {
        let micros = [
            ("/limit_micros", self.limit_micros),
            ("/price_micros", self.price_micros),
        ];
        for (pointer, micros) in micros {
            if micros > MICROS_MAX {
                let why = format!("must be at most {MICROS_MAX}");
                return Err(InvalidRow::at(pointer, why));
            }
        }
        Ok(())
    }

    fn begin(&mut self, name: &SmolStr) {
        self.counter = name.clone();
    }

    fn succeed(&mut self, before: &Self) {
        self.counter.clone_from(&before.counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_names_of_their_own() {
        let now = "2026-11-21T23:59:59.999Z".parse().unwrap();
        assert_eq!(Window::Total.name(now), "total");
        assert_eq!(Window::Day.name(now), "d2026-11-21");
        assert_eq!(Window::Month.name(now), "m2026-11");
    }
}
