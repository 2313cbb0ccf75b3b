//! What gates say: verdicts, refusals, decisions.

use std::{fmt, time::Duration};

use identity::{Code, Timestamp};
use smol_str::SmolStr;
use store::Version;

use crate::{Level, Mode, PayloadHash, rows::RowKind};

/// A gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gate {
    /// Is everything stopped?
    KillSwitch,
    /// Does this need a licence, and is there one?
    Firearms,
    /// Is the strategy locked?
    StrategyLock,
    /// Did others approve what the strategy lock wants approved?
    Approval,
    /// Are the figures good, and fresh?
    Kpi,
    /// Is it too hot?
    Temperature,
    /// Is there money left?
    Budget,
}

impl Gate {
    /// All gates, in the order in which they are asked.
    pub const ALL: [Self; 7] = [
        Self::KillSwitch,
        Self::Firearms,
        Self::StrategyLock,
        Self::Approval,
        Self::Kpi,
        Self::Temperature,
        Self::Budget,
    ];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KillSwitch => "kill_switch",
            Self::Firearms => "firearms",
            Self::StrategyLock => "strategy_lock",
            Self::Approval => "approval",
            Self::Kpi => "kpi",
            Self::Temperature => "temperature",
            Self::Budget => "budget",
        }
    }

    /// The kind of rows that it is made of.
    pub(crate) const fn kind(self) -> Option<RowKind> {
        match self {
            Self::KillSwitch => Some(RowKind::KillSwitches),
            Self::Firearms => Some(RowKind::Firearms),
            Self::StrategyLock => Some(RowKind::StrategyLocks),
            Self::Approval => None,
            Self::Kpi => Some(RowKind::Kpis),
            Self::Temperature => Some(RowKind::Temperature),
            Self::Budget => Some(RowKind::Budgets),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The row that a gate refused by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowName {
    /// At which level.
    pub level: Level,
    /// Its kind and id, such as `kill-switches/stop`.
    pub name: SmolStr,
    /// The state of it that was read; `None` when it could not be.
    pub version: Option<Version>,
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level.as_str(), self.name)
    }
}

/// Why a gate refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// For people.
    pub detail: String,
    /// The row, unless the refusal has none: a backend that does not answer, say.
    pub row: Option<RowName>,
    /// What would lift it, for people.
    pub lift: &'static str,
    /// When to try again, where that is known.
    pub retry_after: Option<Duration>,
}

/// What one gate said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub gate: Gate,
    /// Why it refused; `None` when it let pass.
    pub refusal: Option<Box<Refusal>>,
    /// How long it took, in nanoseconds.
    pub nanos: u64,
}

/// The state of the gates that a decision was made on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateVersion {
    /// The version of the system's rows; `None` when there never was one.
    pub system: Option<Version>,
    /// The version of the tenant's.
    pub tenant: Option<Version>,
}

/// What the gates said together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Names the decision, in problems and in the audit log.
    pub id: SmolStr,
    /// What was to be done.
    pub action: SmolStr,
    /// To what.
    pub target: Option<SmolStr>,
    /// When it was decided.
    pub at: Timestamp,
    /// Whether a refusal holds.
    pub mode: Mode,
    /// What each gate said that was asked, in their order.
    pub verdicts: Vec<Verdict>,
    /// The state that it was decided on.
    pub state: StateVersion,
    /// The hash of what was to be written, where it has one.
    pub payload: Option<PayloadHash>,
    /// What it costs, where the request declared it, in micro-units.
    pub cost_micros: Option<u64>,
}

impl Decision {
    /// The first gate that refused, and why.
    #[must_use]
    pub fn refusal(&self) -> Option<(Gate, &Refusal)> {
        first_refusal(&self.verdicts)
    }

    /// Whether every gate let pass.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.refusal().is_none()
    }
}

pub(crate) fn first_refusal(verdicts: &[Verdict]) -> Option<(Gate, &Refusal)> {
    let refused = |verdict: &'_ Verdict| verdict.refusal.is_some();
    let verdict = verdicts.iter().find(|verdict| refused(verdict))?;
    Some((verdict.gate, verdict.refusal.as_deref()?))
}
