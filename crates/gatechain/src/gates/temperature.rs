//! Is it too hot?

use identity::Code;

use super::{damaged, row_name};
use crate::{Gate, Refusal, ask::Question};

pub(super) fn judge(question: &Question<'_>) -> Option<Box<Refusal>> {
    let ask = question.ask;
    let hot = question.rows.layers().find_map(|(level, layer)| {
        let covering = layer.rows.temperatures();
        let mut covering = covering.filter(|held| held.covers(ask.action, ask.target));
        covering.find_map(|held| {
            let wait = held.row.too_hot_for(held.state, question.now)?;
            Some((level, held, wait))
        })
    });
    let Some((level, held, wait)) = hot else {
        return damaged(Gate::Temperature, question);
    };
    Some(Box::new(Refusal {
        code: Code::TemperatureHigh,
        detail: format!("{} is above its ceiling.", held.id),
        row: Some(row_name(level, held)),
        lift: "It cools down.",
        retry_after: Some(wait),
    }))
}
