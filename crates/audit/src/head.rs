//! The head of one tenant's log, as it stands in the tree of all heads.
//!
//! ```text
//! tenantry-audit/head/v1
//! <slot>
//! <binding>
//! <size>
//! <root>
//! <flags>
//! ```
//! Flags are `-`, `legal-hold`, `training-denied` or `legal-hold,training-denied`.

use std::fmt;

use identity::{Env, TenantId};

use crate::{Hash, LOG_SIZE_MAX, Salt, lines};

const TAG: &str = "tenantry-audit/head/v1";
const LEGAL_HOLD: &str = "legal-hold";
const TRAINING_DENIED: &str = "training-denied";

/// What a binding's hashed bytes begin with.
pub const BINDING_DOMAIN: &[u8] = b"tenantry-audit/tenant/v1\n";

/// Which tenant and environment a slot belongs to, without naming them:
/// `SHA-256(DOMAIN || salt || tenant || 0x00 || env)`.
///
/// The salt is drawn once per slot. The tenant's own receipts and exports carry it.
#[must_use]
pub fn binding(salt: &Salt, tenant: &TenantId, env: Env) -> Hash {
    Hash::of(&[
        BINDING_DOMAIN,
        salt.as_bytes(),
        tenant.as_str().as_bytes(),
        &[0],
        env.as_str().as_bytes(),
    ])
}

/// What one epoch says of one tenant's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The tenant's slot: its index in the tree of heads, the same in every epoch.
    pub slot: u64,
    /// Which tenant and environment it is; see [`binding`].
    pub binding: Hash,
    /// The size of the log.
    pub size: u64,
    /// The root of the log.
    pub root: Hash,
    /// What else holds for the log.
    pub flags: HeadFlags,
}

/// What holds for a whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadFlags {
    /// Nothing may be erased.
    pub legal_hold: bool,
    /// The tenant denies training.
    pub training_denied: bool,
}

/// Bytes are no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a tenant's head")]
pub struct InvalidHead;

impl Head {
    /// The leaf of the tree of heads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let values: [&dyn fmt::Display; 5] = [
            &self.slot,
            &self.binding,
            &self.size,
            &self.root,
            &self.flags,
        ];
        lines::write(TAG, &values)
    }

    /// The hash of that leaf.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        Hash::of_leaf(&self.encode())
    }

    /// Reads a leaf; only what [`Self::encode`] writes is one.
    ///
    /// # Errors
    /// [`InvalidHead`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidHead> {
        let read = || {
            let [slot, binding, size, root, flags] = lines::read(TAG, bytes)?;
            Some(Self {
                slot: slot.parse().ok()?,
                binding: binding.parse().ok()?,
                size: size.parse().ok()?,
                root: root.parse().ok()?,
                flags: HeadFlags {
                    legal_hold: flags.contains(LEGAL_HOLD),
                    training_denied: flags.contains(TRAINING_DENIED),
                },
            })
        };
        read()
            .filter(|head| head.size <= LOG_SIZE_MAX && head.encode() == bytes)
            .ok_or(InvalidHead)
    }
}

impl fmt::Display for HeadFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.legal_hold, self.training_denied) {
            (false, false) => f.write_str("-"),
            (true, false) => f.write_str(LEGAL_HOLD),
            (false, true) => f.write_str(TRAINING_DENIED),
            (true, true) => write!(f, "{LEGAL_HOLD},{TRAINING_DENIED}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_spelling() {
        for (legal_hold, training_denied) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let head = Head {
                slot: 7,
                binding: Hash::of_leaf(b"binding"),
                size: 12,
                root: Hash::of_leaf(b"root"),
                flags: HeadFlags {
                    legal_hold,
                    training_denied,
                },
            };
            let bytes = head.encode();
            assert_eq!(Head::parse(&bytes), Ok(head));
            let text = String::from_utf8(bytes).unwrap();
            for bad in [
                text.replace("\n7\n", "\n07\n"),
                text.replace("\n7\n", "\n+7\n"),
                text.replace("\n12\n", "\n12 \n"),
                text.replace("v1", "v2"),
                format!("{text}\n"),
                format!("{text}x\n"),
                text.trim_end().to_owned(),
            ] {
                assert_eq!(Head::parse(bad.as_bytes()), Err(InvalidHead), "{bad}");
            }
        }
    }
}
