//! The key of one subject. Destroying every copy of it erases the subject.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use identity::Entropy;
use zeroize::Zeroizing;

/// Length of a key's id, in bytes.
pub const KEY_ID_BYTES: usize = 16;
/// Length of a key, in bytes.
pub const SUBJECT_KEY_BYTES: usize = 32;

/// Names a key; drawn by chance, so that it says nothing about the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; KEY_ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The AES-256-GCM key of one subject in one tenant. It neither prints nor compares.
pub struct SubjectKey {
    id: KeyId,
    secret: Zeroizing<[u8; SUBJECT_KEY_BYTES]>,
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(***)")
    }
}

impl SubjectKey {
    /// A new key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut id = [0; KEY_ID_BYTES];
        entropy.fill(&mut id);
        let mut secret = Zeroizing::new([0; SUBJECT_KEY_BYTES]);
        entropy.fill(&mut *secret);
        Self {
            id: KeyId(id),
            secret,
        }
    }

    /// A key that was stored.
    #[must_use]
    pub fn from_stored(id: KeyId, secret: Zeroizing<[u8; SUBJECT_KEY_BYTES]>) -> Self {
        Self { id, secret }
    }

    /// The key's id, under which boxes name it.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key's bytes, for whoever stores it wrapped; do not keep or print them.
    #[must_use]
    pub fn expose(&self) -> &[u8; SUBJECT_KEY_BYTES] {
        &self.secret
    }

    /// Encrypts `plain` in place and appends the tag; `false` if the cipher refuses.
    pub(super) fn encrypt(
        &self,
        nonce: [u8; NONCE_LEN],
        bound_to: &[u8],
        plain: &mut Vec<u8>,
    ) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.cipher().is_some_and(|key| {
            key.seal_in_place_append_tag(nonce, Aad::from(bound_to), plain)
                .is_ok()
        })
    }

    /// Decrypts what [`Self::encrypt`] made; `None` if it was altered.
    pub(super) fn decrypt(
        &self,
        nonce: [u8; NONCE_LEN],
        bound_to: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let plain = self
            .cipher()?
            .open_in_place(nonce, Aad::from(bound_to), &mut buffer)
            .ok()?;
        let length = plain.len();
        buffer.truncate(length);
        Some(buffer)
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &*self.secret)
            .ok()
            .map(LessSafeKey::new)
    }
}
