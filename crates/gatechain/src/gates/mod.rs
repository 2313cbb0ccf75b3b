//! The pure gates: each looks at rows and says why not, or nothing.

mod approval;
mod firearms;
mod kill_switch;
mod kpi;
mod strategy_lock;
mod temperature;

use identity::Code;
use smol_str::{SmolStr, format_smolstr};

pub(crate) use firearms::selected;

use crate::{
    Gate, Level, Refusal, RowName,
    ask::Question,
    held::Held,
    rows::{Row, RowKind},
};

/// What a pure gate is.
pub(crate) type PureGate = fn(&Question<'_>) -> Option<Box<Refusal>>;

/// The pure gates, in order. Budget comes after them, because it reserves.
pub(crate) const PURE: [(Gate, PureGate); 6] = [
    (Gate::KillSwitch, kill_switch::judge),
    (Gate::Firearms, firearms::judge),
    (Gate::StrategyLock, strategy_lock::judge),
    (Gate::Approval, approval::judge),
    (Gate::Kpi, kpi::judge),
    (Gate::Temperature, temperature::judge),
];

/// A refusal for a row of `gate` that covers the request and cannot be read.
///
/// What is not even known by its kind is refused by the first gate.
pub(crate) fn damaged(gate: Gate, question: &Question<'_>) -> Option<Box<Refusal>> {
    let ask = question.ask;
    question.rows.layers().find_map(|(level, layer)| {
        let found = layer.damaged().iter().find(|damaged| {
            let here = match damaged.kind {
                Some(kind) => gate.kind() == Some(kind),
                None => gate == Gate::KillSwitch,
            };
            here && damaged.covers(ask.action, ask.target)
        })?;
        Some(unreadable(level, found.name.clone()))
    })
}

/// The refusal for a row that cannot be read.
pub(crate) fn unreadable(level: Level, name: SmolStr) -> Box<Refusal> {
    Box::new(Refusal {
        code: Code::GateStateInvalid,
        detail: format!("The row {}/{name} cannot be read.", level.as_str()),
        row: Some(RowName {
            level,
            name,
            version: None,
        }),
        lift: "An administrator replaces or deletes the row.",
        retry_after: None,
    })
}

pub(crate) fn row_name<T: Row, S>(level: Level, held: &Held<T, S>) -> RowName {
    RowName {
        level,
        name: name_of(T::KIND, held.id.as_str()),
        version: Some(held.version),
    }
}

pub(crate) fn name_of(kind: RowKind, id: &str) -> SmolStr {
    format_smolstr!("{kind}/{id}")
}
