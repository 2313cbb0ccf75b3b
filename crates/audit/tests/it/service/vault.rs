//! An engine in memory that can be looked into, altered behind the service's back,
//! copied, put back, and stopped at any call.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use async_trait::async_trait;
use bytes::Bytes;
use store::{
    AppendError, Appended, Batch, Bounds, CommitError, Cursor, DocKey, Document, Documents, Epoch,
    EventLog, Expect, LIST_LIMIT_MAX, Listing, NewEvent, Partition, READ_EVENTS_MAX, Read,
    StoreError, StoredEvent, StreamKey, Tail, Version, Write,
};

/// That of a stream of the first life; each loss of streams begins another.
const EPOCH: u32 = 7;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happens.
    Before,
    /// It happens, and the caller does not get to know.
    After,
}

/// Everything that is stored.
#[derive(Clone, Default)]
pub(crate) struct Held {
    pub(crate) documents: BTreeMap<DocKey, (u64, Bytes)>,
    pub(crate) streams: BTreeMap<StreamKey, Stream>,
    /// How often the engine of the streams came back with another life.
    pub(crate) lives: u32,
    version: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Stream {
    pub(crate) events: BTreeMap<u64, Bytes>,
    pub(crate) head: u64,
    keys: HashMap<[u8; 16], (u64, [u8; 16])>,
}

#[derive(Default)]
struct Plan {
    calls: u64,
    /// The call that fails, how, and whether all after it fail.
    at: Option<(u64, Fault, bool)>,
    down: bool,
    hanging: bool,
}

/// The engine.
#[derive(Default)]
pub(crate) struct Vault {
    held: Mutex<Held>,
    plan: Mutex<Plan>,
}

impl Vault {
    pub(crate) fn copy(&self) -> Held {
        self.held.lock().unwrap().clone()
    }

    pub(crate) fn put_back(&self, held: Held) {
        *self.held.lock().unwrap() = held;
    }

    /// Changes what is stored, as nobody may.
    pub(crate) fn alter<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.lock().unwrap())
    }

    /// Forgets the idempotency keys of all streams, as an engine may after a day.
    pub(crate) fn forget_keys(&self) {
        let mut held = self.held.lock().unwrap();
        held.streams
            .values_mut()
            .for_each(|stream| stream.keys.clear());
    }

    /// Fails the `nth` call from now on, from 0, and with `for_good` all after it.
    pub(crate) fn fail_at(&self, nth: u64, fault: Fault, for_good: bool) {
        let mut plan = self.plan.lock().unwrap();
        plan.at = Some((plan.calls + nth, fault, for_good));
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.plan.lock().unwrap().down = down;
    }

    /// Answers nothing at all.
    pub(crate) fn set_hanging(&self, hanging: bool) {
        self.plan.lock().unwrap().hanging = hanging;
    }

    /// Answers again. Says whether the call that was to fail was reached.
    pub(crate) fn revive(&self) -> bool {
        let mut plan = self.plan.lock().unwrap();
        plan.down = false;
        match plan.at.take() {
            Some((at, ..)) => plan.calls > at,
            None => false,
        }
    }

    async fn run<T>(&self, call: impl FnOnce(&mut Held) -> T) -> Result<T, StoreError> {
        let failed = || StoreError::Unavailable("made to fail".to_owned());
        let (fault, hanging) = {
            let mut plan = self.plan.lock().unwrap();
            let call = plan.calls;
            plan.calls += 1;
            let fault = match plan.at {
                Some((at, fault, _)) if call == at => Some(fault),
                Some((at, _, true)) if call > at => Some(Fault::Before),
                _ => plan.down.then_some(Fault::Before),
            };
            (fault, plan.hanging)
        };
        if hanging {
            std::future::pending::<()>().await;
        }
        match fault {
            Some(Fault::Before) => Err(failed()),
            Some(Fault::After) => {
                let _ = call(&mut self.held.lock().unwrap());
                Err(failed())
            }
            None => Ok(call(&mut self.held.lock().unwrap())),
        }
    }
}

impl Held {
    /// Every byte that is stored, names included, one blob per thing.
    pub(crate) fn everything(&self) -> Vec<Vec<u8>> {
        let documents = self.documents.iter().flat_map(|(key, (_, value))| {
            [
                key.partition.as_str().as_bytes().to_vec(),
                key.id.clone().into_bytes(),
                value.to_vec(),
            ]
        });
        let events = self.streams.values().flat_map(|stream| {
            let bodies = stream.events.values();
            bodies.map(|body| body.to_vec())
        });
        documents.chain(events).collect()
    }

    /// The epoch of every stream.
    fn epoch(&self) -> Epoch {
        Epoch(EPOCH + self.lives)
    }

