//! Gestures: what people do on a canvas at this moment, such as where their pointer is.
//!
//! A gesture is a state: of an actor and a kind the latest counts, and takes the place of the one
//! before. What changed is told together, every 33 ms at most, to who can take it then; nothing is
//! queued for who cannot. A gesture that is not renewed ends after five seconds.
//!
//! **Invariant:** gestures live here alone: they have no revision, are never stored, and never
//! recorded. Their number and bytes are bounded, whatever is sent.

use std::{collections::BTreeMap, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use identity::UserId;
use serde::Serialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::frames::text_frame;

/// Largest data of one gesture, in bytes.
pub const GESTURE_BYTES_MAX: usize = 4096;
/// Longest kind, in bytes.
const KIND_BYTES_MAX: usize = 32;
/// Kinds of one actor at a time.
const KINDS_MAX: usize = 8;
/// Gestures of one canvas, those that ended just now included.
const SLOTS_MAX: usize = 2048;
/// All of one canvas as frames, in bytes.
const BYTES_MAX: usize = 256 * 1024;
/// Between two times of telling, at least.
const COALESCED: Duration = Duration::from_millis(33);
/// How long a gesture lives after it was made.
const LIFE: Duration = Duration::from_secs(5);

/// A gesture that nobody may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GestureRefused {
    #[error("a kind is [a-z][a-z0-9_.-]* of at most {KIND_BYTES_MAX} bytes")]
    Kind,
    #[error("a gesture has at most {GESTURE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("an actor has at most {KINDS_MAX} kinds of gestures at a time")]
    TooManyKinds,
}

impl GestureRefused {
    /// The part of the frame that is to blame.
    pub(crate) const fn pointer(self) -> &'static str {
        match self {
            Self::Kind | Self::TooManyKinds => "/kind",
            Self::TooLarge => "/data",
        }
    }
}

/// What became of a gesture that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is told at the next time of telling, which is set already.
    Waits,
    /// The same, and the time was set now.
    Due,
    /// The canvas has no room for it.
    Dropped,
}

/// The gestures of one canvas.
#[derive(Default)]
pub(crate) struct Gestures {
    slots: BTreeMap<(UserId, SmolStr), Slot>,
    bytes: usize,
    /// Counts changes of slots.
    changes: u64,
    /// The last change of which was told.
    told: u64,
    told_at: Option<Instant>,
    /// Counts times of telling.
    times: u64,
    due: Option<Instant>,
    /// No gesture ends before.
    ends: Option<Instant>,
    /// The last end of a gesture that is not known any more.
    forgotten: u64,
    /// Gestures made here that other nodes are still to be told; `None` while nobody tells them.
    news: Option<BTreeMap<(UserId, SmolStr), Box<RawValue>>>,
}

struct Slot {
    /// The frame that tells it; `None` when it has ended.
    frame: Option<Bytes>,
    /// The change that made it, and the last one.
    made: u64,
    changed: u64,
    /// When it ends; and when that is forgotten.
    until: Instant,
}

/// What a reader has seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    times: u64,
    changes: u64,
}

/// A gesture as it is told, or that it has ended.
#[derive(Serialize)]
struct Told<'a> {
    op: &'static str,
    actor: Actor<'a>,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<bool>,
}

#[derive(Serialize)]
struct Actor<'a> {
    user_id: &'a str,
}

/// Tells a reader to forget what it knows: all that is there comes next.
const RESET: &[u8] = br#"{"op":"gesture","reset":true}"#;

impl Gestures {
    /// Takes a gesture that `actor` made here.
    pub(crate) fn put(
        &mut self,
        actor: &UserId,
        kind: &str,
        data: &RawValue,
        now: Instant,
    ) -> Result<Taken, GestureRefused> {
        let taken = self.take(actor, kind, data, now)?;
        if taken != Taken::Dropped
            && let Some(news) = &mut self.news
        {
            news.insert((actor.clone(), SmolStr::new(kind)), data.to_owned());
        }
        Ok(taken)
    }

    /// From now on gestures made here are kept for other nodes, or no longer.
    pub(crate) fn share(&mut self, shared: bool) {
        self.news = shared.then(BTreeMap::new);
    }

    /// Some of the gestures that other nodes are still to be told, of `bytes` together or a little more: the
    /// latest of each actor and kind.
    pub(crate) fn take_news(&mut self, bytes: usize) -> Vec<(UserId, SmolStr, Box<RawValue>)> {
        let (mut some, mut taken) = (Vec::new(), 0);
        while taken < bytes
            && let Some(((actor, kind), data)) = self.news.as_mut().and_then(BTreeMap::pop_first)
        {
            taken += data.get().len();
            some.push((actor, kind, data));
        }
        some
    }

    /// Whether other nodes are still to be told of gestures.
    pub(crate) fn has_news(&self) -> bool {
        self.news.as_ref().is_some_and(|news| !news.is_empty())
    }

