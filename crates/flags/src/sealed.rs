//! Rows under a seal: a digest of where they are and what they say.
//!
//! **Invariant:** a row that was altered, or moved to another key, does not open. A flipped
//! bit in JSON may well read as another flag; behind the seal it reads as damage.

use std::fmt::Write as _;

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use store::DocKey;

/// SHA-256 in lower-case hexadecimal digits.
const DIGEST_CHARS: usize = 64;

/// `value` as the bytes of the document `key`.
///
/// # Errors
/// When it is no JSON.
pub(crate) fn seal(key: &DocKey, value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_vec(value)?;
    let mut bytes = digest(key, &json).into_bytes();
    bytes.push(b'\n');
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

/// What was sealed in the document `key`; `None` if it is damaged.
pub(crate) fn open<T: DeserializeOwned>(key: &DocKey, bytes: &[u8]) -> Option<T> {
    let (seal, rest) = bytes.split_at_checked(DIGEST_CHARS)?;
    let json = rest.strip_prefix(b"\n")?;
    if digest(key, json).as_bytes() != seal {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn digest(key: &DocKey, json: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [key.partition.as_str().as_bytes(), key.id.as_bytes(), json] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The SHA-256 of a value's JSON, in lower-case hexadecimal digits.
///
/// # Errors
/// When it is no JSON.
#[cfg(feature = "http")]
pub(crate) fn digest_of(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(hex(&Sha256::digest(serde_json::to_vec(value)?)))
}
