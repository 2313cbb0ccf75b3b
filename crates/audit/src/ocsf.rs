//! Records in the terms of the Open Cybersecurity Schema Framework: class 6003, API Activity.
//!
//! Start at [`api_activity`]. What OCSF has no place for stands under `unmapped`.
//! An event proves nothing by itself: `metadata.sequence` leads back to the record,
//! whose receipt does.
//!
//! **Invariant:** every attribute that OCSF 1.4.0 requires of the class is there, and
//! every number of an enumeration has the caption that the schema gives it beside it.

use identity::{Role, Traceparent};
use serde_json::{Map, Value, json};

use crate::{
    Field, Hash, Leaf, LeafActor, Outcome, Phase,
    service::{Entry, actor, target},
};

/// The version of the schema that events are written in.
pub const OCSF_VERSION: &str = "1.4.0";
/// The class API Activity, and its category, Application Activity.
pub const CLASS_UID: u64 = 6003;
const CATEGORY_UID: u64 = 6;
/// Stands for an id that was erased. No id of ours has this form.
const ERASED: &str = "(erased)";

/// A number of an enumeration, and its caption.
type Named = (u64, &'static str);

const OTHER: u64 = 99;
const CREATE: Named = (1, "Create");
const READ: Named = (2, "Read");
const UPDATE: Named = (3, "Update");
const DELETE: Named = (4, "Delete");

/// What the last word of an action means, where the word alone says it.
const VERBS: [(&str, Named); 26] = [
    ("add", CREATE),
    ("create", CREATE),
    ("issue", CREATE),
    ("post", CREATE),
    ("register", CREATE),
    ("signup", CREATE),
    ("check", READ),
    ("describe", READ),
    ("explain", READ),
    ("export", READ),
    ("get", READ),
    ("list", READ),
    ("monitor", READ),
    ("read", READ),
    ("search", READ),
    ("change", UPDATE),
    ("replace", UPDATE),
    ("set", UPDATE),
    ("update", UPDATE),
    ("delete", DELETE),
    ("erase", DELETE),
    ("erased", DELETE),
    ("lift", DELETE),
    ("remove", DELETE),
    ("revoke", DELETE),
    ("withdraw", DELETE),
];
/// Words of actions that are none of the four, whatever the method.
const OTHER_VERBS: [&str; 8] = [
    "bootstrap",
    "close",
    "login",
    "logout",
    "open",
    "refresh",
    "renew",
    "verify",
];

/// The record as an API Activity event. Personal values that can no longer be opened
/// are named in `unmapped.erased`.
#[must_use]
pub fn api_activity(entry: &Entry) -> Value {
    let leaf = &entry.leaf;
    let verb = verb(leaf);
    let (activity, activity_name) = match activity(leaf, verb) {
        Some((id, caption)) => (id, caption),
        None => (OTHER, verb),
    };
    let (severity_id, severity) = severity(leaf);
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": CATEGORY_UID,
        "category_name": "Application Activity",
        "class_uid": CLASS_UID,
        "class_name": "API Activity",
        "type_uid": CLASS_UID * 100 + activity,
        "type_name": format!("API Activity: {}", if activity == OTHER { "Other" } else { activity_name }),
        "time": leaf.time.unix_ms(),
        "severity_id": severity_id,
        "severity": severity,
        "message": message(leaf),
        "metadata": metadata(entry),
        "actor": actor_object(entry),
        "api": api(leaf),
        // The caller's address is personal and is not recorded.
        "src_endpoint": {"name": "not recorded", "type": "Unknown", "type_id": 0},
        "unmapped": unmapped(entry),
    });
    if let Some(event) = event.as_object_mut() {
        status(leaf, event);
        if leaf.repeated > 1 {
            event.insert("count".to_owned(), leaf.repeated.into());
        }
        if let Some(resource) = resource(entry) {
            event.insert("resources".to_owned(), json!([resource]));
        }
    }
    event
}

/// The last word of the action, up to what it is done to: `set` of `…train_prefs.set_user`.
fn verb(leaf: &Leaf) -> &str {
    let last = leaf.action.as_str().rsplit('.').next().unwrap_or_default();
    last.split('_').next().unwrap_or(last)
}

/// What kind of activity it is: by its word, else by the method of the request.
fn activity(leaf: &Leaf, verb: &str) -> Option<Named> {
    if OTHER_VERBS.contains(&verb) {
        return None;
    }
    let known = VERBS.iter().find(|(word, _)| *word == verb);
    known.map(|(_, named)| *named).or_else(|| {
        let method = leaf.metadata.get("method").and_then(Value::as_str);
        match method? {
            "GET" | "HEAD" => Some(READ),
            "POST" => Some(CREATE),
            "PUT" | "PATCH" => Some(UPDATE),
            "DELETE" => Some(DELETE),
            _ => None,
        }
    })
}

