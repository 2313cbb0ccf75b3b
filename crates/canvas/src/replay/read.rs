//! Reading a replay that anyone may have sent: everything is checked, and no more is unpacked
//! than the limits allow.

use identity::Timestamp;

use super::{
    Header, REPLAY_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_REVISIONS_MAX, Segment,
    file::{Footer, HEADER_BYTES_MAX, LENGTH_BYTES, MAGIC, MAGIC_END, ReadKeyframe, TRAILER_BYTES},
};
use crate::{
    Commit,
    model::{Digest, State},
};

/// Why a file is no replay, or does not show what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReplay {
    /// It is no replay, or was changed, or is not whole.
    #[error("the file is no replay, or was changed: {0}")]
    Damaged(&'static str),
    /// A part of it was changed, or is not whole.
    #[error("the revisions {first_rev} to {last_rev} were changed: {why}")]
    Segment {
        /// The first revision of the part.
        first_rev: u64,
        /// The last one.
        last_rev: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A revision is not what the chain of commits says.
    #[error("revision {rev} is wrong: {why}")]
    Wrong {
        /// The revision.
        rev: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The replay is of other revisions.
    #[error("the replay does not have revision {0}")]
    NotCovered(u64),
}

use InvalidReplay::Damaged;

/// A canvas at one revision of a replay.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The revision.
    pub rev: u64,
    /// The nodes.
    pub state: State,
    /// The commit that made it; none made revision 0.
    pub commit: Option<Commit>,
}

/// A replay whose index is whole.
#[derive(Debug)]
pub struct Replay<'a> {
    bytes: &'a [u8],
    header: Header,
    segments: Vec<Segment>,
    manifest: Digest,
}

