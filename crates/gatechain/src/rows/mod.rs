//! The rows that gates are made of: six kinds, each with a form that is checked at birth.
//!
//! A row is stored as the JSON that it is sent as. What is stored is read
//! strictly: a member that is not known here may be a condition that a newer
//! version of this program knows, so it makes the row unreadable, which denies.

mod budget;
mod firearm;
mod kill_switch;
mod kpi;
mod strategy_lock;
mod temperature;

use std::fmt;

use identity::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

pub use budget::{BudgetRow, MICROS_MAX, Window};
pub use firearm::{FirearmRow, InvalidSubject, Subject, Terms};
pub use kill_switch::KillSwitch;
pub use kpi::{Kpi, Observed};
pub use strategy_lock::{ApprovalRule, QUORUM_MAX, StrategyLock};
pub use temperature::{Heat, Temperature};

pub(crate) use firearm::{LicenceUses, Revoked};
pub(crate) use kpi::Standing;

use crate::{ActionPattern, TargetName};

/// Longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 512;
/// Longest span that a row may name (a half-life, a time to live), in seconds: ten years.
pub const SPAN_S_MAX: u32 = 315_360_000;

/// A kind of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKind {
    /// [`KillSwitch`].
    KillSwitches,
    /// [`FirearmRow`].
    Firearms,
    /// [`StrategyLock`].
    StrategyLocks,
    /// [`BudgetRow`].
    Budgets,
    /// [`Kpi`].
    Kpis,
    /// [`Temperature`].
    Temperature,
}

impl RowKind {
    /// All kinds, in the order of their gates but for budgets.
    pub const ALL: [Self; 6] = [
        Self::KillSwitches,
        Self::Firearms,
        Self::StrategyLocks,
        Self::Budgets,
        Self::Kpis,
        Self::Temperature,
    ];

    /// The name of the kind in paths and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KillSwitches => "kill-switches",
            Self::Firearms => "firearms",
            Self::StrategyLocks => "strategy-locks",
            Self::Budgets => "budgets",
            Self::Kpis => "kpis",
            Self::Temperature => "temperature",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row that can be read but is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {why}")]
pub struct InvalidRow {
    /// Where, as an RFC 6901 pointer.
    pub pointer: &'static str,
    /// Why.
    pub why: SmolStr,
}

impl InvalidRow {
    pub(crate) fn at(pointer: &'static str, why: impl Into<SmolStr>) -> Self {
        Self {
            pointer,
            why: why.into(),
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::KillSwitch {}
    impl Sealed for super::FirearmRow {}
    impl Sealed for super::StrategyLock {}
    impl Sealed for super::BudgetRow {}
    impl Sealed for super::Kpi {}
    impl Sealed for super::Temperature {}
}

/// A row of one kind. Sealed: the gates are these.
pub trait Row:
    sealed::Sealed + Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// Which kind.
    const KIND: RowKind;

    /// The actions that it is about.
    fn action(&self) -> &ActionPattern;
    /// The one target that it is about, if it is about one.
    fn target(&self) -> Option<&TargetName>;

    /// Looks for what the form of each member cannot say.
    ///
    /// # Errors
    /// The first that is wrong.
    fn check(&self, now: Timestamp) -> Result<(), InvalidRow>;

    /// Gives a new row what is not the caller's to say; `name` is one that no other has.
    fn begin(&mut self, _name: &SmolStr) {}

    /// Takes from the row that this one replaces what is not the caller's to say.
    fn succeed(&mut self, _before: &Self) {}
}

pub(crate) fn check_reason(reason: &str) -> Result<(), InvalidRow> {
    let chars = reason.chars().count();
    if (1..=REASON_CHARS_MAX).contains(&chars) {
        return Ok(());
    }
    let why = format!("must have 1 to {REASON_CHARS_MAX} characters");
    Err(InvalidRow::at("/reason", why))
}

pub(crate) fn check_span(pointer: &'static str, seconds: u32) -> Result<(), InvalidRow> {
    if (1..=SPAN_S_MAX).contains(&seconds) {
        return Ok(());
    }
    let why = format!("must be 1 to {SPAN_S_MAX} seconds");
    Err(InvalidRow::at(pointer, why))
}

/// Largest magnitude of a figure; beyond it sums of figures could lose their meaning.
const FIGURE_MAX: f64 = 1e15;

pub(crate) fn check_figure(pointer: &'static str, figure: f64) -> Result<(), InvalidRow> {
    if figure.is_finite() && figure.abs() <= FIGURE_MAX {
        return Ok(());
    }
    let why = "must be a number between -1e15 and 1e15";
    Err(InvalidRow::at(pointer, why))
}

/// Reads what is stored, strictly.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut unknown = None;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_ignored::deserialize(&mut reader, |path| {
        unknown.get_or_insert(path.to_string());
    });
    let value = value.map_err(|error: serde_json::Error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    match unknown {
        Some(member) => Err(format!("the member {member} is not known")),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_strictly() {
        let row = br#"{"action":"*","reason":"stop"}"#;
        assert!(decode::<KillSwitch>(row).is_ok());
        for damaged in [
            &br#"{"action":"*","reason":"stop","unless":"u_1"}"#[..],
            br#"{"action":"*","reason":"stop"} "#.split_last().unwrap().1,
            br#"{"action":"*","reason":"stop"}{}"#,
            br#"{"action":"","reason":"stop"}"#,
            br#"{"reason":"stop"}"#,
            br#"{}"#,
            b"",
        ]
        .iter()
        .filter(|bytes| **bytes != &row[..])
        {
            assert!(decode::<KillSwitch>(damaged).is_err(), "{damaged:?}");
        }
    }
}