    /// The keys of the documents whose partition ends with `kind`.
    pub(crate) fn keys_of(&self, kind: &str) -> Vec<DocKey> {
        let keys = self.documents.keys();
        keys.filter(|key| key.partition.as_str().ends_with(kind))
            .cloned()
            .collect()
    }

    fn commit(&mut self, batch: &Batch) -> Result<Version, CommitError> {
        batch.check()?;
        for (key, expected) in batch.expectations() {
            let found = self.documents.get(key).map(|(version, _)| *version);
            let holds = match expected {
                Expect::Absent => found.is_none(),
                Expect::Version(version) => found == Some(version.0),
            };
            if !holds {
                return Err(CommitError::Conflict(key.clone()));
            }
        }
        self.version += 1;
        for (key, write) in batch.writes() {
            match write {
                Write::Put { value, .. } => {
                    let stored = (self.version, value.clone());
                    self.documents.insert(key.clone(), stored);
                }
                Write::Delete => {
                    self.documents.remove(key);
                }
            }
        }
        Ok(Version(self.version))
    }

    fn list(&self, partition: &Partition, listing: &Listing) -> Vec<Document> {
        let all = self.documents.iter();
        all.filter(|(key, _)| key.partition == *partition && key.id.starts_with(&listing.prefix))
            .filter(|(key, _)| listing.after.as_ref().is_none_or(|after| key.id > *after))
            .take(listing.limit.clamp(1, LIST_LIMIT_MAX))
            .map(|(key, stored)| document(key, stored))
            .collect()
    }
}

fn document(key: &DocKey, (version, value): &(u64, Bytes)) -> Document {
    Document {
        id: key.id.clone(),
        version: Version(*version),
        value: value.clone(),
        expires_at: None,
    }
}

impl Stream {
    fn bounds(&self, epoch: Epoch) -> Bounds {
        Bounds {
            epoch,
            oldest: self.events.keys().next().map_or(self.head + 1, |seq| *seq),
            head: self.head,
        }
    }

    fn append(&mut self, event: NewEvent, epoch: Epoch) -> Result<Appended, AppendError> {
        let at = |seq, duplicate| Appended {
            cursor: Cursor { epoch, seq },
            duplicate,
        };
        if let Some(one) = event.idempotency {
            match self.keys.get(&one.key) {
                Some((seq, same)) if *same == one.fingerprint => return Ok(at(*seq, true)),
                Some(_) => return Err(AppendError::IdempotencyConflict),
                None => self.keys.insert(one.key, (self.head + 1, one.fingerprint)),
            };
        }
        self.head += 1;
        self.events.insert(self.head, event.body);
        Ok(at(self.head, false))
    }

    fn read(&self, after: Option<Cursor>, limit: usize, epoch: Epoch) -> Read {
        let bounds = self.bounds(epoch);
        if let Some(reason) = after.and_then(|cursor| bounds.gap(cursor)) {
            return Read::Gap { reason, bounds };
        }
        let first = after.map_or(0, |cursor| cursor.seq + 1);
        let events = self.events.range(first..);
        let events = events.take(limit.clamp(1, READ_EVENTS_MAX));
        Read::Page {
            events: events
                .map(|(seq, body)| StoredEvent {
                    cursor: Cursor { epoch, seq: *seq },
                    body: body.clone(),
                })
                .collect(),
            bounds,
        }
    }
}

#[async_trait]
impl Documents for Vault {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        let get = |held: &mut Held| held.documents.get(key).map(|stored| document(key, stored));
        self.run(get).await
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.run(|held| held.list(partition, listing)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.run(|held| held.commit(&batch)).await?
    }
}

#[async_trait]
impl EventLog for Vault {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        let append = |held: &mut Held| {
            let epoch = held.epoch();
            let stream = held.streams.entry(stream.clone()).or_default();
            stream.append(event, epoch)
        };
        self.run(append).await?
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        let empty = Stream::default();
        self.run(|held| {
            let stream = held.streams.get(stream).unwrap_or(&empty);
            stream.read(after, limit, held.epoch())
        })
        .await
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        let empty = Stream::default();
        let bounds = |held: &mut Held| {
            let stream = held.streams.get(stream).unwrap_or(&empty);
            stream.bounds(held.epoch())
        };
        self.run(bounds).await
    }

    async fn tail(&self, _: &StreamKey, _: Cursor) -> Result<Tail, StoreError> {
        Err(StoreError::Unavailable("nobody follows it here".to_owned()))
    }

    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        let trim = |held: &mut Held| {
            if let Some(stream) = held.streams.get_mut(stream) {
                stream.events = stream.events.split_off(&(up_to + 1));
            }
        };
        self.run(trim).await
    }
}
