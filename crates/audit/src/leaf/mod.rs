//! The leaf: the bytes that a log hashes, keeps and exports for one record.
//!
//! A leaf is one JSON object, written once by [`Leaf::encode`]. From then on its
//! bytes are stored, hashed and exported verbatim; nobody serialises it again,
//! so no canonical form is needed. It names its tenant and environment, so that
//! a leaf in another tenant's log is noticed, and not its place, which the tree knows.
//!
//! **Invariant:** a leaf holds no personal value, only commitments to them.

use std::collections::BTreeMap;

use identity::{Env, ProjectId, RequestId, Role, TenantId, Timestamp, Traceparent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::{
    Commitment, Field, Hash, Label, Phase, Training,
    event::{PERSONAL_MAX, TARGET_ID_BYTES_MAX},
};

mod wire;

/// Largest leaf, in bytes. A larger one is refused, never cut.
pub const LEAF_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of metadata: readers of JSON stop somewhere, and not at the same depth.
pub const METADATA_LEVELS_MAX: usize = 64;

/// One record as a verifier sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// The tenant in whose log it belongs.
    pub tenant: TenantId,
    /// The environment in whose log it belongs.
    pub env: Env,
    /// The project, for what happened in one.
    pub project: Option<ProjectId>,
    /// When.
    pub time: Timestamp,
    /// What was attempted or done.
    pub action: Label,
    /// Where it stands in what it tells of, and how it ended.
    pub phase: Phase,
    /// Who.
    pub actor: LeafActor,
    /// To what.
    pub target: Option<LeafTarget>,
    /// The request; also written as `trace_id`.
    pub request_id: RequestId,
    /// The W3C trace.
    pub traceparent: Option<Traceparent>,
    /// Whether it may be used for training.
    pub training: Training,
    /// The hash of the caller's idempotency key.
    pub idempotency: Option<Hash>,
    /// How many alike it stands for.
    pub repeated: u32,
    /// Anything else, without personal data.
    pub metadata: Map<String, Value>,
    /// Commitments to further personal values.
    pub personal: BTreeMap<Label, Commitment>,
}

/// Who acted, without saying which user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum LeafActor {
    /// A user.
    User {
        /// The commitment to the user's id.
        id: Commitment,
        /// In what role.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
    },
    /// A part of Tenantry itself.
    System {
        /// Which part.
        name: Label,
    },
    /// Nobody who was known.
    Anonymous {},
}

/// What was acted upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafTarget {
    /// What kind of thing.
    pub kind: Label,
    /// Which one.
    pub id: LeafTargetId,
}

/// Which thing was acted upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LeafTargetId {
    /// A thing whose id is not personal.
    Thing(SmolStr),
    /// A user, without saying which.
    User(Commitment),
}

/// Why bytes are no leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// It exceeds [`LEAF_BYTES_MAX`].
    #[error("the record has {bytes} bytes of {LEAF_BYTES_MAX} that a record may have")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// It is not a record of a known version.
    #[error("not an audit record: {0}")]
    Malformed(String),
}

impl Leaf {
    /// The bytes that are hashed, kept and exported.
    ///
    /// # Errors
    /// [`LeafError::TooLarge`]; [`LeafError::Malformed`] for a record that could not be read back.
    pub fn encode(&self) -> Result<Vec<u8>, LeafError> {
        self.check()?;
        let bytes = serde_json::to_vec(&wire::Written::from(self))
            .map_err(|error| LeafError::Malformed(error.to_string()))?;
        within(bytes.len())?;
        Ok(bytes)
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// As [`LeafError`] says.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        within(bytes.len())?;
        let wire: wire::Read = serde_json::from_slice(bytes)
            .map_err(|error| LeafError::Malformed(error.to_string()))?;
        let leaf = Self::try_from(wire)?;
        leaf.check()?;
        Ok(leaf)
    }

    /// Every personal field and its commitment.
    #[must_use]
    pub fn commitments(&self) -> BTreeMap<Field, Commitment> {
        let actor = match &self.actor {
            LeafActor::User { id, .. } => Some((Field::ActorId, *id)),
            LeafActor::System { .. } | LeafActor::Anonymous {} => None,
        };
        let target = match self.target.as_ref().map(|target| &target.id) {
            Some(LeafTargetId::User(id)) => Some((Field::TargetId, *id)),
            Some(LeafTargetId::Thing(_)) | None => None,
        };
        let personal = self.personal.iter();
        let personal = personal.map(|(name, made)| (Field::Personal(name.clone()), *made));
        actor.into_iter().chain(target).chain(personal).collect()
    }

    fn check(&self) -> Result<(), LeafError> {
        let malformed = |why: &str| Err(LeafError::Malformed(why.to_owned()));
        if self.repeated == 0 {
            return malformed("a record stands for one event at least");
        }
        if self.personal.len() > PERSONAL_MAX {
            return malformed("too many personal values");
        }
        if !self
            .metadata
            .values()
            .all(|value| fits(value, METADATA_LEVELS_MAX - 1))
        {
            return malformed("the metadata is nested too deeply");
        }
        if self.training.source.len() > crate::LABEL_BYTES_MAX {
            return malformed("the source of the training permission is too long");
        }
        match self.target.as_ref().map(|target| &target.id) {
            Some(LeafTargetId::Thing(id)) if !(1..=TARGET_ID_BYTES_MAX).contains(&id.len()) => {
                malformed("the id of the target is empty or too long")
            }
            _ => Ok(()),
        }
    }
}

/// Whether `value` is nested in at most `levels`.
fn fits(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return !value.is_array() && !value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().all(|item| fits(item, below)),
        Value::Object(members) => members.values().all(|member| fits(member, below)),
        _ => true,
    }
}

fn within(bytes: usize) -> Result<(), LeafError> {
    if bytes > LEAF_BYTES_MAX {
        return Err(LeafError::TooLarge { bytes });
    }
    Ok(())
}
