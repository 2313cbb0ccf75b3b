//! Rates in memory.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use identity::Clock;
use parking_lot::Mutex;
use store::{Quota, StoreError, Throttle, ThrottleKey, Verdict, gcra};

/// A [`Throttle`] that lives as long as this value.
pub struct MemoryThrottle {
    clock: Arc<dyn Clock>,
    times: Mutex<HashMap<ThrottleKey, u64>>,
}

impl MemoryThrottle {
    /// All rates whole; units come back by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            times: Mutex::default(),
        }
    }
}

#[async_trait]
impl Throttle for MemoryThrottle {
    async fn take(
        &self,
        key: &ThrottleKey,
        quota: Quota,
        cost: u32,
    ) -> Result<Verdict, StoreError> {
        let now_ms = u64::try_from(self.clock.now().unix_ms()).unwrap_or(0);
        let mut times = self.times.lock();
        let time = times.entry(key.clone()).or_insert(0);
        let (verdict, next) = gcra(*time, now_ms * 1_000_000, quota, cost);
        *time = next;
        Ok(verdict)
    }
}
