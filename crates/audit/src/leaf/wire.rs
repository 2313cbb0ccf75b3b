//! The JSON of a leaf.

use std::collections::BTreeMap;

use identity::{Env, ProjectId, RequestId, TenantId, Timestamp, Traceparent};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Leaf, LeafActor, LeafError, LeafTarget};
use crate::{Commitment, Hash, Label, Outcome, Phase, Seq, Training, unique};

const VERSION: u8 = 1;

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PhaseName {
    Intent,
    Outcome,
    Event,
}

/// A leaf as it is written, in this order of fields.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    v: u8,
    tenant: &'a TenantId,
    env: Env,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a ProjectId>,
    time: Timestamp,
    action: &'a Label,
    phase: PhaseName,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a Outcome>,
    actor: &'a LeafActor,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a LeafTarget>,
    request_id: &'a str,
    trace_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    training: &'a Training,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency: Option<Hash>,
    #[serde(skip_serializing_if = "is_one")]
    repeated: u32,
    #[serde(skip_serializing_if = "Map::is_empty", serialize_with = "in_order")]
    metadata: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    personal: &'a BTreeMap<Label, Commitment>,
}

/// A leaf as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    v: u8,
    tenant: TenantId,
    env: Env,
    project: Option<ProjectId>,
    time: Timestamp,
    action: Label,
    phase: PhaseName,
    intent: Option<Seq>,
    outcome: Option<Outcome>,
    actor: LeafActor,
    target: Option<LeafTarget>,
    request_id: String,
    trace_id: String,
    traceparent: Option<String>,
    training: Training,
    idempotency: Option<Hash>,
    #[serde(default = "one")]
    repeated: u32,
    #[serde(default, deserialize_with = "unique::object")]
    metadata: Map<String, Value>,
    #[serde(default, deserialize_with = "unique::entries")]
    personal: BTreeMap<Label, Commitment>,
}

/// Writes the members in the order of their names, at every depth. A `Map` keeps another
/// order where some crate of the program asks `serde_json` for it, and a leaf is the same everywhere.
fn in_order<S: Serializer>(members: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    serializer.collect_map(
        members
            .into_iter()
            .map(|(name, value)| (name, InOrder(value))),
    )
}

struct InOrder<'a>(&'a Value);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => in_order(members, serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(InOrder)),
            value => value.serialize(serializer),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_one(repeated: &u32) -> bool {
    *repeated == 1
}

const fn one() -> u32 {
    1
}

impl<'a> From<&'a Leaf> for Written<'a> {
    fn from(leaf: &'a Leaf) -> Self {
        let (phase, intent, outcome) = match &leaf.phase {
            Phase::Intent => (PhaseName::Intent, None, None),
            Phase::Outcome { intent, outcome } => {
                (PhaseName::Outcome, Some(*intent), Some(outcome))
            }
            Phase::Event(outcome) => (PhaseName::Event, None, Some(outcome)),
        };
        Self {
            v: VERSION,
            tenant: &leaf.tenant,
            env: leaf.env,
            project: leaf.project.as_ref(),
            time: leaf.time,
            action: &leaf.action,
            phase,
            intent,
            outcome,
            actor: &leaf.actor,
            target: leaf.target.as_ref(),
            request_id: leaf.request_id.as_str(),
            trace_id: leaf.request_id.as_str(),
            traceparent: leaf.traceparent.as_ref().map(Traceparent::as_str),
            training: &leaf.training,
            idempotency: leaf.idempotency,
            repeated: leaf.repeated,
            metadata: &leaf.metadata,
            personal: &leaf.personal,
        }
    }
}

impl TryFrom<Read> for Leaf {
    type Error = LeafError;

    fn try_from(read: Read) -> Result<Self, LeafError> {
        let malformed = |why: &str| LeafError::Malformed(why.to_owned());
        if read.v != VERSION {
            return Err(malformed("unknown version"));
        }
        if read.trace_id != read.request_id {
            return Err(malformed("trace_id differs from request_id"));
        }
        let phase = match (read.phase, read.intent, read.outcome) {
            (PhaseName::Intent, None, None) => Phase::Intent,
            (PhaseName::Outcome, Some(intent), Some(outcome)) => Phase::Outcome { intent, outcome },
            (PhaseName::Event, None, Some(outcome)) => Phase::Event(outcome),
            _ => return Err(malformed("phase, intent and outcome do not fit")),
        };
        let request_id =
            RequestId::parse(&read.request_id).ok_or_else(|| malformed("request_id"))?;
        let trace =
            |text: String| Traceparent::parse(&text).ok_or_else(|| malformed("traceparent"));
        Ok(Self {
            tenant: read.tenant,
            env: read.env,
            project: read.project,
            time: read.time,
            action: read.action,
            phase,
            actor: read.actor,
            target: read.target,
            request_id,
            traceparent: read.traceparent.map(trace).transpose()?,
            training: read.training,
            idempotency: read.idempotency,
            repeated: read.repeated,
            metadata: read.metadata,
            personal: read.personal,
        })
    }
}
