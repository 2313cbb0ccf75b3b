//! Did others approve what the locks want approved?

use identity::Code;

use super::row_name;
use crate::{Refusal, approval::ToApprove, ask::Question};

/// How an approval is got.
const LIFT: &str = "Ask with POST /gates/approvals {action, payload_sha256}, let others approve, and send X-Approval-Id.";

pub(super) fn judge(question: &Question<'_>) -> Option<Box<Refusal>> {
    let ask = question.ask;
    let write = ToApprove {
        user: ask.user,
        action: ask.action,
        target: ask.target,
        payload: ask.payload,
        bare: ask.bare,
    };
    question.rows.layers().find_map(|(level, layer)| {
        let covering = layer.rows.strategy_locks();
        let mut covering = covering.filter(|held| held.covers(ask.action, ask.target));
        covering.find_map(|held| {
            let rule = held.row.approval?;
            let why = match (ask.approval, ask.payload) {
                (None, _) => Some("No approval was shown, or it is unknown."),
                (_, None) => Some("The payload holds numbers that RFC 8785 does not keep exact."),
                (Some(approval), _) => approval.refuses(rule, &write, question.now),
            };
            Some(Box::new(Refusal {
                code: Code::ApprovalRequired,
                detail: format!("{} {}", held.row.reason, why?),
                row: Some(row_name(level, held)),
                lift: LIFT,
                retry_after: None,
            }))
        })
    })
}
