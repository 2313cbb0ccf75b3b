//! A Bloom filter over idempotency keys.
//!
//! **Invariant:** a key that was added is always found; one that was not is
//! found by mistake about once in a thousand times.

/// Bits per key, rounded up to a power of two in all.
const BITS_PER_KEY: usize = 16;
/// Bits that are set for each key.
const PROBES: u64 = 6;

pub(crate) struct Bloom {
    words: Box<[u64]>,
}

impl Bloom {
    /// A filter that holds `keys`.
    pub(crate) fn of<'k>(keys: impl ExactSizeIterator<Item = &'k [u8; 16]>) -> Self {
        let bits = (keys.len().max(4) * BITS_PER_KEY).next_power_of_two();
        let mut filter = Self {
            words: vec![0; bits / 64].into_boxed_slice(),
        };
        for key in keys {
            for (word, bit) in filter.probes(*key) {
                if let Some(word) = filter.words.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        filter
    }

    /// Whether `key` may be one of them.
    pub(crate) fn may_hold(&self, key: [u8; 16]) -> bool {
        self.probes(key)
            .all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Its size in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// The words and bits of a key, which is a hash already.
    fn probes(&self, key: [u8; 16]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let whole = u128::from_le_bytes(key);
        let (start, step) = (whole as u64, (whole >> 64) as u64 | 1);
        let mask = self.words.len() as u64 * 64 - 1;
        (0..PROBES).map(move |n| {
            let bit = start.wrapping_add(n.wrapping_mul(step)) & mask;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> [u8; 16] {
        // Any spread will do; the real keys are hashes.
        let mixed = u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        (mixed ^ (mixed >> 67)).to_le_bytes()
    }

    #[test]
    fn added_keys_are_found_and_few_others() {
        let keys: Vec<_> = (0..4096).map(key).collect();
        let filter = Bloom::of(keys.iter());
        assert!(keys.iter().all(|key| filter.may_hold(*key)));
        let mistaken = (4096..104_096).filter(|n| filter.may_hold(key(*n))).count();
        assert!(mistaken < 500, "{mistaken} of 100000");
    }
}
