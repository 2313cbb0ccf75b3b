//! The parts of the file: head, segments, footer, trailer.

use identity::{CanvasId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Commit,
    model::{Digest, Node, State},
};

/// What a replay begins with.
pub(super) const MAGIC: &[u8; 8] = b"TNTYRPL1";
/// What it ends with.
pub(super) const MAGIC_END: &[u8; 8] = b"TNTYRPLE";
/// Bytes of a number in the file; the most significant first.
pub(super) const LENGTH_BYTES: usize = 4;
/// The length of the footer, the manifest hash, and the end.
pub(super) const TRAILER_BYTES: usize = LENGTH_BYTES + 32 + MAGIC_END.len();
/// Most bytes of a header.
pub(super) const HEADER_BYTES_MAX: usize = 1024;
/// More bytes than one segment takes of the footer.
pub(super) const SEGMENT_ENTRY_BYTES_MAX: u64 = 320;

/// What a replay is of, and what made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The canvas.
    pub canvas_id: CanvasId,
    /// The epoch of the last revision.
    pub epoch: u64,
    /// The first revision.
    pub from_rev: u64,
    /// The last revision.
    pub to_rev: u64,
    /// What made it, with its version.
    pub tool: String,
    /// The version of the zstd library that compressed it.
    pub zstd: String,
}

impl Header {
    /// The header of what this program makes.
    pub(crate) fn new(canvas_id: CanvasId, epoch: u64, from_rev: u64, to_rev: u64) -> Self {
        Self {
            canvas_id,
            epoch,
            from_rev,
            to_rev,
            tool: concat!("tenantry-canvas ", env!("CARGO_PKG_VERSION")).to_owned(),
            zstd: zstd::zstd_safe::version_string().to_owned(),
        }
    }
}

/// Where a segment is, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The time of its first commit, never before that of the segment before; `None` when it has
    /// no commit, which is so for revision 0 alone.
    pub at: Option<Timestamp>,
    /// Its bytes in the file.
    pub bytes: usize,
    /// The revision of its keyframe.
    pub first_rev: u64,
    /// The hash of its bytes in the file.
    pub hash: Digest,
    /// Its last revision.
    pub last_rev: u64,
    /// Where it begins in the file.
    pub offset: usize,
    /// Its bytes before compression.
    pub raw_bytes: usize,
}

/// The index of a replay.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Footer {
    /// The hash of everything before the first segment.
    pub(super) head: Digest,
    pub(super) segments: Vec<Segment>,
}

/// The first line of a segment, and of what a player shows.
#[derive(Serialize)]
pub(crate) struct Keyframe<'a> {
    /// The commit that made the revision; none made revision 0.
    commit: Option<&'a Commit>,
    nodes: Vec<&'a Node>,
    rev: u64,
    state_hash: Digest,
}

impl<'a> Keyframe<'a> {
    /// The keyframe of a revision.
    pub(crate) fn of(commit: Option<&'a Commit>, rev: u64, state: &'a State) -> Self {
        Self {
            commit,
            nodes: state.nodes().map(AsRef::as_ref).collect(),
            rev,
            state_hash: state.clone().hash(),
        }
    }
}

/// The same, as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadKeyframe {
    pub(super) commit: Option<Commit>,
    pub(super) nodes: Vec<Node>,
    pub(super) rev: u64,
    pub(super) state_hash: Digest,
}
