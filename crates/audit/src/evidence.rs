//! From a tenant's head to the signed checkpoint: what receipts and exports share.

use identity::{Env, TenantId};
use serde::{Deserialize, Serialize};

use crate::{Checkpoint, Epoch, Hash, Head, Salt};

/// A leaf of the tree of heads or of the log of epochs, and the proof that it is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Included {
    /// The leaf's text.
    pub leaf: String,
    /// The RFC 6962 inclusion proof.
    pub proof: Vec<Hash>,
}

/// Shows that the log of epochs has only grown since a checkpoint that the reader knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// How many epochs that checkpoint covers.
    pub size: u64,
    /// The RFC 6962 consistency proof from there.
    pub proof: Vec<Hash>,
}

/// What ties the head of a tenant's log to a signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Whose log.
    pub tenant: TenantId,
    /// Of which environment.
    pub env: Env,
    /// The salt of the slot's binding.
    pub salt: Salt,
    /// The head, in the tree of heads of the epoch; its index is the slot.
    pub head: Included,
    /// The epoch, in the log of epochs.
    pub epoch: Included,
    /// The continuation of a checkpoint that the reader knows, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Evidence {
    /// Puts the evidence together.
    ///
    /// `head_proof` is [`Heads::prove`](crate::Heads::prove) of the head's slot in the tree of
    /// `epoch`, `epoch_proof` the inclusion proof of the epoch at the checkpoint's size, and
    /// `note` the signed checkpoint. `None` when a leaf is no text, which does not happen.
    #[must_use]
    pub fn new(
        whose: (TenantId, Env, Salt),
        head: (&Head, Vec<Hash>),
        epoch: (&Epoch, Vec<Hash>),
        note: String,
    ) -> Option<Self> {
        let (tenant, env, salt) = whose;
        Some(Self {
            tenant,
            env,
            salt,
            head: Included {
                leaf: String::from_utf8(head.0.encode()).ok()?,
                proof: head.1,
            },
            epoch: Included {
                leaf: String::from_utf8(epoch.0.encode()).ok()?,
                proof: epoch.1,
            },
            since: None,
            checkpoint: note,
        })
    }
}

/// What verified evidence says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    /// The head of the tenant's log.
    pub head: Head,
    /// The epoch that it is in.
    pub epoch: Epoch,
    /// The checkpoint that the epoch is under.
    pub checkpoint: Checkpoint,
    /// How the checkpoint relates to the one that was known.
    pub continuity: Continuity,
}

/// How a checkpoint relates to one that was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// None was known.
    FirstSeen,
    /// It is the one that was known.
    Same,
    /// It is newer, and proven to continue it.
    Extends,
    /// It is newer; nothing shows that it continues the known one.
    NotShown,
}
