//! From an event to a durable record, or to the spool.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use identity::Recorded;
use privacy::pii::strip_json;
use serde_json::{Map, Value};
use store::{AppendError, Idempotency, NewEvent, StoreError};

use super::{
    Audit, Entry, Filter, LogId, logs::Log, recent::Found, spool::Waiting, subjects::Provisional,
};
use crate::{
    DatasetEvent, Hash, Label, Leaf, Phase, Record,
    seal::{SealError, seal_leaf},
};

/// How long the store may take; the recorder's callers wait five seconds at most.
const APPEND_MAX: Duration = Duration::from_secs(2);

/// Records of one key and action that are looked at together: an intent and its outcome.
const KEYED_MAX: usize = 8;

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
        let (record, leaf) = seal_leaf(event, &keys, &*self.entropy)?;
        let sealed = Sealed {
            body: record.encode().map_err(|_| SealError::Cipher)?.into(),
            once: Once::new(event.idempotency, &event.action, &event.phase),
            found: Found::of(&record, &leaf).ok(),
        };
        Ok(self.write_sealed(log, sealed, provisional).await)
    }

    async fn write_sealed(
        &self,
        log: LogId,
        sealed: Sealed,
        provisional: Vec<Provisional>,
    ) -> Recorded {
        let body = sealed.body.clone();
        let free = provisional.is_empty() && self.frozen().is_none() && !self.spool.holds(&log);
        if free {
            match self.append(&log, sealed).await {
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
            body: body.into(),
            keys: provisional,
        };
        self.spool(waiting).await
    }

    /// Appends a record to its log; the same one again changes nothing, nor does one that
    /// its caller's idempotency key has made before, however long ago.
    pub(super) async fn append(&self, log: &LogId, sealed: Sealed) -> Result<u64, StoreError> {
        let Sealed { body, once, found } = sealed;
        let appending = async {
            let log = self.logs.open(log).await?;
            if let Some(seq) = self.appended_before(&log, &once).await? {
                return Ok(seq);
            }
            let before = log.integrated();
            let event = NewEvent {
                idempotency: Some(once.key(&body)),
                body,
                at: self.clock.now(),
            };
            match self.events.append(&log.records, event).await {
                Ok(appended) => {
                    let seq = appended.cursor.seq;
                    if !appended.duplicate && seq <= before {
                        let why = format!("{} at seq {seq}: the log was shortened", log.id);
                        self.freeze(why.clone());
                        return Err(StoreError::Corrupt(why));
                    }
                    if let Some(found) = found.filter(|_| !appended.duplicate) {
                        log.recent.hold(seq, found);
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

    /// The place of the record that the key has made, if it is kept still.
    async fn appended_before(
        &self,
        log: &Arc<Log>,
        once: &Once,
    ) -> Result<Option<u64>, StoreError> {
        let Once::ByKey { key, action, phase } = once else {
            return Ok(None);
        };
        let filter = Filter {
            idempotency: Some(*key),
            action: Some(action.to_string()),
            ..Filter::default()
        };
        let mut after = Some(0);
        while let Some(from) = after {
            let page = self.query_log(log, &filter, from, KEYED_MAX).await;
            let page = page.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let same = |entry: &&Entry| name(&entry.leaf.phase) == *phase;
            if let Some(entry) = page.entries.iter().find(same) {
                return Ok(Some(entry.seq.get()));
            }
            after = page.next;
        }
        Ok(None)
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

/// A record that is ready to be appended.
pub(super) struct Sealed {
    /// As it is stored.
    body: Bytes,
    once: Once,
    /// What integration needs of it; what waited in the spool is read back.
    found: Option<Found>,
}

impl Sealed {
    /// A record whose event is gone: it waited in the spool.
    pub(super) fn of_body(body: Bytes) -> Self {
        Self {
            once: Once::of_record(&body),
            body,
            found: None,
        }
    }
}

/// What makes a record the same as another.
enum Once {
    /// The caller says so, with a key for one action. An intent and its outcome may share it.
    ByKey {
        key: Hash,
        action: Label,
        phase: &'static str,
    },
    /// The bytes: they hold fresh salts, so no other record has them.
    ByBytes,
}

impl Once {
    fn new(key: Option<Hash>, action: &Label, phase: &Phase) -> Self {
        match key {
            Some(key) => Self::ByKey {
                key,
                action: action.clone(),
                phase: name(phase),
            },
            None => Self::ByBytes,
        }
    }

    /// The same of a record whose event is gone, for one that waited in the spool.
    fn of_record(body: &[u8]) -> Self {
        let record = Record::decode(body).ok();
        let leaf = record.and_then(|record| Leaf::parse(&record.leaf).ok());
        leaf.map_or(Self::ByBytes, |leaf| {
            Self::new(leaf.idempotency, &leaf.action, &leaf.phase)
        })
    }

    /// What the store knows it by, for those who race.
    fn key(&self, body: &[u8]) -> Idempotency {
        match self {
            Self::ByBytes => idempotency(&[body]),
            Self::ByKey { key, action, phase } => {
                idempotency(&[key.as_bytes(), action.as_str().as_bytes(), phase.as_bytes()])
            }
        }
    }
}

fn name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Intent => "intent",
        Phase::Outcome { .. } => "outcome",
        Phase::Event(_) => "event",
    }
}

fn idempotency(parts: &[&[u8]]) -> Idempotency {
    let hash = Hash::of(parts);
    let mut halves = [[0; 16]; 2];
    let bytes = halves.iter_mut().flatten();
    bytes
        .zip(hash.as_bytes())
        .for_each(|(to, from)| *to = *from);
    let [key, fingerprint] = halves;
    Idempotency { key, fingerprint }
}
