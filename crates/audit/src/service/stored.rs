//! A log's head as stored: everything that its next round needs, in one document.

use identity::{Env, TenantId};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use store::StoreError;

use super::LogId;
use crate::{
    Hash, Salt, Seq,
    hash::HASH_BYTES,
    head::{Head, HeadFlags, binding},
    index::Index,
    log::LogState,
};

/// What an epoch said, or will say, of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) size: u64,
    root: [u8; 32],
    legal_hold: bool,
    training_denied: bool,
}

impl Said {
    /// The root of the log.
    pub(super) const fn root(&self) -> Hash {
        Hash::from_bytes(self.root)
    }
}

/// The head of a log.
///
/// Its checksum finds accidents in what no tree covers: open intents, and the index.
#[derive(Debug, Clone)]
pub(super) struct StoredHead {
    pub(super) log: LogId,
    pub(super) slot: u32,
    pub(super) salt: Salt,
    pub(super) flags: HeadFlags,
    pub(super) state: LogState,
    /// What records are found by; it may know fewer than the tree, never more.
    pub(super) index: Index,
    /// Intents whose outcome is not in the log yet.
    pub(super) open: Vec<u64>,
    /// The epoch that says first what this is.
    pub(super) epoch: u64,
    /// What the epochs before that one say; `None` if they do not know the log.
    pub(super) before: Option<Said>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    tenant: SmolStr,
    env: SmolStr,
    slot: u32,
    salt: Salt,
    legal_hold: bool,
    training_denied: bool,
    #[serde(with = "serde_bytes")]
    state: Vec<u8>,
    #[serde(with = "serde_bytes")]
    index: Vec<u8>,
    open: Vec<u64>,
    epoch: u64,
    before: Option<Said>,
}

impl StoredHead {
    /// The head of a log without records, of which no epoch knows.
    pub(super) fn empty(log: &LogId, slot: u32, salt: Salt) -> Self {
        Self {
            log: log.clone(),
            slot,
            salt,
            flags: HeadFlags::default(),
            state: LogState::empty(),
            index: Index::new(),
            open: Vec::new(),
            epoch: 0,
            before: None,
        }
    }

    /// Whether nothing was ever said of the log.
    pub(super) fn is_new(&self) -> bool {
        self.epoch == 0 && self.state.size() == 0 && self.flags == HeadFlags::default()
    }

    /// What it says now.
    pub(super) fn said(&self) -> Said {
        Said {
            size: self.state.size(),
            root: *self.state.root().as_bytes(),
            legal_hold: self.flags.legal_hold,
            training_denied: self.flags.training_denied,
        }
    }

    /// What `epoch` says of the log; `None` if it does not know it.
    pub(super) fn said_in(&self, epoch: u64) -> Option<Said> {
        if self.epoch != 0 && self.epoch <= epoch {
            Some(self.said())
        } else {
            self.before
        }
    }

    /// Readies the head for a change that `epoch` will be the first to tell.
    pub(super) fn enter(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.before = self.said_in(epoch.saturating_sub(1));
            self.epoch = epoch;
        }
    }

    /// The leaf of the tree of heads that says so.
    pub(super) fn leaf(&self, said: &Said) -> Head {
        Head {
            slot: self.slot.into(),
            binding: binding(&self.salt, &self.log.tenant, self.log.env),
            size: said.size,
            root: said.root(),
            flags: HeadFlags {
                legal_hold: said.legal_hold,
                training_denied: said.training_denied,
            },
        }
    }

    /// The last record that the index knows; 0 when it knows none.
    pub(super) fn indexed(&self) -> u64 {
        self.index.last().map_or(0, Seq::get)
    }

    /// The first record that retention has not removed.
    pub(super) const fn oldest(&self) -> u64 {
        self.index.oldest()
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let wire = Wire {
            tenant: SmolStr::new(self.log.tenant.as_str()),
            env: SmolStr::new(self.log.env.as_str()),
            slot: self.slot,
            salt: self.salt,
            legal_hold: self.flags.legal_hold,
            training_denied: self.flags.training_denied,
            state: self.state.encode(),
            index: self.index.encode(),
            open: self.open.clone(),
            epoch: self.epoch,
            before: self.before,
        };
        let wire = postcard::to_stdvec(&wire);
        let mut bytes = wire.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let checksum = Hash::of(&[&bytes]);
        bytes.extend(checksum.as_bytes());
        Ok(bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let whole = bytes.split_last_chunk::<HASH_BYTES>();
        let (bytes, checksum) = whole.ok_or_else(|| damaged("it is too short"))?;
        if Hash::of(&[bytes]).as_bytes() != checksum {
            return Err(damaged("its checksum differs"));
        }
        let wire: Wire = postcard::from_bytes(bytes).map_err(damaged)?;
        let head = Self {
            log: LogId {
                tenant: wire.tenant.parse::<TenantId>().map_err(damaged)?,
                env: wire.env.parse::<Env>().map_err(damaged)?,
            },
            slot: wire.slot,
            salt: wire.salt,
            flags: HeadFlags {
                legal_hold: wire.legal_hold,
                training_denied: wire.training_denied,
            },
            state: LogState::decode(&wire.state).map_err(damaged)?,
            index: Index::decode(&wire.index).map_err(damaged)?,
            open: wire.open,
            epoch: wire.epoch,
            before: wire.before,
        };
        if head.indexed() > head.state.size() {
            return Err(damaged("the index knows more records than the tree"));
        }
        Ok(head)
    }
}

fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("an audit log's head: {error}"))
}
