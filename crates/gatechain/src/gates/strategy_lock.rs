//! Is the strategy locked, with nothing to open it?

use identity::Code;

use super::{damaged, row_name};
use crate::{Gate, Refusal, ask::Question};

pub(super) fn judge(question: &Question<'_>) -> Option<Box<Refusal>> {
    let ask = question.ask;
    let locked = question.rows.layers().find_map(|(level, layer)| {
        let mut rows = layer.rows.strategy_locks();
        let shut =
            rows.find(|held| held.row.approval.is_none() && held.covers(ask.action, ask.target));
        Some((level, shut?))
    });
    let Some((level, held)) = locked else {
        return damaged(Gate::StrategyLock, question);
    };
    Some(Box::new(Refusal {
        code: Code::StrategyLocked,
        detail: held.row.reason.clone(),
        row: Some(row_name(level, held)),
        lift: "An administrator of the lock's level deletes it, or lets it be opened by approval.",
        retry_after: None,
    }))
}
