//! The recorder that `identity` and its routes speak to.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use identity::{Conclusion, Deed, Pending, Place, Recorded, Recorder, TenantId, UserId};
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::{Audit, LogId, target};
use crate::{Actor, DatasetEvent, Label, Outcome, Personal, Phase, Seq, Training};

/// How long a preference may take to be read; then it counts as a denial.
const TRAINING_MAX: Duration = Duration::from_secs(1);

/// Records deeds in the audit log.
#[derive(Clone)]
pub struct AuditRecorder(Arc<Audit>);

impl AuditRecorder {
    /// A recorder that writes to `audit`.
    #[must_use]
    pub fn new(audit: Arc<Audit>) -> Self {
        Self(audit)
    }

    /// Records an event in a task of its own, whether or not the caller waits.
    async fn keep(&self, event: DatasetEvent) -> Recorded {
        let recorder = self.clone();
        let task = tokio::spawn(async move { recorder.write(event).await });
        task.await.unwrap_or(Recorded::Degraded { why: "failed" })
    }

    async fn write(&self, mut event: DatasetEvent) -> Recorded {
        self.0.ask(&mut event).await;
        match self.0.record(event).await {
            Ok(recorded) => recorded,
            Err(error) => {
                metrics::counter!("tenantry_audit_lost_total").increment(1);
                tracing::error!(%error, "a deed cannot be recorded");
                Recorded::Degraded {
                    why: "unrecordable",
                }
            }
        }
    }
}

impl Audit {
    /// Whether what an actor did may be used for training.
    pub(super) async fn training_of(&self, tenant: &TenantId, actor: &Actor) -> Training {
        match actor {
            Actor::User { id, .. } => {
                let asked = self.training.training(tenant, id);
                let answer = tokio::time::timeout(TRAINING_MAX, asked).await;
                answer.unwrap_or_else(|_| denied("unreadable"))
            }
            Actor::System(_) | Actor::Anonymous => denied("nobody"),
        }
    }

    /// Asks for the actor's preference, unless the request spoke for itself.
    pub(super) async fn ask(&self, event: &mut DatasetEvent) {
        if event.training == unasked() {
            event.training = self.training_of(&event.tenant, &event.actor).await;
        }
    }

    fn draft(&self, deed: &Deed<'_>, phase: Phase) -> DatasetEvent {
        let place = Where::of(&deed.place);
        DatasetEvent {
            tenant: place.log.tenant,
            env: place.log.env,
            project: place.project,
            time: self.clock.now(),
            actor: place.actor,
            action: label(deed.action),
            target: target::of_path(deed.target),
            phase,
            request_id: deed.ids.request_id.clone(),
            traceparent: Some(deed.ids.traceparent.clone()),
            training: spoken_for(deed),
            idempotency: None,
            repeated: 1,
            metadata: Map::from_iter([("method".to_owned(), Value::from(deed.method))]),
            personal: Vec::new(),
        }
    }
}

/// Where a deed is recorded, and who did it.
struct Where {
    log: LogId,
    project: Option<identity::ProjectId>,
    actor: Actor,
}

impl Where {
    fn of(place: &Place<'_>) -> Self {
        match place {
            Place::Tenant(seat) => Self {
                log: LogId {
                    tenant: seat.tenant().clone(),
                    env: seat.env(),
                },
                project: seat.project().cloned(),
                actor: Actor::User {
                    id: seat.user().clone(),
                    role: Some(seat.role()),
                },
            },
            Place::System { user } => Self {
                log: LogId::system(),
                project: None,
                actor: user.map_or(Actor::Anonymous, by),
            },
        }
    }
}

fn by(user: &UserId) -> Actor {
    Actor::User {
        id: user.clone(),
        role: None,
    }
}

fn denied(source: &'static str) -> Training {
    Training {
        allowed: false,
        source: source.into(),
        version: 0,
    }
}

/// `Sec-GPC: 1` denies for its request, whatever the actor's preference is.
fn spoken_for(deed: &Deed<'_>) -> Training {
    if deed.ids.gpc {
        denied("gpc")
    } else {
        unasked()
    }
}

/// Stands in an event until its actor's preference was asked for.
fn unasked() -> Training {
    denied("unasked")
}

/// Actions and codes are constants of the program, and labels; one that is not is `unknown`.
fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|_| Label::unknown())
}

