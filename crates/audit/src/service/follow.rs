//! Following a log: what is appended comes out as its readers see it.
//!
//! **Invariant:** what was shown of a subject before an erasure is not shown to
//! anyone who comes after it: with the erasure every tail of the tenant ends, and
//! whoever kept what it brought begins again.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use identity::{Scope, TenantId};
use store::{
    AppendError, Appended, Bounds, Cursor, EventLog, GapReason, NewEvent, READ_EVENTS_MAX, Read,
    StoreError, StoredEvent, StreamKey, Tail, TailError,
};
use tokio::sync::broadcast;

use super::{Audit, Entry, LogId, ReadError};

/// Erasures that a tail may be behind; one that is further behind ends as well.
const ERASURES_MAX: usize = 16;

/// Tells tails in whose tenant a subject was erased.
pub(super) struct Erasures(broadcast::Sender<Option<TenantId>>);

impl Default for Erasures {
    fn default() -> Self {
        Self(broadcast::channel(ERASURES_MAX).0)
    }
}

impl Erasures {
    pub(super) fn tell(&self, tenant: &TenantId) {
        // Nobody may be following.
        let _ = self.0.send(Some(tenant.clone()));
    }

    /// Ends all tails: nobody knows in whose tenant it was.
    pub(super) fn tell_all(&self) {
        let _ = self.0.send(None);
    }
}

impl Audit {
    /// The stream of the scope's records, to be followed.
    #[must_use]
    pub fn stream(&self, scope: &Scope) -> StreamKey {
        self.layout.records(&LogId::of(scope))
    }

    /// All logs, as an event log that is only read: the bodies of the stream that
    /// [`Audit::stream`] names are what `render` makes of each record.
    ///
    /// A tail of it ends with a gap when a subject of its tenant is erased: who has
    /// kept what it brought must read it again.
    pub fn readable(self: &Arc<Self>, render: fn(&Entry) -> Bytes) -> Arc<dyn EventLog> {
        Arc::new(ReadableLogs {
            audit: Arc::clone(self),
            render,
        })
    }

    fn log_of(&self, stream: &StreamKey) -> Result<LogId, StoreError> {
        let log = || {
            let (tenant, rest) = stream.as_str().strip_prefix("tenants/")?.split_once('/')?;
            let (env, _) = rest.split_once('/')?;
            let (tenant, env) = (tenant.parse().ok()?, env.parse().ok()?);
            Some(LogId { tenant, env })
        };
        log()
            .filter(|log| self.layout.records(log) == *stream)
            .ok_or_else(|| StoreError::Corrupt(format!("{stream} is no audit log")))
    }
}

#[derive(Clone)]
struct ReadableLogs {
    audit: Arc<Audit>,
    render: fn(&Entry) -> Bytes,
}

impl ReadableLogs {
    /// What is left of a log: retention tells what goes before the engine has removed it.
    async fn kept(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        let id = self.audit.log_of(stream)?;
        let bounds = self.audit.events.bounds(stream).await?;
        let oldest = match self.audit.logs.find(&id).await? {
            Some(log) => self.audit.head_of(&log).await?.oldest(),
            None => bounds.oldest,
        };
        let oldest = oldest.max(bounds.oldest);
        Ok(Bounds { oldest, ..bounds })
    }

    async fn page(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        let bounds = self.kept(stream).await?;
        let after = after.unwrap_or_else(|| bounds.before_oldest());
        if let Some(reason) = bounds.gap(after) {
            return Ok(Read::Gap { reason, bounds });
        }
        let id = self.audit.log_of(stream)?;
        let entries = match self.audit.logs.find(&id).await? {
            Some(log) => {
                let limit = limit.clamp(1, READ_EVENTS_MAX);
                let entries = self.audit.entries_of(&log, after.seq, limit).await;
                entries.map_err(unreadable)?
            }
            None => Vec::new(),
        };
        if entries
            .first()
            .is_some_and(|entry| entry.seq.index() != after.seq)
        {
            // Retention was faster.
            let (reason, bounds) = (GapReason::Evicted, self.kept(stream).await?);
            return Ok(Read::Gap { reason, bounds });
        }
        let event = |entry: &Entry| StoredEvent {
            cursor: Cursor {
                epoch: bounds.epoch,
                seq: entry.seq.get(),
            },
            body: (self.render)(entry),
        };
        let events = entries.iter().map(event).collect();
        Ok(Read::Page { events, bounds })
    }
}

