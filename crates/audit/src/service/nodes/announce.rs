//! Announcing which logs are appended to, so that the node that leads need not look at all.
//!
//! An announcement is made while its record is appended, and a record counts only when
//! both are durable. Announcements that wait are made together, as one event.
//!
//! **Invariant:** a record that was acknowledged landed at most
//! [`APPEND_MAX`](super::super::append::APPEND_MAX) after it was announced.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use identity::Clock;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use store::{AppendError, EventLog, NewEvent, StoreError, StreamKey};
use tokio::sync::Semaphore;

use super::super::LogId;

/// Logs that one event names: about a hundred bytes each.
const LOGS_MAX: usize = 1_000;
/// Announcements that are under way at once; what comes meanwhile is announced together.
const AT_ONCE: usize = 4;

type Flush = Shared<BoxFuture<'static, Result<(), StoreError>>>;

/// One log, as it is announced.
#[derive(Serialize, Deserialize)]
struct Named(identity::TenantId, identity::Env);

/// The logs that an event names; none if it is no announcement.
pub(super) fn named(body: &[u8]) -> Vec<LogId> {
    let named: Vec<Named> = serde_json::from_slice(body).unwrap_or_default();
    let log = |Named(tenant, env)| LogId { tenant, env };
    named.into_iter().map(log).collect()
}

/// Announces.
pub(in super::super) struct Announcer(Arc<Desk>);

struct Desk {
    events: Arc<dyn EventLog>,
    stream: StreamKey,
    clock: Arc<dyn Clock>,
    next: Mutex<Next>,
    turns: Semaphore,
}

/// What is announced next.
#[derive(Default)]
struct Next {
    logs: BTreeSet<LogId>,
    flush: Option<Flush>,
}

impl Announcer {
    pub(super) fn new(events: Arc<dyn EventLog>, stream: StreamKey, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Desk {
            events,
            stream,
            clock,
            next: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }))
    }

    /// Announces that `log` is appended to, durably when this returns.
    pub(in super::super) async fn announce(&self, log: &LogId) -> Result<(), StoreError> {
        let flush = {
            let mut next = self.0.next.lock();
            next.logs.insert(log.clone());
            let flush = || Desk::flush(Arc::clone(&self.0)).boxed().shared();
            next.flush.get_or_insert_with(flush).clone()
        };
        flush.await
    }
}

impl Desk {
    async fn flush(self: Arc<Self>) -> Result<(), StoreError> {
        // It is never closed.
        let _turn = self.turns.acquire().await;
        let logs = {
            let mut next = self.next.lock();
            next.flush = None;
            std::mem::take(&mut next.logs)
        };
        let logs: Vec<Named> = logs
            .into_iter()
            .map(|log| Named(log.tenant, log.env))
            .collect();
        for some in logs.chunks(LOGS_MAX) {
            let body = serde_json::to_vec(some);
            let body = body.map_err(|error| StoreError::Corrupt(error.to_string()))?;
            tell(&*self.events, &self.stream, body, &*self.clock).await?;
        }
        Ok(())
    }
}

/// Appends what other nodes read.
pub(super) async fn tell(
    events: &dyn EventLog,
    stream: &StreamKey,
    body: Vec<u8>,
    clock: &dyn Clock,
) -> Result<(), StoreError> {
    let event = NewEvent {
        body: body.into(),
        at: clock.now(),
        idempotency: None,
    };
    match events.append(stream, event).await {
        Ok(_) => Ok(()),
        Err(AppendError::Store(error)) => Err(error),
        Err(conflict @ AppendError::IdempotencyConflict) => {
            Err(StoreError::Corrupt(conflict.to_string()))
        }
    }
}