fn outcome(leaf: &Leaf) -> Option<&Outcome> {
    match &leaf.phase {
        Phase::Intent => None,
        Phase::Outcome { outcome, .. } | Phase::Event(outcome) => Some(outcome),
    }
}

/// A refusal may matter to someone; what failed or is unknown has to be looked at.
fn severity(leaf: &Leaf) -> Named {
    match outcome(leaf) {
        None | Some(Outcome::Done) => (1, "Informational"),
        Some(Outcome::Refused(_)) => (2, "Low"),
        Some(Outcome::Failed(_) | Outcome::Unknown) => (3, "Medium"),
    }
}

fn status(leaf: &Leaf, event: &mut Map<String, Value>) {
    let (id, caption, code) = match outcome(leaf) {
        None => (OTHER, "Intent", None),
        Some(Outcome::Done) => (1, "Success", None),
        Some(Outcome::Refused(code) | Outcome::Failed(code)) => (2, "Failure", Some(code)),
        Some(Outcome::Unknown) => (0, "Unknown", None),
    };
    event.insert("status_id".to_owned(), id.into());
    event.insert("status".to_owned(), caption.into());
    if let Some(code) = code {
        event.insert("status_code".to_owned(), code.as_str().into());
    }
}

/// Without ids: they are personal, and a message is copied far.
fn message(leaf: &Leaf) -> String {
    match outcome(leaf) {
        None => format!("{}: intended", leaf.action),
        Some(outcome) => format!("{}: {outcome}", leaf.action),
    }
}

fn metadata(entry: &Entry) -> Value {
    let leaf = &entry.leaf;
    json!({
        "version": OCSF_VERSION,
        "product": {"name": "Tenantry", "vendor_name": "Tenantry", "version": env!("CARGO_PKG_VERSION")},
        "uid": format!("{}/{}/{}", leaf.tenant, leaf.env, entry.seq),
        "sequence": entry.seq,
        "tenant_uid": leaf.tenant,
        "log_name": "audit",
        "log_version": "1",
        "correlation_uid": leaf.request_id.as_str(),
    })
}

fn actor_object(entry: &Entry) -> Value {
    match &entry.leaf.actor {
        LeafActor::User { role, .. } => {
            let (type_id, kind) = match role {
                Some(Role::Owner | Role::Admin) => (2, "Admin"),
                Some(Role::Member | Role::Viewer) | None => (1, "User"),
            };
            let (name, value) = match actor(entry) {
                Some(id) => ("uid", id),
                None => ("name", ERASED),
            };
            let mut user = Map::from_iter([
                ("type_id".to_owned(), type_id.into()),
                ("type".to_owned(), kind.into()),
                (name.to_owned(), value.into()),
            ]);
            if let Some(role) = role {
                let group = json!({"name": role.as_str(), "type": "role"});
                user.insert("groups".to_owned(), json!([group]));
            }
            json!({"user": user})
        }
        LeafActor::System { name } => json!({"app_name": name}),
        LeafActor::Anonymous {} => {
            json!({"user": {"name": "anonymous", "type_id": 0, "type": "Unknown"}})
        }
    }
}

fn api(leaf: &Leaf) -> Value {
    let operation = &leaf.action;
    let service = json!({"name": "tenantry"});
    let request = json!({"uid": leaf.request_id.as_str()});
    match outcome(leaf) {
        Some(Outcome::Refused(code) | Outcome::Failed(code)) => json!({
            "operation": operation, "service": service, "request": request, "response": {"error": code},
        }),
        None | Some(Outcome::Done | Outcome::Unknown) => {
            json!({"operation": operation, "service": service, "request": request})
        }
    }
}

fn resource(entry: &Entry) -> Option<Value> {
    let named = entry.leaf.target.as_ref()?;
    Some(match target(entry) {
        Some(id) => json!({"type": named.kind, "uid": id}),
        None => json!({"type": named.kind, "name": ERASED}),
    })
}

fn unmapped(entry: &Entry) -> Value {
    let leaf = &entry.leaf;
    let (phase, intent) = match &leaf.phase {
        Phase::Intent => ("intent", None),
        Phase::Outcome { intent, .. } => ("outcome", Some(intent.get())),
        Phase::Event(_) => ("event", None),
    };
    let shown = entry.opened.fields.iter();
    let personal: Map<String, Value> = shown
        .filter_map(|(field, opening)| match field {
            Field::Personal(name) => Some((name.to_string(), opening.value.as_str().into())),
            Field::ActorId | Field::TargetId => None,
        })
        .collect();
    json!({
        "env": leaf.env,
        "project_id": leaf.project,
        "phase": phase,
        "intent": intent,
        "traceparent": leaf.traceparent.as_ref().map(Traceparent::as_str),
        "training": leaf.training,
        "metadata": leaf.metadata,
        "personal": personal,
        "erased": entry.opened.erased,
        "leaf_hash": Hash::of_leaf(&entry.bytes),
    })
}
