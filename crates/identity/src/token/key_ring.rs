//! The keys of the own issuer (HS256), and their states.

use std::collections::HashMap;

use jsonwebtoken::{DecodingKey, EncodingKey};
use zeroize::Zeroizing;

/// Least length of a secret, in bytes (RFC 7518, section 3.2).
pub const KEY_BYTES_MIN: usize = 32;

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Known to all nodes, signs nothing yet; what another node signs with it verifies.
    Standby,
    /// Signs; exactly one key does.
    Active,
    /// Signs no more; what it signed verifies until it ends.
    VerifyOnly,
    /// Nothing it signed verifies.
    Revoked,
}

/// One secret of the ring.
pub struct RingKey {
    /// The name in the token's header.
    pub kid: String,
    /// At least [`KEY_BYTES_MIN`] random bytes.
    pub secret: Zeroizing<Vec<u8>>,
    /// Where it is in its life.
    pub state: KeyState,
}

/// Why keys make no ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// A secret is too short.
    #[error("the secret of key {0} has fewer than 32 bytes")]
    ShortSecret(String),
    /// Two keys have one name.
    #[error("the key {0} is given twice")]
    DuplicateKid(String),
    /// A key has no name, or one that is too long.
    #[error("a key id has 1 to 64 characters")]
    InvalidKid,
    /// Not exactly one key is active.
    #[error("exactly one key must be active, {0} are")]
    ActiveKeys(usize),
}

/// The keys with which own tokens are signed and verified.
pub struct KeyRing {
    active_kid: String,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
}

impl KeyRing {
    /// A ring of `keys`.
    ///
    /// # Errors
    /// [`KeyRingError`] unless every secret is long enough, every name unique
    /// and exactly one key active.
    pub fn new(keys: Vec<RingKey>) -> Result<Self, KeyRingError> {
        let mut active = Vec::new();
        let mut verifying = HashMap::new();
        let mut seen = std::collections::HashSet::new();
        for RingKey { kid, secret, state } in keys {
            if kid.is_empty() || kid.len() > 64 {
                return Err(KeyRingError::InvalidKid);
            }
            if secret.len() < KEY_BYTES_MIN {
                return Err(KeyRingError::ShortSecret(kid));
            }
            if !seen.insert(kid.clone()) {
                return Err(KeyRingError::DuplicateKid(kid));
            }
            if state == KeyState::Active {
                active.push((kid.clone(), EncodingKey::from_secret(&secret)));
            }
            if state != KeyState::Revoked {
                verifying.insert(kid, DecodingKey::from_secret(&secret));
            }
        }
        let count = active.len();
        match (active.pop(), count) {
            (Some((active_kid, signing)), 1) => Ok(Self {
                active_kid,
                signing,
                verifying,
            }),
            _ => Err(KeyRingError::ActiveKeys(count)),
        }
    }

    pub(super) fn signing(&self) -> (&str, &EncodingKey) {
        (&self.active_kid, &self.signing)
    }

    pub(super) fn verifying(&self, kid: &str) -> Option<&DecodingKey> {
        self.verifying.get(kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, bytes: usize, state: KeyState) -> RingKey {
        RingKey {
            kid: kid.into(),
            secret: vec![7; bytes].into(),
            state,
        }
    }

    #[test]
    fn a_ring_has_exactly_one_active_key_of_full_length() {
        use KeyState::{Active, Revoked, Standby, VerifyOnly};
        let ring = KeyRing::new(vec![
            key("a", 32, Active),
            key("b", 32, VerifyOnly),
            key("c", 32, Revoked),
        ])
        .unwrap();
        assert!(ring.verifying("b").is_some());
        assert!(ring.verifying("c").is_none());
        let refused = |keys| KeyRing::new(keys).err().unwrap();
        assert_eq!(
            refused(vec![key("a", 31, Active)]),
            KeyRingError::ShortSecret("a".into())
        );
        assert_eq!(
            refused(vec![key("a", 32, Standby)]),
            KeyRingError::ActiveKeys(0)
        );
        assert_eq!(
            refused(vec![key("a", 32, Active), key("b", 32, Active)]),
            KeyRingError::ActiveKeys(2)
        );
        assert_eq!(
            refused(vec![key("a", 32, Active), key("a", 32, Revoked)]),
            KeyRingError::DuplicateKid("a".into())
        );
    }
}