    /// Takes a gesture, wherever it was made.
    pub(crate) fn take(
        &mut self,
        actor: &UserId,
        kind: &str,
        data: &RawValue,
        now: Instant,
    ) -> Result<Taken, GestureRefused> {
        if !is_kind(kind) {
            return Err(GestureRefused::Kind);
        }
        if data.get().len() > GESTURE_BYTES_MAX {
            return Err(GestureRefused::TooLarge);
        }
        let key = (actor.clone(), SmolStr::new(kind));
        let known = self.slots.get(&key);
        if known.is_none_or(|slot| slot.frame.is_none()) && self.kinds_of(actor) >= KINDS_MAX {
            return Err(GestureRefused::TooManyKinds);
        }
        let frame = told(actor, kind, Some(data));
        let bytes = self.bytes - known.map_or(0, Slot::bytes) + frame.len();
        if bytes > BYTES_MAX || (known.is_none() && self.slots.len() >= SLOTS_MAX) {
            return Ok(Taken::Dropped);
        }
        self.bytes = bytes;
        self.changes += 1;
        let slot = Slot {
            frame: Some(frame),
            made: known.map_or(self.changes, |slot| slot.made),
            changed: self.changes,
            until: now + LIFE,
        };
        self.slots.insert(key, slot);
        self.ends.get_or_insert(now + LIFE);
        if self.due.is_some() {
            return Ok(Taken::Waits);
        }
        let again = self.told_at.map(|at| at + COALESCED);
        self.due = Some(again.map_or(now, |again| again.max(now)));
        Ok(Taken::Due)
    }

    /// How many gestures of `actor` live.
    fn kinds_of(&self, actor: &UserId) -> usize {
        let first = (actor.clone(), SmolStr::default());
        let own = self.slots.range(first..);
        own.take_while(|((user, _), _)| user == actor)
            .filter(|(_, slot)| slot.frame.is_some())
            .count()
    }

    /// When there is something to do, if there is.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.ends).min()
    }

    /// Ends what is over; says whether there is something to tell now.
    pub(crate) fn flush(&mut self, now: Instant) -> bool {
        if self.ends.is_some_and(|at| at <= now) {
            self.expire(now);
        }
        let due = self.due.is_some_and(|at| at <= now);
        if self.told == self.changes || (self.due.is_some() && !due) {
            return false;
        }
        self.due = None;
        self.told = self.changes;
        self.told_at = Some(now);
        self.times += 1;
        true
    }

    fn expire(&mut self, now: Instant) {
        let Self {
            slots,
            bytes,
            changes,
            forgotten,
            ..
        } = self;
        slots.retain(|_, slot| {
            if slot.until > now {
                return true;
            }
            let Some(frame) = slot.frame.take() else {
                *forgotten = slot.changed.max(*forgotten);
                return false;
            };
            // That it ended is known for as long as it would have lived.
            *bytes -= frame.len();
            *changes += 1;
            slot.changed = *changes;
            slot.until = now + LIFE;
            true
        });
        self.ends = self.slots.values().map(|slot| slot.until).min();
    }

    /// What changed since `seen`, but for `own` gestures, as frames one after the other. It is asked when
    /// the reader can take them, so that they are as new as can be and nothing waits for a slow reader.
    pub(crate) fn after(&self, seen: &mut Seen, own: &UserId) -> Option<Bytes> {
        if seen.times == self.times {
            return None;
        }
        // Who missed an end that is forgotten is told all that is there.
        let reset = seen.changes > 0 && seen.changes < self.forgotten;
        let before = if reset { 0 } else { seen.changes };
        *seen = Seen {
            times: self.times,
            changes: self.changes,
        };
        let mut frames = BytesMut::new();
        if reset {
            frames.put_slice(&text_frame(RESET));
        }
        for ((user, kind), slot) in &self.slots {
            if slot.changed <= before || user == own {
                continue;
            }
            match &slot.frame {
                Some(frame) => frames.put_slice(frame),
                None if slot.made <= before => frames.put_slice(&told(user, kind, None)),
                // Its life was not told either.
                None => {}
            }
        }
        (!frames.is_empty()).then(|| frames.freeze())
    }
}

impl Slot {
    fn bytes(&self) -> usize {
        self.frame.as_ref().map_or(0, Bytes::len)
    }
}

fn is_kind(text: &str) -> bool {
    let rest = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    (1..=KIND_BYTES_MAX).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(rest)
}

/// The frame that tells a gesture, or that it has ended.
fn told(actor: &UserId, kind: &str, data: Option<&RawValue>) -> Bytes {
    let told = Told {
        op: "gesture",
        actor: Actor {
            user_id: actor.as_str(),
        },
        kind,
        data,
        ended: data.is_none().then_some(true),
    };
    text_frame(&serde_json::to_vec(&told).unwrap_or_default())
}

#[cfg(test)]
mod tests;
