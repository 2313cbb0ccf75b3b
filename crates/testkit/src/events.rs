//! Event streams in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use parking_lot::RwLock;
use store::{
    AppendError, Appended, Bounds, Cursor, EVENT_BYTES_MAX, Epoch, EventLog, NewEvent,
    READ_BYTES_MAX, READ_EVENTS_MAX, Read, StoreError, StoredEvent, StreamKey, Tail, TailError,
};
use tokio::sync::watch;

/// An [`EventLog`] that lives as long as this value.
pub struct MemoryEventLog {
    log: Arc<Log>,
}

struct Log {
    epoch: Epoch,
    streams: RwLock<HashMap<StreamKey, Stream>>,
}

struct Stream {
    head: u64,
    events: VecDeque<Bytes>,
    keys: HashMap<[u8; 16], (u64, [u8; 16])>,
    changed: watch::Sender<u64>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            head: 0,
            events: VecDeque::new(),
            keys: HashMap::new(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Stream {
    fn bounds(&self, epoch: Epoch) -> Bounds {
        Bounds {
            epoch,
            oldest: self.head + 1 - self.events.len() as u64,
            head: self.head,
        }
    }
}

impl MemoryEventLog {
    /// No streams yet, in the life `epoch`, which is not 0.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self {
            log: Arc::new(Log {
                epoch,
                streams: RwLock::default(),
            }),
        }
    }
}

impl Default for MemoryEventLog {
    fn default() -> Self {
        Self::new(Epoch(0x3f9a))
    }
}

impl Log {
    fn append(&self, key: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        if event.body.len() > EVENT_BYTES_MAX {
            let why = format!("an event has at most {EVENT_BYTES_MAX} bytes");
            return Err(StoreError::Limit(why).into());
        }
        let mut streams = self.streams.write();
        let stream = streams.entry(key.clone()).or_default();
        let answer = |seq, duplicate| Appended {
            cursor: Cursor {
                epoch: self.epoch,
                seq,
            },
            duplicate,
        };
        if let Some(idempotency) = event.idempotency {
            match stream.keys.get(&idempotency.key) {
                Some((seq, same)) if *same == idempotency.fingerprint => {
                    return Ok(answer(*seq, true));
                }
                Some(_) => return Err(AppendError::IdempotencyConflict),
                None => {
                    let remembered = (stream.head + 1, idempotency.fingerprint);
                    stream.keys.insert(idempotency.key, remembered);
                }
            }
        }
        stream.head += 1;
        stream.events.push_back(event.body);
        stream.changed.send_replace(stream.head);
        Ok(answer(stream.head, false))
    }

    fn read(&self, key: &StreamKey, after: Option<Cursor>, limit: usize) -> Read {
        let streams = self.streams.read();
        let empty = Stream::default();
        let stream = streams.get(key).unwrap_or(&empty);
        let bounds = stream.bounds(self.epoch);
        if let Some(reason) = after.and_then(|cursor| bounds.gap(cursor)) {
            return Read::Gap { reason, bounds };
        }
        let first = after.map_or(bounds.oldest, |cursor| cursor.seq + 1);
        let passed_over = usize::try_from(first - bounds.oldest).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let events = (first..)
            .zip(stream.events.iter().skip(passed_over))
            .take(limit.clamp(1, READ_EVENTS_MAX))
            .take_while(|(seq, body)| {
                bytes += body.len();
                *seq == first || bytes <= READ_BYTES_MAX
            })
            .map(|(seq, body)| StoredEvent {
                cursor: Cursor {
                    epoch: self.epoch,
                    seq,
                },
                body: body.clone(),
            });
        Read::Page {
            events: events.collect(),
            bounds,
        }
    }
}

#[async_trait]
impl EventLog for MemoryEventLog {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        self.log.append(stream, event)
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        Ok(self.log.read(stream, after, limit))
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        let streams = self.log.streams.read();
        let bounds = streams
            .get(stream)
            .map(|stream| stream.bounds(self.log.epoch));
        Ok(bounds.unwrap_or_else(|| Stream::default().bounds(self.log.epoch)))
    }

    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        let changed = {
            let mut streams = self.log.streams.write();
            streams
                .entry(stream.clone())
                .or_default()
                .changed
                .subscribe()
        };
        let follower = Follower {
            log: Arc::clone(&self.log),
            stream: stream.clone(),
            position: after,
            changed,
            ended: false,
        };
        Ok(stream::unfold(follower, |mut follower| async move {
            let item = follower.next().await?;
            follower.ended = item.is_err();
            Some((item, follower))
        })
        .boxed())
    }

    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        if let Some(stream) = self.log.streams.write().get_mut(stream) {
            let oldest = stream.bounds(self.log.epoch).oldest;
            let gone = (up_to.min(stream.head) + 1).saturating_sub(oldest);
            stream
                .events
                .drain(..usize::try_from(gone).unwrap_or(usize::MAX));
        }
        Ok(())
    }
}

struct Follower {
    log: Arc<Log>,
    stream: StreamKey,
    position: Cursor,
    changed: watch::Receiver<u64>,
    ended: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Vec<StoredEvent>, TailError>> {
        while !self.ended {
            self.changed.mark_unchanged();
            match self
                .log
                .read(&self.stream, Some(self.position), READ_EVENTS_MAX)
            {
                Read::Gap { reason, bounds } => return Some(Err(TailError::Gap(reason, bounds))),
                Read::Page { events, .. } => {
                    if let Some(last) = events.last() {
                        self.position = last.cursor;
                        return Some(Ok(events));
                    }
                }
            }
            self.changed.changed().await.ok()?;
        }
        None
    }
}