impl<'a> Replay<'a> {
    /// Reads the header and the index; segments are read when they are asked for.
    ///
    /// # Errors
    /// [`InvalidReplay::Damaged`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, InvalidReplay> {
        if bytes.len() as u64 > REPLAY_BYTES_MAX {
            return Err(Damaged("it is too large"));
        }
        let (header, head_end) = header_of(bytes)?;
        let (rest, trailer) = split_end(bytes, TRAILER_BYTES)?;
        let (length, trailer) = trailer.split_at_checked(LENGTH_BYTES).ok_or(SHORT)?;
        let (hash, end) = split_end(trailer, MAGIC_END.len())?;
        if end != MAGIC_END {
            return Err(Damaged("it does not end as a replay does"));
        }
        let (rest, footer) = split_end(rest, length_of(length)?)?;
        let manifest = Digest::of_replay_manifest(footer);
        if hash != manifest.bytes() {
            return Err(Damaged("the index does not fit the manifest hash"));
        }
        let footer: Footer =
            serde_json::from_slice(footer).map_err(|_| Damaged("the index cannot be read"))?;
        let head = bytes.get(..head_end).ok_or(SHORT)?;
        if footer.head != Digest::of_replay_part(head) {
            return Err(Damaged("the header does not fit its hash"));
        }
        check_index(&header, &footer.segments, head_end, rest.len())?;
        Ok(Self {
            bytes,
            header,
            segments: footer.segments,
            manifest,
        })
    }

    /// What it is of.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its segments, in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The hash that binds all of it.
    #[must_use]
    pub fn manifest_hash(&self) -> Digest {
        self.manifest
    }

    /// The canvas at a revision, from one keyframe and the commits after it.
    ///
    /// # Errors
    /// [`InvalidReplay`].
    pub fn at(&self, rev: u64) -> Result<Frame, InvalidReplay> {
        let after = self.segments.partition_point(|one| one.first_rev <= rev);
        let segment = after.checked_sub(1).and_then(|at| self.segments.get(at));
        let segment = segment.filter(|one| rev <= one.last_rev);
        let segment = segment.ok_or(InvalidReplay::NotCovered(rev))?;
        let (mut frame, commits) = self.unpack(segment)?;
        for commit in commits.into_iter().take_while(|one| one.rev <= rev) {
            frame = frame.next(commit)?;
        }
        Ok(frame)
    }

    /// The canvas at a time: the last revision whose commit is not younger, or the first of all.
    ///
    /// # Errors
    /// [`InvalidReplay`].
    pub fn at_time(&self, time: Timestamp) -> Result<Frame, InvalidReplay> {
        let after = self.segments.partition_point(|one| one.at <= Some(time));
        let segment = self.segments.get(after.saturating_sub(1)).ok_or(SHORT)?;
        let (mut frame, commits) = self.unpack(segment)?;
        for commit in commits.into_iter().take_while(|one| one.at <= time) {
            frame = frame.next(commit)?;
        }
        Ok(frame)
    }

    /// Checks every byte and every revision: the chain of commits, and the state that each makes.
    /// Returns the last revision.
    ///
    /// That the chain is the canvas's own is known by its last `commit_hash`, or by the manifest hash,
    /// from someone who is trusted.
    ///
    /// # Errors
    /// [`InvalidReplay`] with the first revision that is wrong.
    pub fn verify(&self) -> Result<Frame, InvalidReplay> {
        let mut states = Vec::new();
        let mut last: Option<Frame> = None;
        for segment in &self.segments {
            let (keyframe, commits) = self.unpack(segment)?;
            if let Some(before) = last {
                before.leads_to(&keyframe, self.header.from_rev, &states)?;
            }
            let mut frame = keyframe;
            states.push(frame.state.hash());
            for commit in commits {
                frame = frame.next(commit)?;
                states.push(frame.state.hash());
            }
            last = Some(frame);
        }
        last.ok_or(SHORT)
    }

    /// The keyframe of a segment, and the commits after it.
    fn unpack(&self, segment: &Segment) -> Result<(Frame, Vec<Commit>), InvalidReplay> {
        let changed = |why| InvalidReplay::Segment {
            first_rev: segment.first_rev,
            last_rev: segment.last_rev,
            why,
        };
        let end = segment.offset.saturating_add(segment.bytes);
        let packed = self.bytes.get(segment.offset..end).ok_or(SHORT)?;
        if Digest::of_replay_part(packed) != segment.hash {
            return Err(changed("they do not fit their hash"));
        }
        let raw = zstd::bulk::decompress(packed, segment.raw_bytes)
            .map_err(|_| changed("they cannot be unpacked"))?;
        let unreadable = || changed("they cannot be read");
        let raw = raw.strip_suffix(b"\n").ok_or_else(unreadable)?;
        if raw.len() + 1 != segment.raw_bytes {
            return Err(unreadable());
        }
        let mut lines = raw.split(|byte| *byte == b'\n');
        let first = lines.next().ok_or_else(unreadable)?;
        let keyframe = serde_json::from_slice(first).map_err(|_| unreadable())?;
        let commits = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
        let commits: Vec<Commit> = commits.map_err(|_| unreadable())?;
        let frame = frame_of(keyframe)?;
        let last = commits.last().map_or(frame.rev, |commit| commit.rev);
        if (frame.rev, last) != (segment.first_rev, segment.last_rev) {
            return Err(changed("the index says other ones"));
        }
        Ok((frame, commits))
    }
}

const SHORT: InvalidReplay = Damaged("it is not whole");

impl Frame {
    fn hash(&self) -> Digest {
        self.commit.as_ref().map_or(Digest::ZERO, Commit::hash)
    }

    /// The frame after this one, by its commit.
    fn next(mut self, commit: Commit) -> Result<Self, InvalidReplay> {
        let rev = commit.rev;
        let wrong = |why| InvalidReplay::Wrong { rev, why };
        if !commit.follows(self.rev, &self.hash()) {
            return Err(wrong("it does not follow the one before"));
        }
        let performed = commit.perform_on(&mut self.state);
        if performed.is_err() || self.state.hash() != commit.state_hash {
            return Err(wrong("it makes another state than it says"));
        }
        Ok(Self {
            rev,
            state: self.state,
            commit: Some(commit),
        })
    }

