//! What a tenant may use: open streams, messages and bytes.
//!
//! **Invariant:** what is refused uses up nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use identity::{Scope, TenantId};
use parking_lot::Mutex;
use store::{Quota, Throttle, ThrottleKey, Verdict};
use tokio::sync::Notify;

use crate::{LimitsConfig, RealtimeError, error::Exhausted};

const PUBLISHES: &str = "publish";
const PUBLISH_BYTES: &str = "publish-bytes";

/// Counts open streams and takes from the tenant's rates.
pub(crate) struct Limits {
    throttle: Arc<dyn Throttle>,
    config: LimitsConfig,
    open: Mutex<Open>,
    closed: Notify,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_tenant: HashMap<TenantId, usize>,
}

/// One open stream; dropping it gives its place back.
pub(crate) struct Connection {
    limits: Arc<Limits>,
    tenant: TenantId,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_tenant.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_tenant.remove(&self.tenant);
            }
        }
        drop(open);
        self.limits.closed.notify_waiters();
    }
}

impl Limits {
    pub(crate) fn new(throttle: Arc<dyn Throttle>, config: LimitsConfig) -> Self {
        Self {
            throttle,
            config,
            open: Mutex::default(),
            closed: Notify::new(),
        }
    }

    /// Takes a place for one stream of `tenant`.
    pub(crate) fn connect(
        self: &Arc<Self>,
        tenant: &TenantId,
    ) -> Result<Connection, RealtimeError> {
        let mut open = self.open.lock();
        let count = open.by_tenant.get(tenant).copied().unwrap_or(0);
        if count >= self.config.connections_per_tenant || open.total >= self.config.connections {
            return Err(RealtimeError::TooManyConnections);
        }
        open.total += 1;
        open.by_tenant.insert(tenant.clone(), count + 1);
        drop(open);
        Ok(Connection {
            limits: self.clone(),
            tenant: tenant.clone(),
        })
    }

    /// How many streams are open.
    pub(crate) fn connections(&self) -> usize {
        self.open.lock().total
    }

    /// Waits until no stream is open.
    pub(crate) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            // Enabled before the count is read, so that no closing is missed between the two.
            closed.as_mut().enable();
            if self.connections() == 0 {
                return;
            }
            closed.await;
        }
    }

    /// Takes one message of `bytes` from the tenant's rates.
    pub(crate) async fn admit(&self, scope: &Scope, bytes: usize) -> Result<(), RealtimeError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let byte_key = ThrottleKey::of_tenant(scope, PUBLISH_BYTES);
        let quota = self.config.publish_bytes;
        // Looked at before the message is taken: a refusal must not use up a message.
        let left = self.throttle.take(&byte_key, quota, 0).await?;
        if left.remaining < bytes {
            let verdict = refused_for(left, quota, bytes);
            return Err(exhausted(PUBLISH_BYTES, quota, verdict));
        }
        let key = ThrottleKey::of_tenant(scope, PUBLISHES);
        self.take(&key, PUBLISHES, self.config.publishes, 1).await?;
        self.take(&byte_key, PUBLISH_BYTES, quota, bytes).await
    }

    async fn take(
        &self,
        key: &ThrottleKey,
        policy: &'static str,
        quota: Quota,
        cost: u32,
    ) -> Result<(), RealtimeError> {
        let verdict = self.throttle.take(key, quota, cost).await?;
        if verdict.allowed {
            Ok(())
        } else {
            Err(exhausted(policy, quota, verdict))
        }
    }
}

fn exhausted(policy: &'static str, quota: Quota, verdict: Verdict) -> RealtimeError {
    RealtimeError::Throttled(Box::new(Exhausted {
        policy,
        quota,
        verdict,
    }))
}

/// What taking `cost` would answer, where a look says that it would be refused.
fn refused_for(left: Verdict, quota: Quota, cost: u32) -> Verdict {
    let missing = u64::from(cost.saturating_sub(left.remaining));
    let wait_ms = (missing * 1000).div_ceil(u64::from(quota.per_second.get()));
    Verdict {
        allowed: false,
        retry_after: Duration::from_millis(wait_ms),
        ..left
    }
}
