//! A Bloom filter over hashed keys.
//!
//! **Invariant:** a key that was added is always found; one that was not is
//! found by mistake about once in a thousand times, while no more were added
//! than the filter was made for.

/// Bits per key.
const BITS_PER_KEY: usize = 16;
/// Bits that are set for each key.
const PROBES: u32 = 6;

pub(crate) struct Bloom {
    words: Box<[u64]>,
}

impl Bloom {
    /// An empty filter for `keys`, a power of two of at least 4.
    pub(crate) fn with_room_for(keys: usize) -> Self {
        let bits = (keys.max(4) * BITS_PER_KEY).next_power_of_two();
        Self {
            words: vec![0; bits / 64].into_boxed_slice(),
        }
    }

    /// Adds the key with `hash`.
    pub(crate) fn add(&mut self, hash: u64) {
        for (word, bit) in self.probes(hash) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether the key with `hash` may be one of them.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        self.probes(hash)
            .all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Its size in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// The words and bits of a key, by double hashing.
    fn probes(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (start, step) = (hash as u32, (hash >> 32) as u32 | 1);
        let bits = self.words.len() * 64;
        (0..PROBES).map(move |n| {
            let bit = start.wrapping_add(n.wrapping_mul(step)) as usize & (bits - 1);
            (bit / 64, 1 << (bit % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, RandomState};

    use super::*;

    #[test]
    fn added_keys_are_found_and_few_others() {
        let hasher = RandomState::new();
        let hashes: Vec<u64> = (0..4_096).map(|n| hasher.hash_one(n)).collect();
        let mut filter = Bloom::with_room_for(4_096);
        hashes.iter().for_each(|hash| filter.add(*hash));
        assert!(hashes.iter().all(|hash| filter.may_hold(*hash)));
        let others = (4_096..104_096).map(|n| hasher.hash_one(n));
        let mistaken = others.filter(|hash| filter.may_hold(*hash)).count();
        assert!(mistaken < 500, "{mistaken} of 100000");
    }
}
