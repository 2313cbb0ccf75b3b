//! Copying streams, and proving that the copies are such.
//!
//! A copy is begun in an epoch of its own, in which nobody was ever given a cursor, and gets that of its stream when
//! both were compared and nothing is written. So a copy that was not finished is never taken for the stream. Once
//! the copy is in use, the stream that was left behind gets another epoch, for the same reason.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use store::{
    Bounds, Cursor, Epoch, EventLog as _, Idempotency, ImportError, NewEvent, READ_EVENTS_MAX,
    Read, Relocation, StreamKey,
};

use super::{Moved, Mover, Transfer};
use crate::compose::{backend::Backend, router::of_stream};

/// Streams that are worked on at once, so that one wait for a disk covers many.
const STREAMS_AT_ONCE: usize = 32;
/// How often a stream is compared, and copied if it differs, before the copy is given up.
const TRIES_MAX: usize = 3;

/// Which events were copied and compared, of how many there are.
#[derive(Default)]
struct Count {
    copied: u64,
    kept: u64,
}

/// What a pass is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Writes go on; nobody waits for it.
    Ahead,
    /// Nothing is written.
    Held,
}

/// The streams of a move.
pub(super) struct Streams<'a> {
    mover: &'a Mover<'a>,
    from: &'a Arc<Backend>,
    to: &'a Arc<Backend>,
    count: Mutex<Count>,
}

impl<'a> Streams<'a> {
    pub(super) fn new(mover: &'a Mover<'a>, transfer: &'a Transfer) -> Self {
        Self {
            mover,
            from: &transfer.from,
            to: &transfer.to,
            count: Mutex::default(),
        }
    }

    /// Copies what is there while writes go on.
    pub(super) async fn copy_ahead(self, moved: &mut Moved) -> anyhow::Result<()> {
        self.each(self.from, self.from, Pass::Ahead, |stream| {
            self.copy(stream, Pass::Ahead)
        })
        .await?;
        moved.copied += self.count.into_inner().copied;
        Ok(())
    }

    /// Copies the rest, compares everything, and gives the copies the epochs of their streams.
    pub(super) async fn copy_held(self, moved: &mut Moved) -> anyhow::Result<()> {
        self.each(self.to, self.from, Pass::Held, |stream| {
            self.erase_others(stream)
        })
        .await?;
        self.each(self.from, self.from, Pass::Held, |stream| {
            self.copy(stream, Pass::Held)
        })
        .await?;
        let count = self.count.into_inner();
        moved.kept += count.kept.saturating_sub(moved.copied);
        moved.copied += count.copied;
        Ok(())
    }

    /// Gives the streams that were left behind other epochs.
    pub(super) async fn renew_left(self) -> anyhow::Result<()> {
        self.each(self.from, self.to, Pass::Held, async |stream| {
            Ok(self.from.renew(&stream, self.drawn()).await?)
        })
        .await
    }

    /// Does something to every stream in `among` that is this move's, and is served by `served` now.
    async fn each<F, W>(
        &self,
        among: &Arc<Backend>,
        served: &Arc<Backend>,
        pass: Pass,
        work: F,
    ) -> anyhow::Result<()>
    where
        F: Fn(StreamKey) -> W,
        W: Future<Output = anyhow::Result<()>>,
    {
        let mut after = None;
        loop {
            let page = among.streams(&self.mover.authority, after).await?;
            let mut moves = Vec::with_capacity(page.streams.len());
            for stream in page.streams {
                if self.is_moved(&stream, served, pass).await? {
                    moves.push(stream);
                }
            }
            stream::iter(moves)
                .map(&work)
                .buffer_unordered(STREAMS_AT_ONCE)
                .try_collect::<()>()
                .await?;
            if page.next.is_none() {
                return Ok(());
            }
            after = page.next;
        }
    }

    async fn is_moved(
        &self,
        stream: &StreamKey,
        served: &Arc<Backend>,
        pass: Pass,
    ) -> anyhow::Result<bool> {
        // What belongs to no kind is not Tenantry's, or a newer one's.
        let Ok((kind, home)) = of_stream(stream.home()) else {
            return Ok(false);
        };
        let held = pass == Pass::Held;
        Ok(
            kind.name == self.mover.order.kind.name
                && self.mover.moves(&home, served, held).await?,
        )
    }

