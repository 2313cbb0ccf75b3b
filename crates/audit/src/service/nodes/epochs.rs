//! Following: each epoch that the node that leads has closed is taken up here.
//!
//! An epoch is stored with the leaves of the tree of heads that it changed, for an hour.
//! A node that follows puts them into its own tree and signs nothing; what comes out must be
//! what the signed note says. A node that is too far behind reads all heads.
//!
//! **Invariant:** a node shows an epoch only if it continues the one that it showed before.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Batch, DOCUMENT_BYTES_MAX, LIST_LIMIT_MAX, Listing, StoreError, Version};

use super::super::{
    Audit,
    layout::Layout,
    recover::{OpenAuditError, ReadEpoch},
};
use crate::{Epoch, Hash, Heads, log::LogState};

/// Epochs that a node may be behind; one that is further behind reads all heads.
const BEHIND_MAX: u64 = 64;
/// For how long changes are kept.
const KEPT_MS: i64 = 60 * 60 * 1000;
/// Leaves in one document: 36 bytes each, and how many they are.
const LEAVES_MAX: usize = 14_000;
const _: () = assert!(LEAVES_MAX * 37 + 64 < DOCUMENT_BYTES_MAX);
/// Documents of one epoch: with their epoch they fit into a batch. An epoch that changes more
/// is read from the heads.
const DOCUMENTS_MAX: usize = 12;

/// Some of the leaves that an epoch changed.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct StoredChanges {
    /// How many documents tell of the epoch.
    documents: u32,
    leaves: Vec<(u32, [u8; 32])>,
}

impl StoredChanges {
    /// Adds to `batch` what the epoch `number` changes.
    pub(in super::super) fn put(
        mut batch: Batch,
        layout: &Layout,
        number: u64,
        changes: &[(u64, Hash)],
        now: Timestamp,
    ) -> Result<Batch, StoreError> {
        let documents = changes.chunks(LEAVES_MAX).len();
        if documents > DOCUMENTS_MAX {
            return Ok(batch);
        }
        let until = Timestamp::from_unix_ms(now.unix_ms().saturating_add(KEPT_MS));
        for (at, some) in changes.chunks(LEAVES_MAX).enumerate() {
            let leaf =
                |(slot, hash): &(u64, Hash)| Some((u32::try_from(*slot).ok()?, *hash.as_bytes()));
            let stored = Self {
                documents: u32::try_from(documents).unwrap_or_default(),
                leaves: some.iter().filter_map(leaf).collect(),
            };
            let stored = postcard::to_stdvec(&stored).map_err(corrupt)?;
            batch = batch.put_until(&layout.changed_in(number, at), stored, until);
        }
        Ok(batch)
    }
}

/// An epoch as it is stored, with a note that was checked.
#[derive(Clone)]
pub(in super::super) struct Followed {
    pub(in super::super) epoch: Epoch,
    pub(in super::super) log: LogState,
    pub(in super::super) note: String,
    pub(in super::super) version: Version,
}

impl Audit {
    /// Takes up what the node that leads has told since. Part of a round.
    pub(super) async fn follow_epochs(&self) -> Result<(), OpenAuditError> {
        if let Some(nodes) = &self.nodes {
            nodes.looks.fetch_add(1, Ordering::AcqRel);
        }
        let known = self.publisher.known();
        let Some(told) = self.last_told(known.version).await? else {
            return Ok(());
        };
        let since = known.checkpoint.as_ref().map_or(0, |known| known.size);
        let behind = told.epoch.number - since;
        let changes = match since {
            0 => None,
            _ if behind > BEHIND_MAX => None,
            _ => self.changes(since, told.epoch.number).await?,
        };
        let note = told.note.clone();
        let follows = match changes {
            Some(changes) => self.publisher.follow(None, &told, &changes),
            None => false,
        };
        if !follows && !self.read_anew(told).await? {
            return Ok(());
        }
        self.write_anchor(note).await;
        Ok(())
    }

    /// Sees to it that this node knows the last epoch; a node that leads does.
    pub(in super::super) async fn catch_up(&self) {
        let Some(nodes) = self.nodes.as_ref().filter(|_| !self.leads()) else {
            return;
        };
        let looks = nodes.looks.load(Ordering::Acquire);
        if self.frozen().is_none() {
            let _round = self.rounds.lock().await;
            // Many may ask at once; one look that began later serves them all.
            let looked = nodes.looks.load(Ordering::Acquire) != looks;
            if looked || self.leads() {
                return;
            }
            if let Err(error) = self.follow_epochs().await {
                tracing::warn!(%error, "the last epoch is taken up later");
            }
        }
    }

