//! The port [`Throttle`]: rates in memory, which a restart may forget.
//!
//! **Invariant:** a key whose units are all back takes no memory for long, and
//! a shard never holds more than [`SHARD_KEYS_MAX`]; above it the half that is
//! nearest to being whole is forgotten, which loses the least.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use async_trait::async_trait;
use identity::Clock;
use parking_lot::Mutex;
use store::{Quota, StoreError, Throttle, ThrottleKey, Verdict, gcra};

const SHARDS: usize = 16;
/// Keys of one shard; 1 Mi in all.
const SHARD_KEYS_MAX: usize = 64 * 1024;
/// Keys below which a shard is not swept.
const SWEEP_KEYS_MIN: usize = 64;

pub(crate) struct EmbeddedThrottle {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    /// When the units of each key are back.
    whole_at_ns: HashMap<ThrottleKey, u64>,
    sweep_at: usize,
}

impl EmbeddedThrottle {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, key: &ThrottleKey) -> Option<&Mutex<Shard>> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards.get(at)
    }
}

#[async_trait]
impl Throttle for EmbeddedThrottle {
    async fn take(
        &self,
        key: &ThrottleKey,
        quota: Quota,
        cost: u32,
    ) -> Result<Verdict, StoreError> {
        let now_ms = self.clock.now().unix_ms().max(0).cast_unsigned();
        let now_ns = now_ms.saturating_mul(1_000_000);
        let shard = self.shard(key);
        let shard = shard.ok_or_else(|| StoreError::Unavailable("no shard".to_owned()))?;
        Ok(shard.lock().take(key, now_ns, quota, cost))
    }
}

impl Shard {
    fn take(&mut self, key: &ThrottleKey, now_ns: u64, quota: Quota, cost: u32) -> Verdict {
        let known = self.whole_at_ns.get_mut(key);
        let (verdict, whole_at_ns) =
            gcra(known.as_deref().copied().unwrap_or(0), now_ns, quota, cost);
        match known {
            Some(known) => *known = whole_at_ns,
            None if whole_at_ns > now_ns => {
                self.sweep(now_ns);
                self.whole_at_ns.insert(key.clone(), whole_at_ns);
            }
            None => {}
        }
        verdict
    }

    /// Makes room once the keys have doubled since the last time.
    fn sweep(&mut self, now_ns: u64) {
        if self.whole_at_ns.len() < self.sweep_at.max(SWEEP_KEYS_MIN) {
            return;
        }
        self.whole_at_ns.retain(|_, whole_at| *whole_at > now_ns);
        if self.whole_at_ns.len() >= SHARD_KEYS_MAX {
            let mut times: Vec<u64> = self.whole_at_ns.values().copied().collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.whole_at_ns.retain(|_, whole_at| *whole_at > median);
        }
        self.sweep_at = (2 * self.whole_at_ns.len()).min(SHARD_KEYS_MAX);
    }
}
