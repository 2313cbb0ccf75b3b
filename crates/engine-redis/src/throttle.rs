//! The port [`Throttle`]: one number per rate, moved by a script.
//!
//! **Invariant:** a rate whose units are all back takes no memory a second later.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis::Value;
use identity::Clock;
use store::{Quota, StoreError, Throttle, ThrottleKey, Verdict, gcra};

use crate::{
    error::Fault,
    lanes::{Lanes, Question},
    names::Names,
    scripts,
};

pub(crate) struct RedisThrottle {
    lanes: Arc<Lanes>,
    names: Names,
    /// The present, unless it is the server's.
    clock: Option<Arc<dyn Clock>>,
}

impl RedisThrottle {
    pub(crate) fn new(lanes: &Arc<Lanes>, names: &Names, clock: Option<Arc<dyn Clock>>) -> Self {
        Self {
            lanes: Arc::clone(lanes),
            names: names.clone(),
            clock,
        }
    }
}

#[async_trait]
impl Throttle for RedisThrottle {
    async fn take(
        &self,
        key: &ThrottleKey,
        quota: Quota,
        cost: u32,
    ) -> Result<Verdict, StoreError> {
        // The same numbers as in `gcra`, which tells the verdict from what the script found.
        let unit_ns = (1_000_000_000 / u64::from(quota.per_second.get())).max(1);
        let mut take = scripts::TAKE.key(self.names.rate(key));
        take.arg(unit_ns.saturating_mul(u64::from(cost)))
            .arg(unit_ns.saturating_mul(u64::from(quota.burst.get())));
        if let Some(clock) = &self.clock {
            let now = clock.now();
            take.arg(now.unix_s())
                .arg(now.unix_ms().rem_euclid(1000) * 1_000_000);
        }
        // Not again after a lost connection: the units may have been taken.
        match self.lanes.once(Question::Script(&take)).await?.0 {
            Value::Int(booked_ns) => Ok(gcra(booked_ns.cast_unsigned(), 0, quota, cost).0),
            _ => Err(Fault::strange(self.lanes.place())),
        }
    }
}
