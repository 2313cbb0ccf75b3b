//! What a write costs: reserved when it is admitted, looked up when it is explained.

use identity::Code;
use store::StoreError;

use super::{Asker, Core, denied::backend, permit::Claims};
use crate::{
    Gate, Level, Refusal, Verdict,
    ask::Question,
    budget::{Account, BudgetRefused},
    gates::{damaged, name_of, row_name, unreadable},
    held::Held,
    rows::{BudgetRow, Row},
};

impl Core {
    /// Reserves what the write costs; says why not.
    pub(super) async fn pay(
        &self,
        asker: &Asker,
        question: &Question<'_>,
        claims: &mut Claims,
    ) -> Option<Box<Refusal>> {
        if let Some(refusal) = damaged(Gate::Budget, question) {
            return Some(refusal);
        }
        for (level, held, cost) in costs(question) {
            let account = Account::of(&asker.home.budgets, level, &held.row, question.now);
            match self.budgets.reserve(&account, cost).await {
                Ok(claim) => claims.payments.push(claim),
                Err(refused) => {
                    // What was reserved of others goes back.
                    claims.payments.clear();
                    return Some(Self::unpaid(level, held, refused));
                }
            }
        }
        None
    }

    /// What the budgets would say; nothing is reserved.
    pub(super) async fn would_pay(&self, asker: &Asker, question: &Question<'_>) -> Verdict {
        let began = self.stopwatch.nanos();
        let refusal = self.looked_up(asker, question).await;
        Verdict {
            gate: Gate::Budget,
            refusal,
            nanos: self.stopwatch.nanos().saturating_sub(began),
        }
    }

    async fn looked_up(&self, asker: &Asker, question: &Question<'_>) -> Option<Box<Refusal>> {
        if let Some(refusal) = damaged(Gate::Budget, question) {
            return Some(refusal);
        }
        for (level, held, cost) in costs(question) {
            let account = Account::of(&asker.home.budgets, level, &held.row, question.now);
            let refused = match self.budgets.view(&account).await {
                Ok(spending) => {
                    let taken = spending
                        .spent_micros
                        .saturating_add(spending.reserved_micros);
                    let left = held.row.limit_micros.saturating_sub(taken);
                    (left < cost).then_some(BudgetRefused::Exceeded { left })
                }
                Err(error) => Some(error.into()),
            };
            if let Some(refused) = refused {
                return Some(Self::unpaid(level, held, refused));
            }
        }
        None
    }

    fn unpaid(level: Level, held: &Held<BudgetRow>, refused: BudgetRefused) -> Box<Refusal> {
        match refused {
            BudgetRefused::Damaged => unreadable(level, name_of(BudgetRow::KIND, held.id.as_str())),
            BudgetRefused::Exceeded { left } => Box::new(Refusal {
                code: Code::BudgetExceeded,
                detail: format!("The budget {} has {left} micro-units left.", held.id),
                row: Some(row_name(level, held)),
                lift: "An administrator raises the limit, or a new window begins.",
                retry_after: None,
            }),
            BudgetRefused::Unavailable(why) => {
                let error = StoreError::Unavailable(why);
                Box::new(backend(&error))
            }
        }
    }
}

/// The budgets that pay, with what each pays.
fn costs<'a>(
    question: &Question<'a>,
) -> impl Iterator<Item = (Level, &'a Held<BudgetRow>, u64)> + use<'a> {
    let ask = question.ask;
    let rows = question.rows.layers().flat_map(move |(level, layer)| {
        let covering = layer.rows.budgets();
        let covering = covering.filter(move |held| held.covers(ask.action, ask.target));
        covering.map(move |held| {
            let cost = ask.cost_micros.unwrap_or(held.row.price_micros);
            (level, held, cost)
        })
    });
    // What costs nothing is paid, whatever is left.
    rows.filter(|(_, _, cost)| *cost > 0)
}
