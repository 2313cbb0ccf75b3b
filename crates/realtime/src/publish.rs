//! Publishing: a message becomes a durable event before anyone hears of it.

use std::sync::Arc;

use bytes::Bytes;
use identity::{Clock, Scope};
use store::{Appended, EventLog, Idempotency, NewEvent, StoreError, StreamKey};
use tokio::{sync::Semaphore, time::Instant};
use tracing::Instrument;

use crate::{
    Envelope, Message, RealtimeError, Retention, RouteKey, limits::Limits, meters::Meters, trace,
};

/// Trims that run beside publishing, at most.
const TRIMS_MAX: usize = 4;

/// Seals, admits and appends messages.
pub(crate) struct Publisher {
    log: Arc<dyn EventLog>,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    retention: Retention,
    trims: Arc<Semaphore>,
    meters: Arc<Meters>,
}

impl Publisher {
    pub(crate) fn new(
        log: Arc<dyn EventLog>,
        limits: Arc<Limits>,
        clock: Arc<dyn Clock>,
        retention: Retention,
        meters: Arc<Meters>,
    ) -> Self {
        Self {
            log,
            limits,
            clock,
            retention,
            trims: Arc::new(Semaphore::new(TRIMS_MAX)),
            meters,
        }
    }

    /// Takes the message from the tenant's rates and seals it; it is not stored yet.
    pub(crate) async fn admit(
        &self,
        scope: &Scope,
        route: &RouteKey,
        message: &Message,
    ) -> Result<Envelope, RealtimeError> {
        let envelope = Envelope::seal(route, scope, message, self.clock.now())?;
        self.limits.admit(scope, envelope.body().len()).await?;
        Ok(envelope)
    }

    /// Appends a sealed body; durable when this returns.
    pub(crate) async fn append(
        &self,
        route: &RouteKey,
        body: Bytes,
        idempotency: Option<Idempotency>,
    ) -> Result<Appended, RealtimeError> {
        let started = Instant::now();
        let span = trace::publish(route.rules().rail, &body);
        let event = NewEvent {
            body,
            at: self.clock.now(),
            idempotency,
        };
        let appended = self.log.append(route.stream(), event);
        let appended = appended.instrument(span).await;
        let meters = self.meters.of(route.rules());
        meters.published(started.elapsed(), &appended);
        let appended = appended?;
        if !appended.duplicate {
            self.keep_within(route.stream(), appended.cursor.seq);
        }
        Ok(appended)
    }

    /// Trims the stream once per tenth of what it keeps, beside the publisher.
    fn keep_within(&self, stream: &StreamKey, head: u64) {
        let keep = self.retention.events;
        if keep == 0 || !head.is_multiple_of((keep / 10).max(1)) {
            return;
        }
        let Ok(permit) = self.trims.clone().try_acquire_owned() else {
            // Enough are running; the next tenth of this stream comes soon.
            return;
        };
        let (log, stream) = (self.log.clone(), stream.clone());
        tokio::spawn(async move {
            if let Err(error) = trim(&*log, &stream, keep).await {
                tracing::warn!(%error, "a stream could not be trimmed");
            }
            drop(permit);
        });
    }
}

async fn trim(log: &dyn EventLog, stream: &StreamKey, keep: u64) -> Result<(), StoreError> {
    let bounds = log.bounds(stream).await?;
    let kept = (bounds.head + 1).saturating_sub(bounds.oldest);
    if kept > keep + keep / 10 {
        log.trim(stream, bounds.head - keep).await?;
    }
    Ok(())
}
