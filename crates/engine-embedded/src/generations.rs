//! A bounded cache for one owner.
//!
//! Entries are kept in two generations. What is used moves to the young one;
//! when that has grown enough it becomes the old one, and what was not used
//! since the last time is dropped.
//!
//! **Invariant:** entries are dropped in [`Generations::turn`] and nowhere
//! else. Between two turns the owner can rely on what it put in.

use std::{collections::HashMap, hash::Hash};

pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    young_weight: usize,
    budget: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// A cache for about `budget` of whatever its owner weighs.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_weight: 0,
            budget,
        }
    }

    /// Whether `key` is there; it is young from now on.
    pub(crate) fn touch(&mut self, key: &K, weigh: impl FnOnce(&V) -> usize) -> bool {
        if self.young.contains_key(key) {
            return true;
        }
        let Some((key, value)) = self.old.remove_entry(key) else {
            return false;
        };
        self.young_weight += weigh(&value);
        self.young.insert(key, value);
        true
    }

    /// A young entry: one that was touched or put in since the last turn.
    pub(crate) fn young(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key)
    }

    /// Puts an entry in.
    pub(crate) fn put(&mut self, key: K, value: V, weight: usize) {
        self.young_weight += weight;
        self.young.insert(key, value);
    }

    /// Puts an entry in the place of another.
    pub(crate) fn replace(&mut self, key: &K, value: V, weight: usize)
    where
        K: Clone,
    {
        self.old.remove(key);
        self.put(key.clone(), value, weight);
    }

    /// Notes that a young entry has become heavier.
    pub(crate) fn add_weight(&mut self, weight: usize) {
        self.young_weight += weight;
    }

    /// Drops what was not used lately, if there is too much.
    pub(crate) fn turn(&mut self) {
        if self.young_weight > self.budget / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.young_weight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut cache = Generations::new(100);
        cache.put(0, 0, 1);
        for n in 1..1_000 {
            assert!(cache.touch(&0, |_| 1), "it is used all the time");
            *cache.young(&0).unwrap() += 1;
            cache.put(n, n, 1);
            cache.turn();
            assert!(cache.young.len() + cache.old.len() <= 102);
        }
        assert!(cache.touch(&0, |_| 1) && cache.touch(&999, |_| 1));
        assert_eq!(cache.young(&0), Some(&mut 999));
        assert!(!cache.touch(&1, |_| 1));
    }
}
