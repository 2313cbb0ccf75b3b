//! Replays: a part of a canvas's log as one file that can be sought, and checked by a stranger.
//!
//! A replay is made from the log of commits alone: no clock, no chance. The same range of the same
//! canvas is the same bytes, as long as the tool and its zstd, which the header names, are the same.
//! The bytes are described in `docs/canvas.md`; [`Replay`] reads them.
//!
//! **Invariant:** every revision of a replay is one keyframe and fewer than
//! [`SEGMENT_REVISIONS_MAX`] commits away.

mod file;
mod read;
mod record;
mod write;

#[cfg(feature = "http")]
pub(crate) use file::Keyframe;
pub use file::{Header, Segment};
pub use read::{Frame, InvalidReplay, Replay};
pub use record::record;
pub(crate) use write::{Recorder, Unrecorded};

use store::GET_BYTES_MAX;

/// Most revisions of a segment: the keyframe's own, and one for each commit after it.
pub const SEGMENT_REVISIONS_MAX: u64 = 200;
/// Milliseconds of commit time after which a segment ends, once its commits weigh as much as its keyframe.
pub const SEGMENT_MS_MAX: i64 = 10_000;
/// Most bytes of a segment before compression: a keyframe has at most about 7 MiB.
pub const SEGMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of a replay.
pub const REPLAY_BYTES_MAX: u64 = GET_BYTES_MAX;
/// Most bytes of a replay before compression; bounds the work of making one.
pub const REPLAY_RAW_BYTES_MAX: u64 = 256 * 1024 * 1024;
