//! The rows of a level as decisions read them: all in one piece of memory, in the order of
//! the gates, because a decision for one of many tenants waits for memory more than it computes.

use std::sync::Arc;

use store::Version;

use crate::{
    RowId,
    pattern::covers,
    rows::{
        BudgetRow, FirearmRow, Heat, KillSwitch, Kpi, Observed, Row, RowKind, StrategyLock,
        Temperature,
    },
};

/// A row, and the state it was read in.
#[derive(Debug, Clone)]
pub(crate) struct Held<T, S = ()> {
    pub(crate) id: RowId,
    pub(crate) version: Version,
    pub(crate) row: T,
    pub(crate) state: S,
}

impl<T: Row, S> Held<T, S> {
    pub(crate) fn covers(&self, action: &str, target: Option<&str>) -> bool {
        covers(self.row.action(), self.row.target(), action, target)
    }
}

/// How often a licence was used, and the document that says so.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Uses {
    pub(crate) used: u32,
    pub(crate) version: Option<Version>,
}

pub(crate) type HeldFirearm = Held<FirearmRow, Uses>;
pub(crate) type HeldKpi = Held<Kpi, Option<Observed>>;
pub(crate) type HeldTemperature = Held<Temperature, Option<Heat>>;

/// A row of any kind.
#[derive(Debug)]
pub(crate) enum HeldRow {
    KillSwitch(Held<KillSwitch>),
    Firearm(HeldFirearm),
    StrategyLock(Held<StrategyLock>),
    Budget(Held<BudgetRow>),
    Kpi(HeldKpi),
    Temperature(HeldTemperature),
}

impl HeldRow {
    const fn kind(&self) -> RowKind {
        match self {
            Self::KillSwitch(_) => RowKind::KillSwitches,
            Self::Firearm(_) => RowKind::Firearms,
            Self::StrategyLock(_) => RowKind::StrategyLocks,
            Self::Budget(_) => RowKind::Budgets,
            Self::Kpi(_) => RowKind::Kpis,
            Self::Temperature(_) => RowKind::Temperature,
        }
    }
}

/// All rows of a level, by kind; those of one kind in the order they were read in. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldRows {
    /// `None` when there are none, as for most tenants.
    rows: Option<Arc<[HeldRow]>>,
    /// Where the rows of each kind end, in the order of [`RowKind::ALL`].
    ends: [u32; RowKind::ALL.len()],
}

impl From<Vec<HeldRow>> for HeldRows {
    fn from(mut rows: Vec<HeldRow>) -> Self {
        rows.sort_by_key(HeldRow::kind);
        let end = |kind| {
            let end = rows.partition_point(|row| row.kind() <= kind);
            u32::try_from(end).unwrap_or(u32::MAX)
        };
        Self {
            ends: RowKind::ALL.map(end),
            rows: (!rows.is_empty()).then(|| rows.into()),
        }
    }
}

impl HeldRows {
    fn of(&self, kind: RowKind) -> &[HeldRow] {
        let Some(rows) = &self.rows else {
            return &[];
        };
        let at = kind as usize;
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let from = at.checked_sub(1).map_or(0, end);
        rows.get(from..end(at)).unwrap_or_default()
    }
}

macro_rules! rows_of {
    ($($name:ident: $kind:ident, $variant:ident, $held:ty;)*) => {
        impl HeldRows {
            $(pub(crate) fn $name(&self) -> impl Iterator<Item = &$held> {
                self.of(RowKind::$kind).iter().filter_map(|row| match row {
                    HeldRow::$variant(held) => Some(held),
                    _ => None,
                })
            })*
        }
    };
}

rows_of! {
    kill_switches: KillSwitches, KillSwitch, Held<KillSwitch>;
    firearms: Firearms, Firearm, HeldFirearm;
    strategy_locks: StrategyLocks, StrategyLock, Held<StrategyLock>;
    budgets: Budgets, Budget, Held<BudgetRow>;
    kpis: Kpis, Kpi, HeldKpi;
    temperatures: Temperature, Temperature, HeldTemperature;
}