pub(super) fn unreadable(error: ReadError) -> StoreError {
    match error {
        ReadError::Store(error) => error,
        other => StoreError::Corrupt(other.to_string()),
    }
}

fn read_only() -> StoreError {
    StoreError::ReadOnly("audit logs are followed here, and written elsewhere".to_owned())
}

#[async_trait]
impl EventLog for ReadableLogs {
    async fn append(&self, _: &StreamKey, _: NewEvent) -> Result<Appended, AppendError> {
        Err(read_only().into())
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.page(stream, after, limit).await
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.kept(stream).await
    }

    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        let follower = Follower {
            tenant: self.audit.log_of(stream)?.tenant,
            erasures: self.audit.erasures.0.subscribe(),
            appended: self.audit.events.tail(stream, after).await?,
            at: after,
            known: after.seq,
            stream: stream.clone(),
            logs: self.clone(),
        };
        let batches = stream::try_unfold(follower, |mut follower| async {
            let events = follower.next().await?;
            Ok(Some((events, follower)))
        });
        Ok(batches.boxed())
    }

    async fn trim(&self, _: &StreamKey, _: u64) -> Result<(), StoreError> {
        Err(read_only())
    }
}

/// Follows one log.
struct Follower {
    logs: ReadableLogs,
    stream: StreamKey,
    tenant: TenantId,
    erasures: broadcast::Receiver<Option<TenantId>>,
    /// Says that there is more; what there is, is read as everybody reads it.
    appended: Tail,
    /// The last record that was brought.
    at: Cursor,
    /// The last record that is known to be there.
    known: u64,
}

impl Follower {
    async fn next(&mut self) -> Result<Vec<StoredEvent>, TailError> {
        while self.known <= self.at.seq {
            tokio::select! {
                biased;
                () = erased(&mut self.erasures, &self.tenant) => {
                    let bounds = self.logs.kept(&self.stream).await?;
                    return Err(TailError::Gap(GapReason::Evicted, bounds));
                }
                more = self.appended.next() => self.learn(more)?,
            }
        }
        let missing = usize::try_from(self.known - self.at.seq).unwrap_or(READ_EVENTS_MAX);
        let read = self.logs.page(&self.stream, Some(self.at), missing);
        let events = match read.await? {
            Read::Page { events, .. } => events,
            Read::Gap { reason, bounds } => return Err(TailError::Gap(reason, bounds)),
        };
        let Some(last) = events.last() else {
            let why = format!("record {} cannot be read yet", self.known);
            return Err(StoreError::Unavailable(why).into());
        };
        self.at = last.cursor;
        Ok(events)
    }

    fn learn(
        &mut self,
        more: Option<Result<Vec<StoredEvent>, TailError>>,
    ) -> Result<(), TailError> {
        let more = more.unwrap_or_else(|| {
            let why = "the tail of an audit log ended".to_owned();
            Err(StoreError::Unavailable(why).into())
        })?;
        if let Some(last) = more.last() {
            self.known = last.cursor.seq;
        }
        Ok(())
    }
}

/// Waits until a subject of the tenant is erased, or until that cannot be known.
async fn erased(erasures: &mut broadcast::Receiver<Option<TenantId>>, tenant: &TenantId) {
    let others = |told: Option<TenantId>| told.is_some_and(|other| other != *tenant);
    while erasures.recv().await.is_ok_and(others) {}
}
