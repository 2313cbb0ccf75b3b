//! The sealed part of a record: one encrypted box per subject.
//!
//! ```text
//! 0x01 | number of boxes u8 | box...
//! box = key id 16 | nonce 12 | length u32 | ciphertext and tag
//! ```
//! Numbers are big-endian. In a box is a JSON object from field names to `{"salt","value"}`.

use aws_lc_rs::aead::NONCE_LEN;
use identity::Entropy;

use super::{KEY_ID_BYTES, KeyId, Openings, SealError, SubjectKeys};
use crate::Hash;

/// Largest sealed part, in bytes.
pub const SEALED_BYTES_MAX: usize = 64 * 1024;

const VERSION: u8 = 1;
const BOXES_MAX: usize = 16;
const DOMAIN: &[u8] = b"tenantry-audit/sealed/v1\n";

/// Bytes are no sealed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed part of an audit record is damaged")]
pub struct InvalidSealed;

/// One box, as stored.
pub(super) struct SealedBox<'a> {
    pub(super) key: KeyId,
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) ciphertext: &'a [u8],
}

/// What a box is bound to.
pub(super) fn bound_to(leaf: Hash) -> Vec<u8> {
    [DOMAIN, leaf.as_bytes()].concat()
}

/// Encrypts each subject's openings under its key, bound to the hash of the leaf.
pub(super) fn seal(
    leaf: Hash,
    subjects: &Openings<'_>,
    keys: &SubjectKeys,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, SealError> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let bound_to = bound_to(leaf);
    let count = u8::try_from(subjects.len()).map_err(|_| SealError::Cipher)?;
    let mut sealed = vec![VERSION, count];
    for (subject, openings) in subjects {
        let key = keys.get(*subject).ok_or(SealError::KeyMissing)?;
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut content = serde_json::to_vec(openings).map_err(|_| SealError::Cipher)?;
        if !key.encrypt(nonce, &bound_to, &mut content) {
            return Err(SealError::Cipher);
        }
        sealed.extend(key.id().0);
        sealed.extend(nonce);
        let length = u32::try_from(content.len()).map_err(|_| SealError::Cipher)?;
        sealed.extend(length.to_be_bytes());
        sealed.extend(content);
    }
    if sealed.len() > SEALED_BYTES_MAX {
        return Err(SealError::Personal("together they are too long"));
    }
    Ok(sealed)
}

/// The boxes of a sealed part.
pub(super) fn parse(sealed: &[u8]) -> Result<Vec<SealedBox<'_>>, InvalidSealed> {
    if sealed.is_empty() {
        return Ok(Vec::new());
    }
    let ([version, count], mut rest) = sealed.split_first_chunk().ok_or(InvalidSealed)?;
    let fits = *version == VERSION
        && (1..=BOXES_MAX).contains(&usize::from(*count))
        && sealed.len() <= SEALED_BYTES_MAX;
    if !fits {
        return Err(InvalidSealed);
    }
    let mut boxes = Vec::with_capacity(usize::from(*count));
    for _ in 0..*count {
        let (key, after) = rest
            .split_first_chunk::<KEY_ID_BYTES>()
            .ok_or(InvalidSealed)?;
        let (nonce, after) = after.split_first_chunk().ok_or(InvalidSealed)?;
        let (length, after) = after.split_first_chunk::<4>().ok_or(InvalidSealed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| InvalidSealed)?;
        let (ciphertext, after) = after.split_at_checked(length).ok_or(InvalidSealed)?;
        boxes.push(SealedBox {
            key: KeyId(*key),
            nonce: *nonce,
            ciphertext,
        });
        rest = after;
    }
    if rest.is_empty() {
        Ok(boxes)
    } else {
        Err(InvalidSealed)
    }
}

/// The keys that a sealed part was made with, in the order of its boxes.
///
/// # Errors
/// [`InvalidSealed`].
pub fn key_ids(sealed: &[u8]) -> Result<Vec<KeyId>, InvalidSealed> {
    Ok(parse(sealed)?.into_iter().map(|one| one.key).collect())
}
