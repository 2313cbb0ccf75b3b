//! A bounded cache that its one owner takes entries out of and puts back.
//!
//! **Invariant:** the weights of all entries are at most the budget and one
//! entry. Entries are kept in two generations; when the young one is full it
//! becomes the old one, and what was not used since the last time is dropped.

use std::{collections::HashMap, hash::Hash};

pub(crate) struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    young_weight: usize,
    budget: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// A cache whose entries may weigh `budget` together.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_weight: 0,
            budget,
        }
    }

    /// Takes an entry out.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        if let Some((value, weight)) = self.young.remove(key) {
            self.young_weight = self.young_weight.saturating_sub(weight);
            return Some(value);
        }
        self.old.remove(key).map(|(value, _)| value)
    }

    /// Puts an entry in.
    pub(crate) fn put(&mut self, key: K, value: V, weight: usize) {
        if self.young_weight.saturating_add(weight) > self.budget / 2 && self.young_weight > 0 {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
        self.young_weight = self.young_weight.saturating_add(weight);
        if let Some((_, replaced)) = self.young.insert(key, (value, weight)) {
            self.young_weight = self.young_weight.saturating_sub(replaced);
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
        cache.put("used", 0, 1);
        for n in 0..1_000 {
            let used = cache.take(&"used").expect("it is used all the time");
            cache.put("used", used + 1, 1);
            cache.put(Box::leak(n.to_string().into_boxed_str()), n, 1);
            assert!(cache.young.len() + cache.old.len() <= 101);
        }
        assert_eq!(cache.take(&"used"), Some(1_000));
        assert_eq!(cache.take(&"1"), None);
        assert_eq!(cache.take(&"999"), Some(999));
    }
}
