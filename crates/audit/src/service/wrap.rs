//! Subject keys at rest: encrypted under a key that is a secret of the deployment.
//!
//! Whoever has the store alone, or a backup of it, has no subject's key.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use identity::{Entropy, TenantId, UserId};
use zeroize::Zeroizing;

use crate::{
    Hash,
    seal::{KEY_ID_BYTES, KeyId, SUBJECT_KEY_BYTES, SubjectKey},
};

const WRAPPING_KEY_BYTES: usize = 32;
const DOMAIN: &[u8] = b"tenantry-audit/subject-key/v1\n";
const MARK_DOMAIN: &[u8] = b"tenantry-audit/erased/v1\n";

/// The secret under which subject keys are stored. It does not print.
pub struct WrappingKey {
    wrapping: LessSafeKey,
    /// Derived from the same secret.
    marking: hmac::Key,
}

/// A text is no wrapping key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a wrapping key: 32 bytes in base64")]
pub struct InvalidWrappingKey;

/// A stored subject key was damaged, moved, or wrapped under another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored subject key cannot be unwrapped")]
pub(super) struct NotUnwrapped;

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(***)")
    }
}

impl WrappingKey {
    /// Reads 32 bytes in base64, as a secret holds them.
    ///
    /// # Errors
    /// [`InvalidWrappingKey`].
    pub fn parse(text: &str) -> Result<Self, InvalidWrappingKey> {
        let decoded = BASE64_STANDARD.decode(text.trim());
        let bytes = Zeroizing::new(decoded.map_err(|_| InvalidWrappingKey)?);
        if bytes.len() != WRAPPING_KEY_BYTES {
            return Err(InvalidWrappingKey);
        }
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| InvalidWrappingKey)?;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let derived = hmac::sign(&secret, MARK_DOMAIN);
        Ok(Self {
            wrapping: LessSafeKey::new(key),
            marking: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
        })
    }

    /// Stands for a person of a tenant; whoever does not have this key cannot say for whom.
    pub(super) fn mark(&self, tenant: &TenantId, subject: &UserId) -> Hash {
        let named = [tenant.as_str(), "\0", subject.as_str()].concat();
        Hash::of(&[hmac::sign(&self.marking, named.as_bytes()).as_ref()])
    }

    /// `key id | nonce | ciphertext and tag`, bound to the tenant.
    pub(super) fn wrap(
        &self,
        tenant: &TenantId,
        key: &SubjectKey,
        entropy: &dyn Entropy,
    ) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut secret = Zeroizing::new(key.expose().to_vec());
        let aad = Aad::from(bound_to(tenant, key.id()));
        let unique = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .wrapping
            .seal_in_place_separate_tag(unique, aad, &mut secret);
        let tag = tag.ok()?;
        Some([&key.id().0[..], &nonce, &secret, tag.as_ref()].concat())
    }

    pub(super) fn unwrap(
        &self,
        tenant: &TenantId,
        wrapped: &[u8],
    ) -> Result<SubjectKey, NotUnwrapped> {
        let (id, rest) = wrapped
            .split_first_chunk::<KEY_ID_BYTES>()
            .ok_or(NotUnwrapped)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(NotUnwrapped)?;
        let id = KeyId(*id);
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let plain = self.wrapping.open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(bound_to(tenant, id)),
            &mut buffer,
        );
        let plain: &[u8] = plain.map_err(|_| NotUnwrapped)?;
        let secret: [u8; SUBJECT_KEY_BYTES] = plain.try_into().map_err(|_| NotUnwrapped)?;
        Ok(SubjectKey::from_stored(id, Zeroizing::new(secret)))
    }
}

fn bound_to(tenant: &TenantId, id: KeyId) -> Vec<u8> {
    [DOMAIN, &id.0, tenant.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::try_from(at % 251).unwrap();
            }
        }
    }

    #[test]
    fn a_wrapped_key_opens_for_its_tenant_and_wrapping_key_alone() {
        let wrapping = WrappingKey::parse(&BASE64_STANDARD.encode([7; 32])).unwrap();
        let other = WrappingKey::parse(&BASE64_STANDARD.encode([8; 32])).unwrap();
        let (alice, bob): (TenantId, TenantId) = ("t_a".parse().unwrap(), "t_b".parse().unwrap());
        let key = SubjectKey::generate(&Counting);
        let wrapped = wrapping.wrap(&alice, &key, &Counting).unwrap();
        let opened = wrapping.unwrap(&alice, &wrapped).unwrap();
        assert_eq!((opened.id(), opened.expose()), (key.id(), key.expose()));
        assert!(wrapping.unwrap(&bob, &wrapped).is_err());
        assert!(other.unwrap(&alice, &wrapped).is_err());
        for at in 0..wrapped.len() {
            let mut flipped = wrapped.clone();
            flipped[at] ^= 1;
            assert!(wrapping.unwrap(&alice, &flipped).is_err(), "{at}");
            assert!(wrapping.unwrap(&alice, &wrapped[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn a_wrapping_key_has_32_bytes() {
        for bad in [
            "",
            "x",
            &BASE64_STANDARD.encode([1; 31]),
            &BASE64_STANDARD.encode([1; 33]),
        ] {
            assert!(WrappingKey::parse(bad).is_err());
        }
    }
}