    /// The last epoch, if it is another than the one in the state `known`. Freezes when it is
    /// not signed, or does not continue what this node, or its anchor, knows.
    async fn last_told(&self, known: Option<Version>) -> Result<Option<Followed>, OpenAuditError> {
        self.take_suspicion();
        let before = match self.publisher.known().checkpoint {
            Some(before) => Some(before),
            None => self.anchored(&self.trust()?)?,
        };
        let Some(latest) = self.documents.get(&self.layout.latest_epoch()).await? else {
            if before.is_some() {
                self.freeze("epochs are known, the store has none");
            }
            return Ok(None);
        };
        if known == Some(latest.version) {
            return Ok(None);
        }
        let read: ReadEpoch = self.read_epoch(&self.trust()?, &latest.value)?;
        let (epoch, log, note) = match read {
            Ok(read) => read,
            Err(why) => {
                self.freeze(format!("the last epoch: {why}"));
                return Ok(None);
            }
        };
        self.check_epoch(&epoch, &log, before.as_ref()).await?;
        if let Some(why) = self.take_suspicion() {
            self.freeze(why);
            return Ok(None);
        }
        Ok(Some(Followed {
            epoch,
            log,
            note,
            version: latest.version,
        }))
    }

    /// The leaves that changed after the epoch `since`, up to and with `to`; `None` if it is not
    /// stored any more which.
    async fn changes(&self, since: u64, to: u64) -> Result<Option<Vec<(u64, Hash)>>, StoreError> {
        let mut changed = BTreeMap::new();
        for number in since + 1..=to {
            let listing = Listing {
                prefix: Layout::changes_of(number),
                after: None,
                limit: LIST_LIMIT_MAX,
            };
            let rows = self.documents.list(&self.layout.epochs(), &listing).await?;
            let found = rows.len();
            for row in &rows {
                let stored: StoredChanges = postcard::from_bytes(&row.value).map_err(corrupt)?;
                if usize::try_from(stored.documents) != Ok(found) {
                    return Ok(None);
                }
                let leaves = stored.leaves.into_iter();
                changed.extend(leaves.map(|(slot, leaf)| (slot.into(), Hash::from_bytes(leaf))));
            }
            if rows.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(changed.into_iter().collect()))
    }

    /// Reads all heads; whether this node knows an epoch now. What changes while they are read
    /// is put right by what the epochs say that were closed meanwhile.
    async fn read_anew(&self, first: Followed) -> Result<bool, OpenAuditError> {
        let leaves = self.leaves_as_of(&first.epoch).await?;
        let told = match self.last_told(Some(first.version)).await? {
            Some(later) => later,
            None => first.clone(),
        };
        if self.frozen().is_some() {
            return Ok(false);
        }
        let Some(changes) = self.changes(first.epoch.number, told.epoch.number).await? else {
            let why = "heads change faster than they are read".to_owned();
            return Err(StoreError::Unavailable(why).into());
        };
        let number = told.epoch.number;
        let Some(leaves) = leaves else {
            self.freeze(format!("the stored heads are not those of epoch {number}"));
            return Ok(false);
        };
        let heads = Some(Heads::new(leaves));
        if !self.publisher.follow(heads, &told, &changes) {
            self.freeze(format!("the stored heads are not those of epoch {number}"));
            return Ok(false);
        }
        Ok(true)
    }

    /// The leaves of `epoch`, by slot; `None` if some are missing. Those that later epochs
    /// changed while they were read may be other ones.
    async fn leaves_as_of(&self, epoch: &Epoch) -> Result<Option<Vec<Hash>>, StoreError> {
        let mut leaves: Vec<Hash> = Vec::new();
        let mut after = None;
        loop {
            let rows = self.list_heads(after).await?;
            for (_, head) in &rows {
                let Ok(head) = head else {
                    return Ok(None);
                };
                let next = leaves.len() as u64;
                if next >= epoch.slots {
                    break;
                }
                let Some(said) = head.said_in(epoch.number) else {
                    return Ok(None);
                };
                if u64::from(head.slot) != next {
                    return Ok(None);
                }
                leaves.push(head.leaf(&said).leaf_hash());
            }
            after = rows.last().map(|(id, _)| id.clone());
            if after.is_none() || leaves.len() as u64 == epoch.slots {
                break;
            }
        }
        Ok((leaves.len() as u64 == epoch.slots).then_some(leaves))
    }
}

impl Layout {
    fn changed_in(&self, number: u64, at: usize) -> store::DocKey {
        let id = format!("{}{at:02}", Self::changes_of(number));
        store::DocKey::new(&self.epochs(), id)
    }

    /// Begins the ids of what says which leaves the epoch `number` changed.
    fn changes_of(number: u64) -> String {
        format!("changes/{number:016x}/")
    }
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("what an epoch changed: {error}"))
}
