//! What is staged for one batch of the store: commits one after the other, with their receipts, and the
//! head that comes of them all.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use identity::Timestamp;
use realtime::CanvasKey;
use store::{BATCH_STEPS_MAX, Batch, DocKey};

use super::{
    Applied,
    commit::{Draft, next_head, version_of, write_commit},
    hot::{Current, Telling},
    lane::Author,
    snapshot::put_snapshot,
};
use crate::{
    CanvasError,
    model::{COMMIT_BYTES_MAX, Digest, Skipped},
    stored::{
        Head, RECEIPT_LIFE, Receipt, StoredCommit, Version, commit_key, head_key, version_key,
        write,
    },
};

/// Bytes of what is staged together; one commit is staged whatever it has.
const STAGED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Steps of a commit and its receipt: that neither is there, and both are put.
const COMMIT_STEPS: usize = 4;
/// Steps of the head, which is expected and put.
const HEAD_STEPS: usize = 2;

/// A receipt that is staged.
struct Staged {
    fingerprint: Digest,
    commit: Arc<StoredCommit>,
    skipped: Vec<Skipped>,
}

/// Commits that become durable together.
pub(super) struct Stage {
    key: CanvasKey,
    /// The canvas with all of them.
    next: Current,
    /// The last commits up to there, in order: what is staged, and before it what the group missed.
    last: Vec<Arc<StoredCommit>>,
    /// One for each commit that is staged.
    receipts: HashMap<DocKey, Staged>,
    /// By window and epoch.
    versions: BTreeMap<(i64, u64), Version>,
    /// Commits and receipts.
    batch: Batch,
    bytes: usize,
    /// It holds a restore, which is stored with its snapshot.
    restores: bool,
}

impl Stage {
    /// Nothing yet, on the canvas as it is stored.
    pub(super) fn on(key: &CanvasKey, current: &Current) -> Self {
        let head = head_key(key);
        let batch = match current.version {
            None => Batch::new().expect_absent(&head),
            Some(version) => Batch::new().expect_version(&head, version),
        };
        Self {
            key: key.clone(),
            next: current.clone(),
            last: Vec::new(),
            receipts: HashMap::new(),
            versions: BTreeMap::new(),
            batch,
            bytes: 0,
            restores: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.receipts.is_empty()
    }

    /// Keeps the last commits that are stored, before anything is staged, so that nobody of the group
    /// has to read them.
    pub(super) fn know(&mut self, stored: Vec<Arc<StoredCommit>>) {
        self.last = stored;
    }

    /// Nothing more can be staged.
    pub(super) fn is_full(&self) -> bool {
        self.restores
    }

    /// Where the canvas is after what is staged.
    pub(super) fn current(&self) -> &Current {
        &self.next
    }

    pub(super) fn head(&self) -> &Head {
        &self.next.head
    }

    /// The last commits up to [`Stage::head`], in order; all that is staged is among them.
    pub(super) fn last(&self) -> &[Arc<StoredCommit>] {
        &self.last
    }

    /// Whether the receipt of this name is staged.
    pub(super) fn holds(&self, receipt: &DocKey) -> bool {
        self.receipts.contains_key(receipt)
    }

    /// The change that is staged under the receipt of this name, and what it was.
    pub(super) fn done_before(&self, receipt: &DocKey) -> Option<(Digest, Applied)> {
        let staged = self.receipts.get(receipt)?;
        let applied = Applied {
            duplicate: true,
            ..applied(&staged.commit, &staged.skipped)
        };
        Some((staged.fingerprint, applied))
    }

    /// Stages a change that was decided on [`Stage::current`]; `None` when there is no room for it.
    ///
    /// # Errors
    /// [`CanvasError::CommandInvalid`] when its commit is too large for any batch.
    pub(super) fn add(
        &mut self,
        author: &Author,
        receipt_name: DocKey,
        draft: Draft<'_>,
        at: Timestamp,
    ) -> Result<Option<Applied>, CanvasError> {
        let restores = draft.restores.is_some();
        let (fingerprint, skipped) = (draft.fingerprint, draft.skipped.clone());
        let (commit, state) = write_commit(author, self.head(), draft, at);
        let text = write(&commit)?;
        if text.len() > COMMIT_BYTES_MAX {
            let why = format!("what a batch does has at most {COMMIT_BYTES_MAX} bytes");
            return Err(CanvasError::invalid(None, why));
        }
        let head = next_head(self.head(), &commit, text.len() as u64, restores);
        let stored = Arc::new(StoredCommit {
            log_bytes: head.log_bytes,
            commit,
        });
        let receipt = Receipt::of(&stored.commit, fingerprint, &skipped);
        let (value, receipt) = (write(&*stored)?, write(&receipt)?);
        let version = (head.mark.window, head.mark.epoch);
        let bytes = value.len() + receipt.len();
        if !self.has_room(bytes, version) {
            return Ok(None);
        }
        let commit_name = commit_key(&self.key, stored.commit.rev);
        let ends = stored.commit.at.plus(RECEIPT_LIFE);
        let batch = std::mem::take(&mut self.batch)
            .expect_absent(&receipt_name)
            .expect_absent(&commit_name);
        self.batch = batch
            .put(&commit_name, value)
            .put_until(&receipt_name, receipt, ends);
        self.bytes += bytes;
        self.versions
            .insert(version, version_of(&head, &stored.commit));
        self.restores = restores;
        self.next.head = head;
        self.next.state = state;
        self.next.remember(Arc::clone(&stored));
        self.last.push(Arc::clone(&stored));
        let applied = applied(&stored, &skipped);
        let staged = Staged {
            fingerprint,
            commit: stored,
            skipped,
        };
        self.receipts.insert(receipt_name, staged);
        Ok(Some(applied))
    }

    /// Whether a commit with so many bytes fits, which is in this version.
    fn has_room(&self, bytes: usize, version: (i64, u64)) -> bool {
        let versions = self.versions.len() + usize::from(!self.versions.contains_key(&version));
        let steps = HEAD_STEPS + versions + (self.receipts.len() + 1) * COMMIT_STEPS;
        self.is_empty() || (steps <= BATCH_STEPS_MAX && self.bytes + bytes <= STAGED_BYTES_MAX)
    }

    /// The batch, and the canvas once it is durable.
    ///
    /// # Errors
    /// [`CanvasError::Store`] when something cannot be written down.
    pub(super) fn finish(self, telling: &Telling) -> Result<(Batch, Current), CanvasError> {
        let (key, mut next) = (self.key, self.next);
        telling.mark(&mut next.head);
        let mut batch = self.batch.put(&head_key(&key), write(&next.head)?);
        for ((window, epoch), version) in &self.versions {
            batch = batch.put(&version_key(&key, *window, *epoch), write(version)?);
        }
        if self.restores {
            batch = put_snapshot(batch, &key, &next.head, &next.state)?;
        }
        Ok((batch, next))
    }
}

/// What is answered for a commit.
fn applied(stored: &StoredCommit, skipped: &[Skipped]) -> Applied {
    let commit = &stored.commit;
    Applied {
        rev: commit.rev,
        epoch: commit.epoch,
        state_hash: commit.state_hash,
        effective: commit.commands.clone(),
        rebased_over: commit.rebased_over.clone(),
        skipped: skipped.to_vec(),
        duplicate: false,
    }
}
