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
/// All of one canvas as they are told, in bytes.
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
}

struct Slot {
    /// As it is told; `None` when it has ended.
    entry: Option<Bytes>,
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

#[derive(Serialize)]
struct Shown<'a> {
    user_id: &'a str,
    kind: &'a str,
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Ended<'a> {
    user_id: &'a str,
    kind: &'a str,
}

impl Gestures {
    /// Takes a gesture of `actor`.
    pub(crate) fn put(
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
        if known.is_none_or(|slot| slot.entry.is_none()) && self.kinds_of(actor) >= KINDS_MAX {
            return Err(GestureRefused::TooManyKinds);
        }
        let entry = json(&Shown {
            user_id: actor.as_str(),
            kind,
            data,
        });
        let bytes = self.bytes - known.map_or(0, Slot::bytes) + entry.len();
        if bytes > BYTES_MAX || (known.is_none() && self.slots.len() >= SLOTS_MAX) {
            return Ok(Taken::Dropped);
        }
        self.bytes = bytes;
        self.changes += 1;
        let slot = Slot {
            entry: Some(entry),
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
            .filter(|(_, slot)| slot.entry.is_some())
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
            let Some(entry) = slot.entry.take() else {
                *forgotten = slot.changed.max(*forgotten);
                return false;
            };
            // That it ended is known for as long as it would have lived.
            *bytes -= entry.len();
            *changes += 1;
            slot.changed = *changes;
            slot.until = now + LIFE;
            true
        });
        self.ends = self.slots.values().map(|slot| slot.until).min();
    }

    /// What changed since `seen`, but for `own` gestures, as a frame. It is asked when the reader can
    /// take one, so that it is as new as can be and nothing waits for a slow reader.
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
        let (mut shown, mut ended) = (BytesMut::new(), BytesMut::new());
        for ((user, kind), slot) in &self.slots {
            if slot.changed <= before || user == own {
                continue;
            }
            match &slot.entry {
                Some(entry) => list(&mut shown, entry),
                None if slot.made <= before => {
                    let user_id = user.as_str();
                    list(&mut ended, &json(&Ended { user_id, kind }));
                }
                // Its life was not told either.
                None => {}
            }
        }
        if shown.is_empty() && ended.is_empty() && !reset {
            return None;
        }
        Some(frame(&shown, &ended, reset))
    }
}

impl Slot {
    fn bytes(&self) -> usize {
        self.entry.as_ref().map_or(0, Bytes::len)
    }
}

fn is_kind(text: &str) -> bool {
    let rest = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    (1..=KIND_BYTES_MAX).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(rest)
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn frame(shown: &[u8], ended: &[u8], reset: bool) -> Bytes {
    let reset: &[u8] = if reset { b",\"reset\":true" } else { b"" };
    let parts = [
        &b"{\"op\":\"gesture\",\"gestures\":["[..],
        shown,
        b"],\"ended\":[",
        ended,
        b"]",
        reset,
        b"}",
    ];
    text_frame(&parts.concat())
}

/// Adds one item to the items of a JSON list.
fn list(items: &mut BytesMut, item: &[u8]) {
    if !items.is_empty() {
        items.put_u8(b',');
    }
    items.put_slice(item);
}

#[cfg(test)]
mod tests;
