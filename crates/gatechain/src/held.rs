//! The rows of a level as decisions read them: all in one piece of memory, in the order of
//! the gates, because a decision for one of many tenants waits for memory more than it computes.

use std::sync::Arc;

use store::Version;
use triomphe::ThinArc;

use crate::{
    RowId,
    databases::FenceCopy,
    layer::Beside,
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uses {
    pub(crate) used: u32,
    pub(crate) version: Version,
}

/// Few licences are counted, and what is not here keeps the rows small.
pub(crate) type HeldFirearm = Held<FirearmRow, Option<Box<Uses>>>;
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

/// A decision for a tenant drawn at random waits for the memory of its rows: two lines of a cache each.
const _: () = assert!(size_of::<HeldRow>() <= 128);

/// What a level has beside its rows, before them in the same piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) fence: Option<Version>,
    /// Where the rows of each kind end, in the order of [`RowKind::ALL`].
    ends: [u16; RowKind::ALL.len()],
    /// What it weighs in a cache, in bytes.
    pub(crate) weight: u32,
    /// The copy of the system's fence, for a tenant in another database than everyone's.
    pub(crate) elsewhere: Option<Arc<FenceCopy>>,
    /// `None` when there is nothing beside the rows.
    pub(crate) beside: Option<Box<Beside>>,
}

/// All rows of a level, by kind; those of one kind in the order they were read in. Clones share them.
///
/// It is as small as a pointer and lies where it is remembered, so that a decision goes from there to the
/// rows at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldRows(Option<ThinArc<Head, HeldRow>>);

impl HeldRows {
    /// Lays `rows` behind `head`.
    pub(crate) fn lay(mut head: Head, mut rows: Vec<HeldRow>) -> Self {
        rows.sort_by_key(HeldRow::kind);
        head.ends = RowKind::ALL.map(|kind| {
            let end = rows.partition_point(|row| row.kind() <= kind);
            u16::try_from(end).unwrap_or(u16::MAX)
        });
        Self(Some(ThinArc::from_header_and_iter(head, rows.into_iter())))
    }

    /// `None` for a level that has nothing, as most tenants.
    pub(crate) fn head(&self) -> Option<&Head> {
        self.0.as_ref().map(|held| &held.header.header)
    }

    fn of(&self, kind: RowKind) -> &[HeldRow] {
        let Some(held) = &self.0 else {
            return &[];
        };
        let at = kind as usize;
        let ends = &held.header.header.ends;
        let end = |at: usize| ends.get(at).map_or(0, |end| usize::from(*end));
        let from = at.checked_sub(1).map_or(0, end);
        held.slice.get(from..end(at)).unwrap_or_default()
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
