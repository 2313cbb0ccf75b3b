//! Making a replay: commit after commit, in memory, without I/O.

use identity::Timestamp;
use serde::Serialize;

use super::{
    Header, REPLAY_BYTES_MAX, REPLAY_RAW_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_MS_MAX,
    SEGMENT_REVISIONS_MAX, Segment,
    file::{Footer, Keyframe, MAGIC, MAGIC_END, SEGMENT_ENTRY_BYTES_MAX, TRAILER_BYTES},
};
use crate::{
    CanvasError, Commit,
    model::{Digest, State},
};

/// How hard zstd tries.
const LEVEL: i32 = 3;

/// Why a replay was not made.
#[derive(Debug)]
pub(crate) enum Unrecorded {
    /// It would be too large; up to this revision it would not.
    TooLarge(Option<u64>),
    /// The log does not say what it should.
    Damaged(CanvasError),
}

/// A replay that is being made.
pub(crate) struct Recorder {
    out: Vec<u8>,
    head: Digest,
    segments: Vec<Segment>,
    raw_bytes: u64,
    state: State,
    open: Open,
}

/// The segment that is being made.
struct Open {
    first_rev: u64,
    last_rev: u64,
    at: Option<Timestamp>,
    raw: Vec<u8>,
    /// How much of `raw` is the keyframe.
    keyframe_bytes: usize,
}

impl Open {
    fn begin(commit: Option<&Commit>, rev: u64, state: &State) -> Result<Self, Unrecorded> {
        let mut raw = Vec::new();
        put_line(&mut raw, &Keyframe::of(commit, rev, state))?;
        Ok(Self {
            first_rev: rev,
            last_rev: rev,
            at: commit.map(|commit| commit.at),
            keyframe_bytes: raw.len(),
            raw,
        })
    }

    /// Whether `commit`, of so many bytes, is too late, too much or one too many for it.
    fn ends_before(&self, commit: &Commit, bytes: usize) -> bool {
        let ms = |at: Timestamp| commit.at.unix_ms().saturating_sub(at.unix_ms());
        let is_late = self.at.is_some_and(|at| ms(at) >= SEGMENT_MS_MAX);
        // So the keyframes that time asks for weigh no more than the commits between them.
        let is_worth_it = self.raw.len() - self.keyframe_bytes >= self.keyframe_bytes;
        commit.rev - self.first_rev >= SEGMENT_REVISIONS_MAX
            || (is_late && is_worth_it)
            || self.raw.len() + bytes > SEGMENT_BYTES_MAX
    }
}

impl Recorder {
    /// Begins with the state of `header.from_rev` and the commit that made it.
    pub(crate) fn begin(
        header: &Header,
        state: State,
        commit: Option<&Commit>,
    ) -> Result<Self, Unrecorded> {
        let header_json = to_json(header)?;
        let length = u32::try_from(header_json.len()).map_err(damaged)?;
        let mut out = MAGIC.to_vec();
        out.extend(length.to_be_bytes());
        out.extend(header_json);
        let open = Open::begin(commit, header.from_rev, &state)?;
        Ok(Self {
            head: Digest::of_replay_part(&out),
            out,
            segments: Vec::new(),
            raw_bytes: 0,
            state,
            open,
        })
    }

    /// Adds the next commit; `restored` is the state that it makes, if it is a restore.
    pub(crate) fn push(
        &mut self,
        commit: &Commit,
        restored: Option<State>,
    ) -> Result<(), Unrecorded> {
        let is_restore = restored.is_some();
        match restored {
            Some(state) => self.state = state,
            None => commit.perform_on(&mut self.state).map_err(damaged)?,
        }
        if self.state.hash() != commit.state_hash {
            let what = format!("commit {} makes another state than it says", commit.rev);
            return Err(damaged(what));
        }
        let mut line = Vec::new();
        put_line(&mut line, commit)?;
        if is_restore || self.open.ends_before(commit, line.len()) {
            let next = Open::begin(Some(commit), commit.rev, &self.state)?;
            return self.close(next);
        }
        self.open.raw.extend(line);
        self.open.last_rev = commit.rev;
        self.open.at.get_or_insert(commit.at);
        Ok(())
    }

    /// The whole file, and its manifest hash.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, Digest), Unrecorded> {
        let nothing = Open {
            first_rev: 0,
            last_rev: 0,
            at: None,
            raw: Vec::new(),
            keyframe_bytes: 0,
        };
        self.close(nothing)?;
        let footer = to_json(&Footer {
            head: self.head,
            segments: self.segments,
        })?;
        let manifest = Digest::of_replay_manifest(&footer);
        let length = u32::try_from(footer.len()).map_err(damaged)?;
        self.out.extend(footer);
        self.out.extend(length.to_be_bytes());
        self.out.extend(manifest.bytes());
        self.out.extend(MAGIC_END);
        Ok((self.out, manifest))
    }

    /// Compresses the open segment, and goes on with `next`.
    fn close(&mut self, next: Open) -> Result<(), Unrecorded> {
        let done = std::mem::replace(&mut self.open, next);
        let fits = self.segments.last().map(|segment| segment.last_rev);
        self.raw_bytes += done.raw.len() as u64;
        if self.raw_bytes > REPLAY_RAW_BYTES_MAX {
            return Err(Unrecorded::TooLarge(fits));
        }
        let packed = zstd::bulk::compress(&done.raw, LEVEL).map_err(damaged)?;
        let entries = (self.segments.len() as u64 + 1) * SEGMENT_ENTRY_BYTES_MAX;
        let bytes = (self.out.len() + packed.len() + TRAILER_BYTES) as u64 + entries;
        if bytes > REPLAY_BYTES_MAX {
            return Err(Unrecorded::TooLarge(fits));
        }
        // Clocks of several nodes differ; the index goes forward nevertheless.
        let before = self.segments.last().and_then(|segment| segment.at);
        self.segments.push(Segment {
            at: done.at.max(before),
            bytes: packed.len(),
            first_rev: done.first_rev,
            hash: Digest::of_replay_part(&packed),
            last_rev: done.last_rev,
            offset: self.out.len(),
            raw_bytes: done.raw.len(),
        });
        self.out.extend(packed);
        Ok(())
    }
}

fn damaged(what: impl std::fmt::Display) -> Unrecorded {
    Unrecorded::Damaged(CanvasError::damaged(what))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Unrecorded> {
    serde_json::to_vec(value).map_err(damaged)
}

fn put_line<T: Serialize>(raw: &mut Vec<u8>, value: &T) -> Result<(), Unrecorded> {
    serde_json::to_writer(&mut *raw, value).map_err(damaged)?;
    raw.push(b'\n');
    Ok(())
}