fn outcome(outcome: identity::Outcome) -> Outcome {
    match outcome {
        identity::Outcome::Done => Outcome::Done,
        identity::Outcome::Refused(code) => Outcome::Refused(label(code)),
        identity::Outcome::Failed(code) => Outcome::Failed(label(code)),
    }
}

/// Adds what is known at the end: who it was, what was made, and remarks.
fn conclude(event: &mut DatasetEvent, conclusion: &Conclusion<'_>) {
    if let (Actor::Anonymous, Some(user)) = (&event.actor, conclusion.remarks.user()) {
        event.actor = by(user);
    }
    if let Some(created) = conclusion.created.and_then(target::of_path) {
        event.target = Some(created);
    }
    for (name, value) in conclusion.remarks.details() {
        match value.parse::<UserId>() {
            Ok(user) => remark_on(event, label(name), user),
            Err(_) => {
                let value = Value::from(value.as_str());
                event.metadata.insert((*name).to_owned(), value);
            }
        }
    }
}

/// A user's id is personal wherever it stands.
fn remark_on(event: &mut DatasetEvent, name: Label, user: UserId) {
    event.personal.retain(|known| known.name != name);
    event.personal.push(Personal {
        name,
        value: user.to_string(),
        subject: user,
    });
}

#[async_trait]
impl Recorder for AuditRecorder {
    async fn intend(&self, deed: &Deed<'_>) -> Box<dyn Pending> {
        let event = self.0.draft(deed, Phase::Intent);
        let recorder = self.clone();
        let again = event.clone();
        // A task of its own: if the caller does not wait, what it made is dropped when
        // the intent is written, and closes it.
        let task = tokio::spawn(async move { PendingDeed::begin(recorder, event).await });
        match task.await {
            Ok(pending) => Box::new(pending),
            Err(_) => Box::new(PendingDeed::without_intent(self.clone(), again)),
        }
    }

    async fn note(&self, deed: &Deed<'_>, conclusion: Conclusion<'_>) -> Recorded {
        let phase = Phase::Event(outcome(conclusion.outcome));
        let mut event = self.0.draft(deed, phase);
        conclude(&mut event, &conclusion);
        self.keep(event).await
    }

    fn refused(&self, deed: &Deed<'_>, code: &'static str) {
        let phase = Phase::Event(outcome(identity::Outcome::Refused(code)));
        self.0.refusals.count(self.0.draft(deed, phase));
    }
}

/// An intent on record, whose outcome is not.
struct PendingDeed {
    recorder: AuditRecorder,
    /// Taken when the outcome is written.
    event: Option<DatasetEvent>,
    /// `None` when the intent is not in the log yet.
    intent: Option<Seq>,
    runtime: Handle,
}

impl PendingDeed {
    async fn begin(recorder: AuditRecorder, event: DatasetEvent) -> Self {
        let recorded = recorder.write(event.clone()).await;
        let mut pending = Self::without_intent(recorder, event);
        if let Recorded::Durable { seq } = recorded {
            pending.intent = Seq::try_from(seq).ok();
        }
        pending
    }

    fn without_intent(recorder: AuditRecorder, event: DatasetEvent) -> Self {
        Self {
            recorder,
            event: Some(event),
            intent: None,
            runtime: Handle::current(),
        }
    }

    fn outcome(&mut self, outcome: Outcome) -> Option<DatasetEvent> {
        let mut event = self.event.take()?;
        event.time = self.recorder.0.clock.now();
        event.phase = match self.intent {
            Some(intent) => Phase::Outcome { intent, outcome },
            None => Phase::Event(outcome),
        };
        Some(event)
    }
}

#[async_trait]
impl Pending for PendingDeed {
    async fn conclude(mut self: Box<Self>, conclusion: Conclusion<'_>) -> Recorded {
        let Some(mut event) = self.outcome(outcome(conclusion.outcome)) else {
            return Recorded::Degraded { why: "concluded" };
        };
        conclude(&mut event, &conclusion);
        let recorded = self.recorder.keep(event).await;
        match self.intent {
            Some(_) => recorded,
            None => Recorded::Degraded { why: "intent" },
        }
    }
}

impl Drop for PendingDeed {
    fn drop(&mut self) {
        if let Some(event) = self.outcome(Outcome::Unknown) {
            let recorder = self.recorder.clone();
            self.runtime.spawn(async move {
                // There is nobody left to be told.
                let _ = recorder.write(event).await;
            });
        }
    }
}
