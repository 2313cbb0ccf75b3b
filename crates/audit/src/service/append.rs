//! From an event to a durable record, or to the spool.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use identity::Recorded;
use privacy::pii::strip_json;
use serde_json::{Map, Value};
use store::{AppendError, Idempotency, NewEvent, StoreError};

use super::{Audit, LogId, spool::Waiting, subjects::Provisional};
use crate::{
    DatasetEvent, Hash,
    seal::{SealError, seal},
};

/// How long the store may take; the recorder's callers wait five seconds at most.
const APPEND_MAX: Duration = Duration::from_secs(2);

impl Audit {
    /// Records an event, durably or in the spool, also when the caller does not wait.
    /// Personal data that is recognised in its metadata is replaced by placeholders.
    ///
    /// # Errors
    /// [`SealError`] when the event can never be recorded: it is too large, say.
    pub async fn record(self: &Arc<Self>, mut event: DatasetEvent) -> Result<Recorded, SealError> {
        event.metadata = stripped(event.metadata);
        let audit = Arc::clone(self);
        let task = tokio::spawn(async move { audit.write(&event).await });
        task.await
            .unwrap_or(Ok(Recorded::Degraded { why: "failed" }))
    }

    /// See [`Audit::record`]; a caller that does not wait may lose the record.
    pub(super) async fn write(&self, event: &DatasetEvent) -> Result<Recorded, SealError> {
        let log = LogId {
            tenant: event.tenant.clone(),
            env: event.env,
        };
        let (keys, provisional) = self.subjects.sealing(&log.tenant, event.subjects()).await;
        let record = seal(event, &keys, &*self.entropy)?;
        let body = record.encode().map_err(|_| SealError::Cipher)?;
        Ok(self.write_body(log, body, provisional).await)
    }

    async fn write_body(
        &self,
        log: LogId,
        body: Vec<u8>,
        provisional: Vec<Provisional>,
    ) -> Recorded {
        let free = provisional.is_empty() && self.frozen().is_none() && !self.spool.holds(&log);
        if free {
            let body = Bytes::from(body.clone());
            match self.append(&log, body).await {
                Ok(seq) => {
                    metrics::counter!("tenantry_audit_records_total").increment(1);
                    return Recorded::Durable { seq };
                }
                Err(error) => tracing::warn!(%error, "an audit record waits in the spool"),
            }
        }
        metrics::counter!("tenantry_audit_degraded_total").increment(1);
        let waiting = Waiting {
            log,
            body,
            keys: provisional,
        };
        self.spool(waiting).await
    }

    /// Appends a record to its log; the same one again changes nothing.
    pub(super) async fn append(&self, log: &LogId, body: Bytes) -> Result<u64, StoreError> {
        let appending = async {
            let log = self.logs.open(log).await?;
            let event = NewEvent {
                idempotency: Some(idempotency(&body)),
                body,
                at: self.clock.now(),
            };
            match self.events.append(&log.records, event).await {
                Ok(appended) => {
                    let seq = appended.cursor.seq;
                    if !appended.duplicate && log.knows_another(seq) {
                        let why = format!("{} at seq {seq}: the log was shortened", log.id);
                        self.freeze(why.clone());
                        return Err(StoreError::Corrupt(why));
                    }
                    self.logs.mark(&log);
                    Ok(seq)
                }
                Err(AppendError::Store(error)) => Err(error),
                Err(conflict @ AppendError::IdempotencyConflict) => {
                    Err(StoreError::Corrupt(conflict.to_string()))
                }
            }
        };
        let late = |_| Err(StoreError::Unavailable("it takes too long".to_owned()));
        tokio::time::timeout(APPEND_MAX, appending)
            .await
            .unwrap_or_else(late)
    }

    async fn spool(&self, waiting: Waiting) -> Recorded {
        let spool = Arc::clone(&self.spool);
        let kept = tokio::task::spawn_blocking(move || spool.keep(&waiting)).await;
        let why = match kept {
            Ok(Ok(())) => "spooled",
            Ok(Err(error)) => {
                metrics::counter!("tenantry_audit_lost_total").increment(1);
                tracing::error!(%error, "an audit record could not even be spooled");
                "lost"
            }
            Err(_) => "lost",
        };
        Recorded::Degraded { why }
    }
}

/// Metadata without the personal data that is recognised in it.
pub(super) fn stripped(metadata: Map<String, Value>) -> Map<String, Value> {
    let mut value = Value::Object(metadata);
    strip_json(&mut value);
    match value {
        Value::Object(metadata) => metadata,
        _ => Map::new(),
    }
}

/// A record holds fresh salts, so its hash is a key that no other record has.
fn idempotency(body: &[u8]) -> Idempotency {
    let hash = Hash::of(&[body]);
    let mut halves = [[0; 16]; 2];
    let bytes = halves.iter_mut().flatten();
    bytes
        .zip(hash.as_bytes())
        .for_each(|(to, from)| *to = *from);
    let [key, fingerprint] = halves;
    Idempotency { key, fingerprint }
}
