//! The documents of a canvas, and their names.
//!
//! | name | what |
//! | --- | --- |
//! | `head` | where the canvas is; every commit expects the one before |
//! | `c/<rev>` | a commit |
//! | `s/<rest of rev>`, `k/<rev>/<n>` | a snapshot, and its parts; the newest first |
//! | `r/<hash>` | what became of a batch, for [`RECEIPT_LIFE`] |
//! | `v/<rest of window>-<rest of epoch>` | the last revision of five minutes; the newest first |

use std::time::Duration;

use identity::{Timestamp, UserId};
use realtime::CanvasKey;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::{DocKey, Document};

use crate::{
    CanvasError, Commit, Identity,
    model::{Digest, Skipped, State},
};

/// How long what became of a batch is known: the offline life of a client.
pub const RECEIPT_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A version is the last revision of so many milliseconds.
pub(crate) const VERSION_MS: i64 = 5 * 60 * 1000;

/// Where a canvas is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) rev: u64,
    pub(crate) epoch: u64,
    /// The revision that began the epoch.
    pub(crate) epoch_rev: u64,
    pub(crate) state_hash: Digest,
    pub(crate) commit_hash: Digest,
    /// Bytes of all commits up to here.
    pub(crate) log_bytes: u64,
    /// A revision up to which all were told on the rail.
    pub(crate) published: u64,
    /// The cursor of that, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) published_at: Option<String>,
    /// The oldest commit that is kept.
    pub(crate) floor: u64,
    pub(crate) snapshot_rev: u64,
    /// `log_bytes` at the last snapshot.
    pub(crate) snapshot_log_bytes: u64,
    /// The version that is being made.
    pub(crate) mark: Mark,
}

/// The version that commits of these minutes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) window: i64,
    pub(crate) epoch: u64,
    pub(crate) first_rev: u64,
}

impl Head {
    /// A canvas without commits.
    pub(crate) fn new() -> Self {
        Self {
            rev: 0,
            epoch: 1,
            epoch_rev: 0,
            state_hash: State::default().hash(),
            commit_hash: Digest::ZERO,
            log_bytes: 0,
            published: 0,
            published_at: None,
            floor: 1,
            snapshot_rev: 0,
            snapshot_log_bytes: 0,
            mark: Mark {
                window: 0,
                epoch: 0,
                first_rev: 0,
            },
        }
    }
}

impl Mark {
    /// The mark of a commit after this one.
    pub(crate) fn next(self, at: Timestamp, epoch: u64, rev: u64) -> Self {
        // Clocks of several nodes differ; versions go forward nevertheless.
        let window = window_of(at).max(self.window);
        if (window, epoch) == (self.window, self.epoch) {
            return self;
        }
        Self {
            window,
            epoch,
            first_rev: rev,
        }
    }
}

pub(crate) fn window_of(at: Timestamp) -> i64 {
    at.unix_ms().div_euclid(VERSION_MS)
}

/// A commit, and where it is in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredCommit {
    pub(crate) commit: Commit,
    /// Bytes of all commits up to this one.
    pub(crate) log_bytes: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) fingerprint: Digest,
    pub(crate) rev: u64,
    pub(crate) epoch: u64,
    pub(crate) state_hash: Digest,
    pub(crate) rebased_over: Vec<u64>,
    #[serde(default)]
    pub(crate) skipped: Vec<Skipped>,
}

impl Receipt {
    /// What became of the batch that a commit was made of.
    pub(crate) fn of(commit: &Commit, fingerprint: Digest, skipped: &[Skipped]) -> Self {
        Self {
            fingerprint,
            rev: commit.rev,
            epoch: commit.epoch,
            state_hash: commit.state_hash,
            rebased_over: commit.rebased_over.clone(),
            skipped: skipped.to_vec(),
        }
    }
}

/// A snapshot, without its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) rev: u64,
    pub(crate) state_hash: Digest,
    pub(crate) commit_hash: Digest,
    pub(crate) parts: usize,
}

/// A version: where the canvas was at the end of five minutes in which it was changed.
///
/// It depends on time alone, not on how writes were batched or when snapshots were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The last revision.
    pub rev: u64,
    /// The first revision of these minutes.
    pub first_rev: u64,
    /// The epoch.
    pub epoch: u64,
    /// When the last commit was made.
    pub at: Timestamp,
    /// Who made it.
    pub actor: UserId,
    /// The hash of the state.
    pub state_hash: Digest,
}

pub(crate) fn head_key(key: &CanvasKey) -> DocKey {
    key.document("head")
}

/// What the names of all commits begin with.
pub(crate) fn commits(key: &CanvasKey) -> DocKey {
    key.document("c/")
}

pub(crate) fn commit_key(key: &CanvasKey, rev: u64) -> DocKey {
    key.document(&format!("c/{rev:020}"))
}

/// What the names of all snapshots begin with.
pub(crate) fn manifests(key: &CanvasKey) -> DocKey {
    key.document("s/")
}

pub(crate) fn manifest_key(key: &CanvasKey, rev: u64) -> DocKey {
    key.document(&format!("s/{:020}", u64::MAX - rev))
}

pub(crate) fn part_key(key: &CanvasKey, rev: u64, part: usize) -> DocKey {
    key.document(&format!("k/{rev:020}/{part:03}"))
}

/// What the names of all versions begin with.
pub(crate) fn versions(key: &CanvasKey) -> DocKey {
    key.document("v/")
}

pub(crate) fn version_key(key: &CanvasKey, window: i64, epoch: u64) -> DocKey {
    let (window, epoch) = (i64::MAX - window, u64::MAX - epoch);
    key.document(&format!("v/{window:020}-{epoch:020}"))
}

pub(crate) fn receipt_key(key: &CanvasKey, user: &UserId, identity: &Identity) -> DocKey {
    let parts = [
        user.as_str(),
        identity.client_id.as_str(),
        identity.batch_id.as_str(),
    ];
    let hash = Digest::of_parts(&parts.map(str::as_bytes));
    key.document(&format!("r/{hash}"))
}

pub(crate) fn read<T: DeserializeOwned>(document: &Document) -> Result<T, CanvasError> {
    serde_json::from_slice(&document.value)
        .map_err(|error| CanvasError::damaged(format!("{}: {error}", document.id)))
}

pub(crate) fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, CanvasError> {
    serde_json::to_vec(value).map_err(CanvasError::damaged)
}
