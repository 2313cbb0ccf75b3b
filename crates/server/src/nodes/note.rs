//! What nodes tell each other: that something has changed, by its ids.
//!
//! **Invariant:** a message that is not understood, such as one of a newer version, says that anything may have
//! changed. So nodes of two versions forget more than they must, and never less.

use bytes::Bytes;
use control::{Change, RouteOwner};
use flags::LayerKey;
use gatechain::Place;
use identity::{Entropy, Env, SessionId, TenantId, UserId};
use privacy::Level;
use serde::{Deserialize, Serialize};

/// The version of messages that this server writes and reads.
const VERSION: u8 = 1;
/// Notes of one message. With the longest ids one is below the limit of the bus.
pub(super) const NOTES_MAX: usize = 32;
/// Bytes of chance in the id of a node.
const NODE_BYTES: usize = 8;

/// One server process; another after each start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct NodeId(String);

impl NodeId {
    pub(super) fn generate(entropy: &dyn Entropy) -> Self {
        let mut chance = [0; NODE_BYTES];
        entropy.fill(&mut chance);
        Self(format!("{:016x}", u64::from_be_bytes(chance)))
    }
}

/// Something that has changed; what is remembered of it counts no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Note {
    /// Anything may have: the node lost count of its changes.
    Anything,
    Member(TenantId, UserId),
    Tenant(TenantId),
    Session(SessionId),
    Routes(RouteOwner),
    Gates(Option<(TenantId, Env)>),
    Flags(Option<(TenantId, Env)>),
    TrainPrefs(Option<TenantId>, Option<UserId>),
}

impl Note {
    /// What it is about, as a label.
    pub(super) const fn about(&self) -> &'static str {
        match self {
            Self::Anything => "anything",
            Self::Member(..) => "member",
            Self::Tenant(_) => "tenant",
            Self::Session(_) => "session",
            Self::Routes(_) => "routes",
            Self::Gates(_) => "gates",
            Self::Flags(_) => "flags",
            Self::TrainPrefs(..) => "train_prefs",
        }
    }
}

impl From<Change> for Note {
    fn from(change: Change) -> Self {
        match change {
            Change::Member(tenant, user) => Self::Member(tenant, user),
            Change::Tenant(tenant) => Self::Tenant(tenant),
            Change::Session(session) => Self::Session(session),
            Change::Routes(owner) => Self::Routes(owner),
        }
    }
}

impl From<Place> for Note {
    fn from(place: Place) -> Self {
        Self::Gates(match place {
            Place::System => None,
            Place::Tenant(tenant, env) => Some((tenant, env)),
        })
    }
}

impl From<LayerKey> for Note {
    fn from(layer: LayerKey) -> Self {
        Self::Flags(match layer {
            LayerKey::System => None,
            LayerKey::Tenant(tenant, env) => Some((tenant, env)),
        })
    }
}

impl From<Level> for Note {
    fn from(level: Level) -> Self {
        match level {
            Level::System => Self::TrainPrefs(None, None),
            Level::Tenant(tenant) => Self::TrainPrefs(Some(tenant), None),
            Level::User(tenant, user) => Self::TrainPrefs(Some(tenant), Some(user)),
        }
    }
}

/// A message, as it is sent.
#[derive(Serialize, Deserialize)]
struct Message<N> {
    v: u8,
    node: NodeId,
    notes: N,
}

/// Who sent a message, whatever else is in it.
#[derive(Deserialize)]
struct Sender {
    node: NodeId,
}

/// A message of `node`.
pub(super) fn message(node: &NodeId, notes: &[Note]) -> Bytes {
    let message = Message {
        v: VERSION,
        node: node.clone(),
        notes,
    };
    // Ids and numbers are always JSON.
    serde_json::to_vec(&message).unwrap_or_default().into()
}

/// What another node than `own` says; nothing if it is this one.
pub(super) fn read(own: &NodeId, message: &[u8]) -> Vec<Note> {
    let sender = serde_json::from_slice(message);
    if sender.is_ok_and(|Sender { node }| node == *own) {
        return Vec::new();
    }
    match serde_json::from_slice::<Message<Vec<Note>>>(message) {
        Ok(known) if known.v == VERSION => known.notes,
        Ok(_) | Err(_) => vec![Note::Anything],
    }
}

#[cfg(test)]
mod tests {
    use store::MESSAGE_BYTES_MAX;

    use super::*;
    use crate::ambient::SystemEntropy;

    /// Notes with the longest ids.
    fn longest() -> Vec<Note> {
        fn id<T: std::str::FromStr>(prefix: &str) -> T {
            let long = (1..256)
                .rev()
                .map(|chars| format!("{prefix}_{}", "a".repeat(chars)));
            long.filter_map(|text| text.parse().ok()).next().unwrap()
        }
        let place = || Some((id("t"), Env::Staging));
        let owner = RouteOwner::of(Some(&id("t")));
        vec![
            Note::Anything,
            Note::Member(id("t"), id("u")),
            Note::Tenant(id("t")),
            Note::Session(id("se")),
            Note::Routes(owner),
            Note::Gates(place()),
            Note::Gates(None),
            Note::Flags(place()),
            Note::TrainPrefs(Some(id("t")), Some(id("u"))),
            Note::TrainPrefs(None, None),
        ]
    }

    #[test]
    fn others_read_what_a_node_wrote_and_the_node_itself_does_not() {
        let [one, two] = [(), ()].map(|()| NodeId::generate(&SystemEntropy));
        let written = message(&one, &longest());
        assert_eq!(read(&two, &written), longest());
        assert_eq!(read(&one, &written), []);
    }

    #[test]
    fn a_full_message_of_the_longest_ids_is_below_the_limit_of_the_bus() {
        let node = NodeId::generate(&SystemEntropy);
        for note in longest() {
            let notes = vec![note; NOTES_MAX];
            let bytes = message(&node, &notes).len();
            assert!(bytes <= MESSAGE_BYTES_MAX, "{bytes} of {notes:?}");
        }
    }

    #[test]
    fn what_is_not_understood_may_be_about_anything() {
        let own = NodeId::generate(&SystemEntropy);
        for strange in [
            "",
            "{}",
            r#"{"v":1,"node":"a","notes":[{"later":["t_a"]}]}"#,
            r#"{"v":2,"node":"a","notes":[]}"#,
            r#"{"v":1,"node":"a","notes":[{"tenant":"no id"}]}"#,
        ] {
            assert_eq!(
                read(&own, strange.as_bytes()),
                [Note::Anything],
                "{strange}"
            );
        }
    }
}
