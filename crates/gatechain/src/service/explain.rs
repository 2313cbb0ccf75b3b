//! What the gates would say: all of them, changing nothing.

use identity::Scope;
use smol_str::SmolStr;
use store::StoreError;

use super::{Asker, Core, Credentials, GateChain, denied::unavailable};
use crate::{
    Ask, Gate, GateError, InvalidRow, PayloadHash, TargetName, Verdict,
    ask::Question,
    chain::{Extent, run},
    gates::PURE,
    pattern::is_action,
    rows::MICROS_MAX,
    verdict::first_refusal,
};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// The action.
    pub action: SmolStr,
    /// What it is done to.
    pub target: Option<TargetName>,
    /// What it costs, in micro-units; without it, what the budgets' prices say.
    pub cost_micros: Option<u64>,
    /// The hash of what is to be written.
    pub payload: Option<PayloadHash>,
    /// Whether there is no body.
    pub bare: bool,
    /// What is shown beside it.
    pub credentials: Credentials,
}

/// What the gates would say, each of them, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// One verdict for each gate.
    pub verdicts: Vec<Verdict>,
}

impl Explained {
    /// Whether all would let pass; the first that would not decides.
    #[must_use]
    pub fn allows(&self) -> bool {
        first_refusal(&self.verdicts).is_none()
    }
}

impl GateChain {
    /// Says of each gate what it would say to the scope's user now. Nothing is reserved,
    /// used up or recorded, and a refusal ends nothing: each gate is asked.
    ///
    /// # Errors
    /// [`GateError::Invalid`].
    pub async fn explain(
        &self,
        scope: &Scope,
        asked: &Explanation,
    ) -> Result<Explained, GateError> {
        if !is_action(&asked.action) {
            let why = "must be an action such as nexus.cards.create";
            return Err(InvalidRow::at("/action", why).into());
        }
        if asked.cost_micros.is_some_and(|cost| cost > MICROS_MAX) {
            let why = format!("must be at most {MICROS_MAX}");
            return Err(InvalidRow::at("/cost_micros", why).into());
        }
        let core = &self.core;
        let asker = Asker {
            member: scope.member(),
            home: core.home(scope),
        };
        let verdicts = core.explained(&asker, asked).await.unwrap_or_else(|error| {
            let unread = |gate: &Gate| unavailable(*gate, &error);
            Gate::ALL.iter().map(unread).collect()
        });
        Ok(Explained { verdicts })
    }
}

impl Core {
    async fn explained(
        &self,
        asker: &Asker,
        asked: &Explanation,
    ) -> Result<Vec<Verdict>, StoreError> {
        let layers = self.layers(&asker.home).await?;
        let shown = match &asked.credentials.approval {
            Some(id) => self.shown(&asker.home, id).await?,
            None => None,
        };
        let ask = Ask {
            action: &asked.action,
            target: asked.target.as_ref().map(TargetName::as_str),
            user: asker.member.seat().user(),
            role: asker.member.seat().role(),
            cost_micros: asked.cost_micros,
            payload: asked.payload,
            bare: asked.bare,
            approval: shown.as_ref().map(|shown| &shown.value),
        };
        let question = Question {
            ask: &ask,
            rows: layers.snapshot(),
            now: self.clock.now(),
        };
        let mut verdicts = run(&question, &PURE, Extent::All, &*self.stopwatch);
        verdicts.push(self.would_pay(asker, &question).await);
        Ok(verdicts)
    }
}
