//! Are the figures good, and fresh?

use identity::Code;

use super::{damaged, row_name};
use crate::{Gate, Refusal, ask::Question, rows::Standing};

pub(super) fn judge(question: &Question<'_>) -> Option<Box<Refusal>> {
    let ask = question.ask;
    let bad = question.rows.layers().find_map(|(level, layer)| {
        let covering = layer.rows.kpis();
        let mut covering = covering.filter(|held| held.covers(ask.action, ask.target));
        covering.find_map(|held| match held.row.standing(held.state, question.now) {
            Standing::Good => None,
            bad => Some((level, held, bad)),
        })
    });
    let Some((level, held, standing)) = bad else {
        return damaged(Gate::Kpi, question);
    };
    let (code, detail, lift) = if standing == Standing::Stale {
        let detail = format!("The figure {} was not observed lately.", held.id);
        (Code::KpiStale, detail, "Someone observes the figure anew.")
    } else {
        let detail = format!("The figure {} is below its floor.", held.id);
        (Code::KpiBelowFloor, detail, "The figure recovers.")
    };
    Some(Box::new(Refusal {
        code,
        detail,
        row: Some(row_name(level, held)),
        lift,
        retry_after: None,
    }))
}
