//! Is everything stopped?

use identity::Code;

use super::{damaged, row_name};
use crate::{Gate, Refusal, ask::Question};

pub(super) fn judge(question: &Question<'_>) -> Option<Box<Refusal>> {
    let (ask, now) = (question.ask, question.now);
    let engaged = question.rows.layers().find_map(|(level, layer)| {
        let mut rows = layer.rows.kill_switches();
        let held =
            rows.find(|held| held.row.is_engaged(now) && held.covers(ask.action, ask.target));
        Some((level, held?))
    });
    let Some((level, held)) = engaged else {
        return damaged(Gate::KillSwitch, question);
    };
    Some(Box::new(Refusal {
        code: Code::KillSwitchEngaged,
        detail: held.row.reason.clone(),
        row: Some(row_name(level, held)),
        lift: "An administrator of the switch's level deletes it, or it expires.",
        retry_after: held.row.expires_at.map(|end| end.since(now)),
    }))
}
