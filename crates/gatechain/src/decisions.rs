//! Decisions on record.

use std::sync::Arc;

use async_trait::async_trait;
use audit::{
    Actor, DatasetEvent, InvalidLabel, Outcome, Personal, Phase, Target, TargetId, Training,
    service::Audit,
};
use identity::{Member, Recorded};
use serde_json::{Map, Value, json};
use smol_str::SmolStr;

use crate::{Decision, Mode, Verdict};

/// The action under which decisions are on record.
pub const DECIDE: &str = "gates.decide";

/// Where decisions are recorded.
///
/// Law: nothing here fails and nothing panics; what cannot be recorded is degraded.
#[async_trait]
pub trait DecisionLog: Send + Sync {
    /// Records what was decided about a member's write.
    async fn record(&self, member: &Member, decision: &Decision) -> Recorded;
}

/// Records decisions in the audit log of the member's tenant and environment.
pub struct AuditedDecisions(Arc<Audit>);

impl AuditedDecisions {
    /// Records in `audit`.
    #[must_use]
    pub fn new(audit: Arc<Audit>) -> Self {
        Self(audit)
    }
}

#[async_trait]
impl DecisionLog for AuditedDecisions {
    async fn record(&self, member: &Member, decision: &Decision) -> Recorded {
        let unrecordable = |why: &dyn std::fmt::Display| {
            tracing::error!(%why, decision = %decision.id, "a decision cannot be recorded");
            Recorded::Degraded {
                why: "unrecordable",
            }
        };
        match event(member, decision) {
            Err(error) => unrecordable(&error),
            Ok(event) => {
                let recorded = self.0.record(event).await;
                recorded.unwrap_or_else(|error| unrecordable(&error))
            }
        }
    }
}

fn event(member: &Member, decision: &Decision) -> Result<DatasetEvent, InvalidLabel> {
    let seat = member.seat();
    let ids = seat.ids();
    let (target, personal) = match decision.target.as_ref().map(|id| (id, id.parse())) {
        // A user's id is personal wherever it stands.
        Some((id, Ok(user))) => {
            let personal = Personal {
                name: "gated_target".parse()?,
                subject: user,
                value: id.to_string(),
            };
            (None, vec![personal])
        }
        other => (other.map(|(id, _)| id), Vec::new()),
    };
    Ok(DatasetEvent {
        tenant: seat.tenant().clone(),
        env: seat.env(),
        project: seat.project().cloned(),
        time: decision.at,
        actor: Actor::User {
            id: seat.user().clone(),
            role: Some(seat.role()),
        },
        action: DECIDE.parse()?,
        target: Some(Target {
            kind: "decision".parse()?,
            id: TargetId::Thing(decision.id.clone()),
        }),
        phase: Phase::Event(outcome(decision)?),
        request_id: ids.request_id.clone(),
        traceparent: Some(ids.traceparent.clone()),
        // What gates decide says nothing that a model should learn.
        training: Training {
            allowed: false,
            source: SmolStr::new_static("gates"),
            version: 0,
        },
        idempotency: None,
        repeated: 1,
        metadata: metadata(decision, target.map(SmolStr::as_str)),
        personal,
    })
}

fn outcome(decision: &Decision) -> Result<Outcome, InvalidLabel> {
    Ok(match (decision.refusal(), decision.mode) {
        (Some((_, refusal)), Mode::Enforce) => Outcome::Refused(refusal.code.as_str().parse()?),
        _ => Outcome::Done,
    })
}

fn metadata(decision: &Decision, target: Option<&str>) -> Map<String, Value> {
    let fields = [
        ("decision_id", json!(decision.id)),
        ("gated_action", json!(decision.action)),
        ("gated_target", json!(target)),
        ("mode", json!(decision.mode.as_str())),
        (
            "verdict",
            json!(if decision.allows() { "allow" } else { "deny" }),
        ),
        ("gates", decision.verdicts.iter().map(verdict).collect()),
        (
            "system_version",
            json!(decision.state.system.map(|version| version.0)),
        ),
        (
            "tenant_version",
            json!(decision.state.tenant.map(|version| version.0)),
        ),
        (
            "payload_sha256",
            json!(decision.payload.map(|hash| hash.to_string())),
        ),
        ("cost_micros", json!(decision.cost_micros)),
    ];
    let known = fields.into_iter().filter(|(_, value)| !value.is_null());
    known
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn verdict(verdict: &Verdict) -> Value {
    let mut value = json!({
        "gate": verdict.gate.as_str(),
        "verdict": if verdict.refusal.is_some() { "deny" } else { "allow" },
        "us": micros(verdict.nanos),
    });
    if let (Some(refusal), Some(members)) = (&verdict.refusal, value.as_object_mut()) {
        members.insert("code".to_owned(), json!(refusal.code.as_str()));
        if let Some(row) = &refusal.row {
            members.insert("row".to_owned(), json!(row.to_string()));
            members.insert(
                "row_version".to_owned(),
                json!(row.version.map(|version| version.0)),
            );
        }
    }
    value
}

/// Microseconds, to the hundredth.
fn micros(nanos: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a duration that is not exact in an f64 is longer than any process lives"
    )]
    let hundredths = (nanos / 10) as f64;
    hundredths / 100.0
}
