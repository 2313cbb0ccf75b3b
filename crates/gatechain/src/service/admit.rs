//! From a mutation to a permit, or to a refusal.

use std::{sync::Arc, time::Duration};

use identity::{Member, Recorded, Scope, TRACE};
use smol_str::SmolStr;
use store::{DocKey, StoreError};
use tokio::{task::JoinHandle, time::timeout};
use tracing::{Instrument, debug_span};

use super::{
    Asker, Core, Denied, GateChain, Layers, Permit,
    denied::unavailable,
    permit::{Claims, Fences, LicenceClaim},
};
use crate::{
    Ask, Decision, Gate, Layer, Level, Mode, Mutation, Verdict,
    approval::{Approval, ApprovalId},
    ask::Question,
    chain::{Extent, run, span},
    gates::{PURE, selected},
    id::random_id,
    layer::state_key,
    rows::RowKind,
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
        let admission = core
            .decide(&asker, &mutation, &credentials, mode)
            .instrument(debug_span!(target: TRACE, "gates"))
            .await?;
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
        let recorded = async move { decisions.record(&member, &decision).await };
        tokio::spawn(recorded.in_current_span())
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
        let refusal = self
            .pay(asker, &question, &mut claims)
            .instrument(span(Gate::Budget))
            .await;
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
                version: used.held.state.as_ref().map(|uses| uses.version),
                used: used.held.state.as_ref().map_or(0, |uses| uses.used),
            }
        });
        Claims {
            fences: Some(Fences {
                system: snapshot.system.fence(),
                copied: layers.copied.clone(),
                tenant: snapshot.tenant.map(Layer::fence),
            }),
            licences: uses.collect(),
            approval: shown.filter(|_| needs_approval(question)).cloned(),
            payments: Vec::new(),
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

fn needs_approval(question: &Question<'_>) -> bool {
    let ask = question.ask;
    question.rows.layers().any(|(_, layer)| {
        let mut locks = layer.rows.strategy_locks();
        locks.any(|held| held.row.approval.is_some() && held.covers(ask.action, ask.target))
    })
}

fn count(decision: &Decision) {
    let gate = decision.refusal().map_or("none", |(gate, _)| gate.as_str());
    let mode = decision.mode.as_str();
    metrics::counter!("tenantry_gates_decisions_total", "refused_by" => gate, "mode" => mode)
        .increment(1);
    for said in &decision.verdicts {
        let verdict = if said.refusal.is_none() {
            "passed"
        } else {
            "refused"
        };
        let gate = said.gate.as_str();
        metrics::counter!("tenantry_gates_verdicts_total", "gate" => gate, "verdict" => verdict)
            .increment(1);
    }
}