    /// Erases what is at the new place alone: left behind by an earlier attempt.
    async fn erase_others(&self, stream: StreamKey) -> anyhow::Result<()> {
        if self.from.bounds(&stream).await?.head == 0 {
            self.to.erase(&stream, self.drawn()).await?;
        }
        Ok(())
    }

    /// Makes the stream the same at the new place as at the old one, if it is not already.
    async fn copy(&self, stream: StreamKey, pass: Pass) -> anyhow::Result<()> {
        for _ in 0..TRIES_MAX {
            let original = Original::read(self.mover, self.from, &stream).await?;
            if original.bounds.head == 0 {
                return Ok(());
            }
            let begun = self.begin(&stream, &original).await?;
            if self.extend(&stream, &original, begun).await? && pass == Pass::Ahead {
                return Ok(());
            }
            if pass == Pass::Held && self.is_copied(&stream, &original, begun).await? {
                self.to.renew(&stream, original.bounds.epoch).await?;
                self.note(begun.seq, original.bounds);
                return Ok(());
            }
            if pass == Pass::Held {
                self.to.erase(&stream, self.drawn()).await?;
            }
        }
        match pass {
            // Its oldest events are removed as fast as they are copied.
            Pass::Ahead => Ok(()),
            Pass::Held => anyhow::bail!(
                "the copy of {stream} is not what was copied: somebody writes to one of them"
            ),
        }
    }

    /// Where the copy goes on: at its head, if it is the beginning of the original.
    async fn begin(&self, stream: &StreamKey, original: &Original) -> anyhow::Result<Cursor> {
        let (wanted, have) = (original.bounds, self.to.bounds(stream).await?);
        let transit = in_transit(stream, wanted.epoch);
        let ours = have.epoch == transit || have.epoch == wanted.epoch;
        let goes_on = have.head > 0 && have.head <= wanted.head && have.head + 1 >= wanted.oldest;
        if ours && goes_on {
            return Ok(have.at_head());
        }
        if have.head > 0 {
            self.to.erase(stream, transit).await?;
        }
        let after = Cursor {
            epoch: transit,
            seq: original.first() - 1,
        };
        if after.seq == wanted.head {
            // All of its events were removed.
            self.to.import(stream, after, Vec::new()).await?;
        }
        Ok(after)
    }

    /// Copies what comes behind `at`; says whether the copy is as long as the original was.
    async fn extend(
        &self,
        stream: &StreamKey,
        original: &Original,
        mut at: Cursor,
    ) -> anyhow::Result<bool> {
        let wanted = original.bounds;
        while at.seq < wanted.head {
            let events = if at.seq + 1 < wanted.oldest {
                original.trimmed(at.seq)
            } else {
                match original.page(self.from, stream, at.seq).await? {
                    Some(events) => events,
                    None => return Ok(false),
                }
            };
            let count = events.len() as u64;
            match self.to.import(stream, at, events).await {
                Ok(()) => {}
                Err(ImportError::Elsewhere(_)) => return Ok(false),
                Err(ImportError::Store(error)) => return Err(error.into()),
            }
            at.seq += count;
            self.count.lock().copied += count;
        }
        self.to.trim(stream, wanted.oldest - 1).await?;
        Ok(true)
    }

    /// Whether the copy has the same events at the same places, and all keys.
    async fn is_copied(
        &self,
        stream: &StreamKey,
        original: &Original,
        begun: Cursor,
    ) -> anyhow::Result<bool> {
        let (wanted, have) = (original.bounds, self.to.bounds(stream).await?);
        if (have.oldest, have.head) != (wanted.oldest, wanted.head) || have.epoch != begun.epoch {
            return Ok(false);
        }
        let keys = self.to.keys(stream, original.now).await?;
        let keys: HashSet<(u64, Idempotency)> = keys.into_iter().collect();
        let known = |(seq, key): (&u64, &Idempotency)| keys.contains(&(*seq, *key));
        Ok(original.keys.iter().all(known)
            && sum(self.from, stream, wanted).await? == sum(self.to, stream, have).await?)
    }

