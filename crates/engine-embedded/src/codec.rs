//! Compact forms of what the event index stores: positions and idempotency keys.
//!
//! **Invariant:** decoding bytes that were not encoded here is an error, never
//! a panic and never a guess.

use store::Idempotency;

/// Stored bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an index entry is damaged")]
pub(crate) struct Damaged;

/// One idempotency key of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyEntry {
    pub(crate) seq: u64,
    pub(crate) idempotency: Idempotency,
}

/// Appends `number` in base 128, least first (LEB128).
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Damaged)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

fn take_hash(bytes: &mut &[u8]) -> Result<[u8; 16], Damaged> {
    let (hash, rest) = bytes.split_first_chunk::<16>().ok_or(Damaged)?;
    *bytes = rest;
    Ok(*hash)
}

/// The differences between rising positions.
pub(crate) fn encode_steps(positions: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut last = None;
    for position in positions {
        if let Some(last) = last {
            put_number(&mut bytes, position - last);
        }
        last = Some(position);
    }
    bytes
}

/// The positions that follow `first`, itself included.
pub(crate) fn decode_steps(first: u64, mut steps: &[u8]) -> Result<Vec<u64>, Damaged> {
    let mut positions = vec![first];
    let mut last = first;
    while !steps.is_empty() {
        last = last.checked_add(take_number(&mut steps)?).ok_or(Damaged)?;
        positions.push(last);
    }
    Ok(positions)
}

/// The keys of a run that starts at `first_seq`.
pub(crate) fn encode_keys(first_seq: u64, keys: &[KeyEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(keys.len() * 34);
    for entry in keys {
        put_number(&mut bytes, entry.seq - first_seq);
        bytes.extend_from_slice(&entry.idempotency.key);
        bytes.extend_from_slice(&entry.idempotency.fingerprint);
    }
    bytes
}

/// What [`encode_keys`] wrote.
pub(crate) fn decode_keys(first_seq: u64, mut bytes: &[u8]) -> Result<Vec<KeyEntry>, Damaged> {
    let mut keys = Vec::with_capacity(bytes.len() / 33);
    while !bytes.is_empty() {
        let seq = first_seq
            .checked_add(take_number(&mut bytes)?)
            .ok_or(Damaged)?;
        keys.push(KeyEntry {
            seq,
            idempotency: Idempotency {
                key: take_hash(&mut bytes)?,
                fingerprint: take_hash(&mut bytes)?,
            },
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_come_back(steps in prop::collection::vec(1_u64..1 << 40, 0..200), first in 1_u64..1 << 40) {
            let mut positions = vec![first];
            for step in steps {
                positions.push(positions.last().unwrap() + step);
            }
            let encoded = encode_steps(positions.iter().copied());
            prop_assert_eq!(decode_steps(first, &encoded), Ok(positions));
        }

        #[test]
        fn keys_come_back(offsets in prop::collection::vec((0_u64..1 << 30, any::<[u8; 16]>()), 0..50)) {
            let keys: Vec<KeyEntry> = offsets
                .into_iter()
                .map(|(offset, key)| KeyEntry {
                    seq: 7 + offset,
                    idempotency: Idempotency { key, fingerprint: [offset as u8; 16] },
                })
                .collect();
            prop_assert_eq!(decode_keys(7, &encode_keys(7, &keys)), Ok(keys));
        }

        #[test]
        fn garbage_is_refused_or_decoded_without_panic(bytes: Vec<u8>) {
            let _ = decode_steps(1, &bytes);
            let _ = decode_keys(1, &bytes);
        }
    }
}
