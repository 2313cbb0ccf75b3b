//! Records as JSON.

use std::collections::BTreeMap;

use identity::Role;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Field, Hash, LeafActor, Phase, Training,
    service::{Entry, actor, target},
};

/// A record, as clients see it; others list records of their own things in the same form.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EntryView {
    /// Its place in the log.
    seq: u64,
    /// When, RFC 3339.
    ts: String,
    tenant_id: String,
    env: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    actor: ActorView,
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<TargetView>,
    /// `intent`, `outcome` or `event`.
    phase: &'static str,
    /// The seq of the intent that an outcome concludes.
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<u64>,
    /// `done`, `refused:<code>`, `failed:<code>` or `unknown`; none for an intent.
    outcome: Option<String>,
    request_id: String,
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[schema(value_type = Object)]
    training: Training,
    /// How many alike it stands for.
    repeated: u32,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// Personal values that can still be opened.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    personal: BTreeMap<String, String>,
    /// Personal values that were erased.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    erased: Vec<String>,
    /// The leaf's hash in the tree, base64.
    leaf_hash: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ActorView {
    /// `user`, `system` or `anonymous`.
    kind: &'static str,
    /// Absent when unknown or erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct TargetView {
    kind: String,
    /// Absent when erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl From<&Entry> for EntryView {
    fn from(entry: &Entry) -> Self {
        let leaf = &entry.leaf;
        let (phase, intent, outcome) = match &leaf.phase {
            Phase::Intent => ("intent", None, None),
            Phase::Outcome { intent, outcome } => ("outcome", Some(intent.get()), Some(outcome)),
            Phase::Event(outcome) => ("event", None, Some(outcome)),
        };
        let personal = entry.opened.fields.iter();
        let personal = personal.filter_map(|(field, opening)| match field {
            Field::Personal(name) => Some((name.to_string(), opening.value.clone())),
            Field::ActorId | Field::TargetId => None,
        });
        Self {
            seq: entry.seq.get(),
            ts: leaf.time.to_string(),
            tenant_id: leaf.tenant.to_string(),
            env: leaf.env.as_str(),
            project_id: leaf.project.as_ref().map(ToString::to_string),
            actor: actor_view(entry),
            action: leaf.action.to_string(),
            target: leaf.target.as_ref().map(|named| TargetView {
                kind: named.kind.to_string(),
                id: target(entry).map(str::to_owned),
            }),
            phase,
            intent,
            outcome: outcome.map(ToString::to_string),
            request_id: leaf.request_id.to_string(),
            trace_id: leaf.request_id.to_string(),
            traceparent: leaf.traceparent.as_ref().map(|one| one.as_str().to_owned()),
            training: leaf.training.clone(),
            repeated: leaf.repeated,
            metadata: leaf.metadata.clone(),
            personal: personal.collect(),
            erased: entry
                .opened
                .erased
                .iter()
                .map(ToString::to_string)
                .collect(),
            leaf_hash: Hash::of_leaf(&entry.bytes).to_string(),
        }
    }
}

fn actor_view(entry: &Entry) -> ActorView {
    let (kind, role) = match &entry.leaf.actor {
        LeafActor::User { role, .. } => ("user", role.map(Role::as_str)),
        LeafActor::System { .. } => ("system", None),
        LeafActor::Anonymous {} => ("anonymous", None),
    };
    ActorView {
        kind,
        id: actor(entry).map(str::to_owned),
        role,
    }
}
