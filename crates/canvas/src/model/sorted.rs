//! A sorted map that shares what did not change.
//!
//! Its entries lie in chunks of at most [`CHUNK_MAX`]. A copy shares all chunks; a change copies
//! one. So a state can be changed on a copy and be thrown away, and readers keep the one they have.

use std::{cmp::Ordering, sync::Arc};

const CHUNK_MAX: usize = 64;

/// A map in the order of its keys.
#[derive(Debug, Clone)]
pub(super) struct Sorted<K, V> {
    chunks: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<K: Ord + Clone, V: Clone> Sorted<K, V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let chunk = self.chunks.get(self.home(key))?;
        let at = chunk.binary_search_by(|(k, _)| k.cmp(key)).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// Sets the value of `key`, and returns the one before.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let home = self.home(&key);
        let Some(chunk) = self.chunks.get_mut(home) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let entries = Arc::make_mut(chunk);
        match entries.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => {
                let slot = entries.get_mut(at).map(|(_, slot)| slot)?;
                Some(std::mem::replace(slot, value))
            }
            Err(at) => {
                entries.insert(at, (key, value));
                self.len += 1;
                if entries.len() > CHUNK_MAX {
                    let upper = entries.split_off(CHUNK_MAX / 2);
                    self.chunks.insert(home + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let home = self.home(key);
        let chunk = self.chunks.get_mut(home)?;
        let at = chunk.binary_search_by(|(k, _)| k.cmp(key)).ok()?;
        let entries = Arc::make_mut(chunk);
        let (_, value) = entries.remove(at);
        if entries.is_empty() {
            self.chunks.remove(home);
        }
        self.len -= 1;
        Some(value)
    }

    /// All entries, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The entries from the first on whose key is not less, by `compare`.
    pub(super) fn from(&self, compare: impl Fn(&K) -> Ordering) -> impl Iterator<Item = &(K, V)> {
        let less = |(key, _): &(K, V)| compare(key) == Ordering::Less;
        let chunk = self
            .chunks
            .partition_point(|chunk| chunk.last().is_some_and(less));
        let at = self
            .chunks
            .get(chunk)
            .map_or(0, |chunk| chunk.partition_point(less));
        let rest = self.chunks.get(chunk..).unwrap_or_default();
        rest.iter().flat_map(|chunk| chunk.iter()).skip(at)
    }

    /// The last entry whose key is less, by `compare`.
    pub(super) fn before(&self, compare: impl Fn(&K) -> Ordering) -> Option<&(K, V)> {
        let less = |(key, _): &(K, V)| compare(key) == Ordering::Less;
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(less));
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        chunk.get(chunk.partition_point(less).checked_sub(1)?)
    }

    /// The chunk where `key` is, or would be.
    fn home(&self, key: &K) -> usize {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first <= key));
        after.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_map(steps in prop::collection::vec((any::<bool>(), 0_u16..400), 0..600)) {
            let (mut map, mut model) = (Sorted::default(), BTreeMap::new());
            for (at, (inserts, key)) in steps.into_iter().enumerate() {
                let before = map.clone();
                let kept: Vec<_> = before.iter().copied().collect();
                if inserts {
                    prop_assert_eq!(map.insert(key, at), model.insert(key, at));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert!(before.iter().copied().eq(kept), "a copy changed");
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.get(&key), model.get(&key));
                let previous = model.range(..key).next_back().map(|(k, v)| (*k, *v));
                prop_assert_eq!(map.before(|k| k.cmp(&key)).copied(), previous);
                let from = map.from(|k| k.cmp(&key)).copied();
                prop_assert!(from.eq(model.range(key..).map(|(k, v)| (*k, *v))));
            }
        }
    }
}