    /// Whether the commit of a keyframe leads from here to it; `states` are the hashes from `from_rev`.
    fn leads_to(
        self,
        keyframe: &Self,
        from_rev: u64,
        states: &[Digest],
    ) -> Result<(), InvalidReplay> {
        let rev = keyframe.rev;
        let wrong = |why| InvalidReplay::Wrong { rev, why };
        let Some(commit) = &keyframe.commit else {
            return Err(wrong("it has no commit"));
        };
        let Some(restores) = commit.restores else {
            return self.next(commit.clone()).map(drop);
        };
        if !commit.follows(self.rev, &self.hash()) {
            return Err(wrong("it does not follow the one before"));
        }
        // What was before the replay cannot be looked at.
        let at = restores.checked_sub(from_rev);
        let restored = at.and_then(|at| states.get(usize::try_from(at).ok()?));
        match restored {
            Some(restored) if *restored != commit.state_hash => {
                Err(wrong("it restores another state than it says"))
            }
            _ => Ok(()),
        }
    }
}

fn frame_of(keyframe: ReadKeyframe) -> Result<Frame, InvalidReplay> {
    let rev = keyframe.rev;
    let wrong = |why| InvalidReplay::Wrong { rev, why };
    let nodes = keyframe.nodes.len();
    let mut state = State::of(keyframe.nodes).map_err(|_| wrong("a parent is missing"))?;
    if state.len() != nodes || state.hash() != keyframe.state_hash {
        return Err(wrong("the keyframe does not fit its hash"));
    }
    let fits = match &keyframe.commit {
        Some(commit) => {
            commit.rev == rev
                && commit.state_hash == keyframe.state_hash
                && commit.hash() == commit.compute_hash()
        }
        None => rev == 0 && state.is_empty(),
    };
    if !fits {
        return Err(wrong("the keyframe is not what its commit makes"));
    }
    Ok(Frame {
        rev,
        state,
        commit: keyframe.commit,
    })
}

/// The header, and where it ends.
fn header_of(bytes: &[u8]) -> Result<(Header, usize), InvalidReplay> {
    let rest = bytes.strip_prefix(MAGIC.as_slice());
    let rest = rest.ok_or(Damaged("it does not begin as a replay does"))?;
    let (length, rest) = rest.split_at_checked(LENGTH_BYTES).ok_or(SHORT)?;
    let length = length_of(length)?;
    if length > HEADER_BYTES_MAX {
        return Err(Damaged("the header is too long"));
    }
    let header = rest.get(..length).ok_or(SHORT)?;
    let header =
        serde_json::from_slice(header).map_err(|_| Damaged("the header cannot be read"))?;
    Ok((header, MAGIC.len() + LENGTH_BYTES + length))
}

fn length_of(bytes: &[u8]) -> Result<usize, InvalidReplay> {
    let bytes = bytes.try_into().map_err(|_| SHORT)?;
    usize::try_from(u32::from_be_bytes(bytes)).map_err(|_| SHORT)
}

/// The last `length` bytes, after all others.
fn split_end(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), InvalidReplay> {
    let at = bytes.len().checked_sub(length).ok_or(SHORT)?;
    bytes.split_at_checked(at).ok_or(SHORT)
}

/// Whether the segments lie one after the other, from the head to the footer, and hold the
/// revisions of the header, without a gap and within the limits.
fn check_index(
    header: &Header,
    segments: &[Segment],
    head_end: usize,
    segments_end: usize,
) -> Result<(), InvalidReplay> {
    let wrong = Damaged("the index has gaps, or is over the limits");
    let (mut offset, mut rev) = (head_end, Some(header.from_rev));
    for segment in segments {
        let revisions = segment.last_rev.checked_sub(segment.first_rev);
        if segment.offset != offset
            || rev != Some(segment.first_rev)
            || revisions.is_none_or(|more| more >= SEGMENT_REVISIONS_MAX)
            || segment.raw_bytes > SEGMENT_BYTES_MAX
        {
            return Err(wrong);
        }
        offset = offset.checked_add(segment.bytes).ok_or(SHORT)?;
        rev = segment.last_rev.checked_add(1);
    }
    let is_whole = segments.last().map(|last| last.last_rev) == Some(header.to_rev);
    let goes_forward = segments.is_sorted_by_key(|segment| segment.at);
    if !is_whole || !goes_forward || offset != segments_end {
        return Err(wrong);
    }
    Ok(())
}
