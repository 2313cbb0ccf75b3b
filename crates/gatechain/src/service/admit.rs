//! From a mutation to a permit, or to a refusal.

use std::{sync::Arc, time::Duration};

use identity::{Code, Member, Problem, Recorded, Scope};
use smol_str::SmolStr;
use store::{DocKey, StoreError};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    Asker, Core, GateChain, Layers, Permit,
    permit::{Claims, Fences, LicenceClaim},
};
use crate::{
    Ask, Decision, Gate, Level, Mode, Mutation, Refusal, Verdict,
    approval::{Approval, ApprovalId},
    ask::Question,
    budget::{Account, BudgetRefused},
    chain::{Extent, run},
    gates::{PURE, damaged, name_of, row_name, selected, unreadable},
    id::random_id,
    layer::{Held, state_key},
    rows::{BudgetRow, Row, RowKind},
    stored,
    verdict::first_refusal,
};

/// A record that is not made after this long counts as degraded; the write goes on.
const RECORD_MAX: Duration = Duration::from_secs(5);

/// What a caller shows beside the mutation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// An approval: the header `X-Approval-Id`.
    pub approval: Option<ApprovalId>,
}

/// The gates refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the gate {gate} refused: {}", .refusal.detail)]
pub struct Denied {
    /// Names the decision on the audit log.
    pub decision_id: SmolStr,
    /// The first gate that refused.
    pub gate: Gate,
    /// Why.
    pub refusal: Refusal,
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let Denied {
            decision_id,
            gate,
            refusal,
        } = denied;
        let problem = Self::new(refusal.code, refusal.detail)
            .with("gate", gate.as_str())
            .with("decision_id", decision_id.as_str())
            .with("lift", refusal.lift);
        let problem = match refusal.row {
            Some(row) => problem.with("row", row.to_string()),
            None => problem,
        };
        match (refusal.retry_after, refusal.code) {
            (Some(wait), _) => problem.retry_after(wait),
            (None, Code::BackendUnavailable) => problem.retry_after(Duration::from_secs(1)),
            (None, _) => problem,
        }
    }
}

/// A decision that allows, or is not enforced, with what a write under it has to bring along.
pub(super) struct Admission {
    pub(super) decision: Decision,
    pub(super) claims: Claims,
    /// The decision, on its way to the record; `None` once it arrived.
    recording: Option<JoinHandle<Recorded>>,
    recorded: Recorded,
}

impl Admission {
    /// Waits until the decision is on record, or is known not to be.
    pub(super) async fn recorded(&mut self) -> Recorded {
        if let Some(recording) = self.recording.take() {
            let recorded = timeout(RECORD_MAX, recording).await;
            self.recorded = match recorded {
                Ok(Ok(recorded)) => recorded,
                Ok(Err(_)) => Recorded::Degraded { why: "failed" },
                Err(_) => Recorded::Degraded { why: "timeout" },
            };
        }
        self.recorded
    }
}

/// An approval as it was read.
#[derive(Clone)]
pub(super) struct ShownApproval {
    pub(super) key: DocKey,
    pub(super) version: store::Version,
    pub(super) value: Approval,
}

impl GateChain {
    /// Asks the gates whether the scope may do `mutation`.
    ///
    /// The decision is on its way to the audit log when this returns; a refusal is there.
    ///
    /// # Errors
    /// [`Denied`], also when rows cannot be read.
    pub async fn admit<M: Mutation>(
        &self,
        scope: &Scope,
        mutation: M,
        credentials: Credentials,
    ) -> Result<Permit<M>, Box<Denied>> {
        let core = &self.core;
        let asker = Asker {
            member: scope.member(),
            home: core.home(scope),
        };
        let mode = core.enforcement.mode(scope, M::KIND).await;
        let admission = core.decide(&asker, &mutation, &credentials, mode).await?;
        Ok(Permit::new(
            Arc::clone(core),
            asker,
            mutation,
            credentials,
            admission,
        ))
    }
}

impl Core {
    /// Decides, and records a refusal before it is told.
    pub(super) async fn decide<M: Mutation>(
        &self,
        asker: &Asker,
        mutation: &M,
        credentials: &Credentials,
        mode: Mode,
    ) -> Result<Admission, Box<Denied>> {
        let mut decision = self.blank(mutation, mode);
        let judged = self
            .judge(asker, mutation, credentials, &mut decision)
            .await;
        let claims = judged.unwrap_or_else(|error| {
            decision.verdicts = vec![unavailable(Gate::KillSwitch, &error)];
            Claims::default()
        });
        count(&decision);
        let denied = decision.refusal().map(|(gate, refusal)| Denied {
            decision_id: decision.id.clone(),
            gate,
            refusal: refusal.clone(),
        });
        match denied {
            Some(denied) if mode == Mode::Enforce => {
                let recorded = self.decisions.record(&asker.member, &decision).await;
                tracing::debug!(?recorded, decision = %decision.id, "the gates refused");
                Err(Box::new(denied))
            }
            _ => Ok(Admission {
                recording: Some(self.recording(&asker.member, &decision)),
                recorded: Recorded::Degraded { why: "pending" },
                decision,
                claims,
            }),
        }
    }

    /// Records in a task of its own, whatever becomes of the permit.
    fn recording(&self, member: &Member, decision: &Decision) -> JoinHandle<Recorded> {
        let (member, decision) = (member.clone(), decision.clone());
        let decisions = Arc::clone(&self.decisions);
        tokio::spawn(async move { decisions.record(&member, &decision).await })
    }