    fn note(&self, begun: u64, bounds: Bounds) {
        let there = (begun + 1).saturating_sub(bounds.oldest);
        self.count.lock().kept += there;
    }

    /// An epoch that nobody has been given.
    fn drawn(&self) -> Epoch {
        let mut bytes = [0; 4];
        self.mover.router.opener().entropy.fill(&mut bytes);
        Epoch(u32::from_le_bytes(bytes).max(1))
    }
}

/// The epoch of a copy that is not finished: the same for who goes on with it, and nobody is given it.
fn in_transit(stream: &StreamKey, epoch: Epoch) -> Epoch {
    let hash = Sha256::digest(format!("in transit {stream} {}", epoch.0));
    let drawn = hash
        .iter()
        .take(4)
        .fold(0, |all: u32, byte| all << 8 | u32::from(*byte));
    Epoch(if drawn == epoch.0 { !drawn } else { drawn }.max(1))
}

/// The stream at the old place, as it was at a moment.
struct Original {
    bounds: Bounds,
    /// The idempotency keys of its events up to the head.
    keys: HashMap<u64, Idempotency>,
    now: identity::Timestamp,
}

impl Original {
    async fn read(mover: &Mover<'_>, from: &Backend, stream: &StreamKey) -> anyhow::Result<Self> {
        let now = mover.router.opener().clock.now();
        // Bounds first: every event up to the head has its key by then.
        let bounds = from.bounds(stream).await?;
        let keys = from.keys(stream, now).await?.into_iter();
        Ok(Self {
            keys: keys.filter(|(seq, _)| *seq <= bounds.head).collect(),
            bounds,
            now,
        })
    }

    /// The first event that is copied: the oldest one, or an older one whose key is remembered.
    fn first(&self) -> u64 {
        let keyed = self.keys.keys().min().copied();
        keyed.unwrap_or(u64::MAX).min(self.bounds.oldest).max(1)
    }

    /// Events without bodies in the place of those that were removed, for the sake of their keys.
    fn trimmed(&self, after: u64) -> Vec<NewEvent> {
        let seqs = (after + 1..self.bounds.oldest).take(READ_EVENTS_MAX);
        seqs.map(|seq| self.event(seq, Bytes::new())).collect()
    }

    /// The events behind `after`, up to the head; `None` when they were removed meanwhile.
    async fn page(
        &self,
        from: &Backend,
        stream: &StreamKey,
        after: u64,
    ) -> anyhow::Result<Option<Vec<NewEvent>>> {
        let cursor = Cursor {
            epoch: self.bounds.epoch,
            seq: after,
        };
        let Read::Page { events, .. } = from.read(stream, Some(cursor), READ_EVENTS_MAX).await?
        else {
            return Ok(None);
        };
        let events = events
            .into_iter()
            .take_while(|event| event.cursor.seq <= self.bounds.head);
        let events = events.map(|event| self.event(event.cursor.seq, event.body));
        Ok(Some(events.collect()))
    }

    fn event(&self, seq: u64, body: Bytes) -> NewEvent {
        NewEvent {
            body,
            at: self.now,
            idempotency: self.keys.get(&seq).copied(),
        }
    }
}

/// A hash over the seqs and bodies of a stream.
async fn sum(log: &Backend, stream: &StreamKey, bounds: Bounds) -> anyhow::Result<[u8; 32]> {
    let (mut hash, mut at) = (Sha256::new(), bounds.before_oldest());
    while at.seq < bounds.head {
        let Read::Page { events, .. } = log.read(stream, Some(at), READ_EVENTS_MAX).await? else {
            anyhow::bail!("events of {stream} were removed while they were compared");
        };
        for event in events {
            hash.update(event.cursor.seq.to_be_bytes());
            hash.update((event.body.len() as u64).to_be_bytes());
            hash.update(&event.body);
            at = event.cursor;
        }
    }
    Ok(hash.finalize().into())
}
