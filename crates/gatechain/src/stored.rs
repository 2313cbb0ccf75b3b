//! How the state of gates is stored: JSON behind a checksum that covers its place.
//!
//! A damaged byte could turn a row into another valid one that stops nothing.
//! With the checksum it is noticed, and what is noticed denies.

use identity::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use store::{Batch, DocKey};

use crate::rows::decode;

/// Bytes of a checksum, as hex digits.
const CHECKSUM_DIGITS: usize = 16;

/// The checksum of `json` at `key`, in hex.
fn checksum(key: &DocKey, json: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(key.partition.as_str())
        .chain_update([0])
        .chain_update(&key.id)
        .chain_update([0])
        .chain_update(json)
        .finalize();
    let mut digits = hex(&hash);
    digits.truncate(CHECKSUM_DIGITS);
    digits
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `value` as it is stored at `key`.
///
/// # Errors
/// Why it cannot be written as JSON.
pub(crate) fn seal<T: Serialize>(key: &DocKey, value: &T) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    let mut bytes = checksum(key, &json).into_bytes();
    bytes.push(b' ');
    bytes.extend(json);
    Ok(bytes)
}

/// What is stored at `key`.
///
/// # Errors
/// Why it cannot be relied on.
pub(crate) fn open<T: DeserializeOwned>(key: &DocKey, bytes: &[u8]) -> Result<T, String> {
    let parts = bytes.split_at_checked(CHECKSUM_DIGITS);
    let parts = parts.and_then(|(sum, rest)| Some((sum, rest.strip_prefix(b" ")?)));
    let (sum, json) = parts.ok_or("it has no checksum")?;
    if sum != checksum(key, json).as_bytes() {
        return Err("its checksum does not fit".to_owned());
    }
    decode(json)
}

/// Puts a sealed value; it ends at `ends`, if it does.
///
/// # Errors
/// As [`seal`].
pub(crate) fn put<T: Serialize>(
    batch: Batch,
    key: &DocKey,
    value: &T,
    ends: Option<Timestamp>,
) -> Result<Batch, String> {
    let bytes = seal(key, value)?;
    Ok(match ends {
        Some(ends) => batch.put_until(key, bytes, ends),
        None => batch.put(key, bytes),
    })
}
