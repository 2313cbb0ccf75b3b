//! From an event to a durable record, or to the spool.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join3;
use identity::Recorded;
use privacy::pii::strip_json;
use serde_json::{Map, Value};
use store::{AppendError, Idempotency, NewEvent, StoreError};
use tokio::time::Instant;

use super::{
    Audit, Entry, Filter, LogId,
    integrate::{NotOfLog, checked},
    logs::Log,
    recent::Found,
    spool::Waiting,
    subjects::Provisional,
};
use crate::{
    DatasetEvent, Hash, Label, Leaf, Phase,
    seal::{SealError, SealedLeaf, seal_leaf},
};

/// How long the store may take; the recorder's callers wait five seconds at most.
pub(super) const APPEND_MAX: Duration = Duration::from_secs(2);

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
        let sealed = seal_leaf(event, &keys, &*self.entropy)?;
        let body = sealed.record.encode().map_err(|_| SealError::Cipher)?;
        let ready = Ready {
            body: body.into(),
            once: Once::new(&sealed.leaf, sealed.hash),
            sealed: Some(sealed),
        };
        Ok(self.write_ready(log, ready, provisional).await)
    }

    async fn write_ready(
        &self,
        log: LogId,
        ready: Ready,
        provisional: Vec<Provisional>,
    ) -> Recorded {
        let body = ready.body.clone();
        let free = provisional.is_empty() && self.frozen().is_none() && !self.spool.holds(&log);
        if free {
            match self.append(&log, ready).await {
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
    pub(super) async fn append(&self, log: &LogId, ready: Ready) -> Result<u64, StoreError> {
        let Ready { body, once, sealed } = ready;
        let appending = async {
            let log = self.logs.open(log).await?;
            if let Some(seq) = self.appended_before(&log, &once).await? {
                return Ok(seq);
            }
            let before = log.integrated();
            let event = NewEvent {
                idempotency: Some(once.key()),
                body,
                at: self.clock.now(),
            };
            let began = Instant::now();
            // What integration needs is worked out while the disk is waited for.
            let appending = self.events.append(&log.records, event);
            let found = async { sealed.as_ref().and_then(found) };
            let (appended, announced, found) = join3(appending, self.tell_of(&log), found).await;
            announced?;
            if self.nodes.is_some() && began.elapsed() > APPEND_MAX {
                // The process stood still, and may have announced long ago what it appended now.
                return Err(too_long());
            }
            match appended {
                Ok(appended) => {
                    let seq = appended.cursor.seq;
                    if !appended.duplicate && seq <= before {
                        let why = format!("{} at seq {seq}: the log was shortened", log.id);
                        self.freeze(why.clone());
                        return Err(StoreError::Corrupt(why));
                    }
                    self.continues_in(&log, appended.cursor.epoch).await?;
                    let held = self.logs.are_tended() && !appended.duplicate;
                    if let Some(found) = found.filter(|_| held) {
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
        tokio::time::timeout(APPEND_MAX, appending)
            .await
            .unwrap_or_else(|_| Err(too_long()))
    }

    /// Tells the node that leads that a log is appended to. It looks at the log twice, at
    /// last when an append that is under way now is over.
    async fn tell_of(&self, log: &Log) -> Result<(), StoreError> {
        let Some(nodes) = &self.nodes else {
            return Ok(());
        };
        nodes.announcer.announce(&log.id).await
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

fn too_long() -> StoreError {
    StoreError::Unavailable("it takes too long".to_owned())
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
pub(super) struct Ready {
    /// As it is stored.
    body: Bytes,
    once: Once,
    /// What it is made of; one that waited in the spool is read back for its integration.
    sealed: Option<SealedLeaf>,
}

impl Ready {
    /// A record of `log` that waited in the spool: its event is gone.
    pub(super) fn of_body(log: &LogId, body: Bytes) -> Result<Self, NotOfLog> {
        let (record, leaf) = checked(log, &body)?;
        Ok(Self {
            once: Once::new(&leaf, record.leaf_hash()),
            body,
            sealed: None,
        })
    }
}

/// What integration needs of a record.
fn found(sealed: &SealedLeaf) -> Option<Found> {
    Found::of(&sealed.record, &sealed.leaf, sealed.hash).ok()
}

/// What makes a record the same as another.
enum Once {
    /// The caller says so, with a key for one action. An intent and its outcome may share it.
    ByKey {
        key: Hash,
        action: Label,
        phase: &'static str,
    },
    /// Its leaf: it holds fresh salts, so no other record has it.
    ByLeaf(Hash),
}

impl Once {
    fn new(leaf: &Leaf, hash: Hash) -> Self {
        match leaf.idempotency {
            Some(key) => Self::ByKey {
                key,
                action: leaf.action.clone(),
                phase: name(&leaf.phase),
            },
            None => Self::ByLeaf(hash),
        }
    }

    /// What the store knows it by, for those who race.
    fn key(&self) -> Idempotency {
        match self {
            Self::ByLeaf(hash) => idempotency(*hash),
            Self::ByKey { key, action, phase } => {
                let parts = [key.as_bytes(), action.as_str().as_bytes(), phase.as_bytes()];
                idempotency(Hash::of(&parts))
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

fn idempotency(hash: Hash) -> Idempotency {
    let mut halves = [[0; 16]; 2];
    let bytes = halves.iter_mut().flatten();
    bytes
        .zip(hash.as_bytes())
        .for_each(|(to, from)| *to = *from);
    let [key, fingerprint] = halves;
    Idempotency { key, fingerprint }
}