    fn blank<M: Mutation>(&self, mutation: &M, mode: Mode) -> Decision {
        Decision {
            id: random_id("gd_", &*self.entropy),
            action: SmolStr::new_static(<M::Action as identity::Action>::NAME),
            target: mutation.target().map(SmolStr::new),
            at: self.clock.now(),
            mode,
            verdicts: Vec::new(),
            state: crate::StateVersion::default(),
            payload: mutation.payload_sha256(),
            cost_micros: mutation.cost_micros(),
        }
    }

    async fn judge<M: Mutation>(
        &self,
        asker: &Asker,
        mutation: &M,
        credentials: &Credentials,
        decision: &mut Decision,
    ) -> Result<Claims, StoreError> {
        let layers = self.layers(&asker.home).await?;
        let shown = match &credentials.approval {
            Some(id) => self.shown(&asker.home, id).await?,
            None => None,
        };
        let ask = Ask {
            action: <M::Action as identity::Action>::NAME,
            target: mutation.target(),
            user: asker.member.seat().user(),
            role: asker.member.seat().role(),
            cost_micros: mutation.cost_micros(),
            payload: decision.payload,
            bare: M::BARE,
            approval: shown.as_ref().map(|shown| &shown.value),
        };
        let rows = layers.snapshot();
        let question = Question {
            ask: &ask,
            rows,
            now: decision.at,
        };
        decision.state = rows.version();
        decision.verdicts = run(&question, &PURE, Extent::FirstRefusal, &*self.stopwatch);
        if first_refusal(&decision.verdicts).is_some() {
            return Ok(Claims::default());
        }
        if decision.mode == Mode::Shadow {
            let verdict = self.would_pay(asker, &question).await;
            decision.verdicts.push(verdict);
            return Ok(Claims::default());
        }
        let mut claims = self.claims(asker, &layers, &question, shown.as_ref());
        let began = self.stopwatch.nanos();
        let refusal = self.pay(asker, &question, &mut claims).await;
        decision.verdicts.push(Verdict {
            gate: Gate::Budget,
            refusal,
            nanos: self.stopwatch.nanos().saturating_sub(began),
        });
        Ok(claims)
    }

    /// What the write has to bring along, but for what it costs.
    fn claims(
        &self,
        asker: &Asker,
        layers: &Layers,
        question: &Question<'_>,
        shown: Option<&ShownApproval>,
    ) -> Claims {
        let (home, snapshot) = (&asker.home, layers.snapshot());
        let uses = selected(question).map(|used| {
            let partition = match used.level {
                Level::System => &self.system_rows,
                Level::Tenant => &home.rows,
            };
            LicenceClaim {
                key: state_key(partition, RowKind::Firearms, &used.held.id),
                version: used.held.state.version,
                used: used.held.state.used,
            }
        });
        Claims {
            fences: Some(Fences {
                system: snapshot.system.fence,
                tenant: snapshot.tenant.map(|layer| layer.fence),
            }),
            licences: uses.collect(),
            approval: shown.filter(|_| needs_approval(question)).cloned(),
            payments: Vec::new(),
        }
    }

    /// Reserves what the write costs; says why not.
    async fn pay(
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

    /// The approval that was shown, if there is one.
    pub(super) async fn shown(
        &self,
        home: &super::Home,
        id: &ApprovalId,
    ) -> Result<Option<ShownApproval>, StoreError> {
        let key = DocKey::new(&home.approvals, id.as_str());
        let Some(document) = self.documents.get(&key).await? else {
            return Ok(None);
        };
        let value = stored::open(&key, &document.value)
            .map_err(|why| StoreError::Corrupt(format!("{} {}: {why}", key.partition, key.id)))?;
        Ok(Some(ShownApproval {
            version: document.version,
            key,
            value,
        }))
    }
}

/// The budgets that pay, with what each pays.
fn costs<'a>(
    question: &Question<'a>,
) -> impl Iterator<Item = (Level, &'a Held<BudgetRow>, u64)> + use<'a> {
    let ask = question.ask;
    let rows = question.rows.layers().flat_map(move |(level, layer)| {
        let covering = layer.budgets.iter();
        let covering = covering.filter(move |held| held.covers(ask.action, ask.target));
        covering.map(move |held| {
            let cost = ask.cost_micros.unwrap_or(held.row.price_micros);
            (level, held, cost)
        })
    });
    // What costs nothing is paid, whatever is left.
    rows.filter(|(_, _, cost)| *cost > 0)
}

fn needs_approval(question: &Question<'_>) -> bool {
    let ask = question.ask;
    question.rows.layers().any(|(_, layer)| {
        let mut locks = layer.strategy_locks.iter();
        locks.any(|held| held.row.approval.is_some() && held.covers(ask.action, ask.target))
    })
}

/// The verdict when rows could not be read at all.
pub(super) fn unavailable(gate: Gate, error: &StoreError) -> Verdict {
    Verdict {
        gate,
        refusal: Some(Box::new(backend(error))),
        nanos: 0,
    }
}

fn backend(error: &StoreError) -> Refusal {
    tracing::error!(%error, "the state of the gates is unavailable");
    Refusal {
        code: Code::BackendUnavailable,
        detail: "The state of the gates is unavailable. Try again later.".to_owned(),
        row: None,
        lift: "The store of the gates answers again.",
        retry_after: Some(Duration::from_secs(1)),
    }
}

fn count(decision: &Decision) {
    let gate = decision.refusal().map_or("none", |(gate, _)| gate.as_str());
    let mode = decision.mode.as_str();
    metrics::counter!("tenantry_gates_decisions_total", "refused_by" => gate, "mode" => mode)
        .increment(1);
}
