//! What has to be looked after: objects without an asset, and those of deleted ones.
//!
//! Before anything makes it possible that an object outlives its asset (a form is handed
//! out, an asset is deleted), that is noted in one partition for all tenants, ordered by when
//! it is due. The write that follows expects the note, so whoever took it away meanwhile has
//! kept that write from happening. A round reads what is due and no more, whatever the number
//! of tenants.
//!
//! Of an upload that was never registered the promise is deleted first, in a batch that
//! registering cannot pass, and the object afterwards. A stop in between loses nothing: the
//! note stays until the object is gone.
//!
//! Tenants in a database of their own have their notes there, beside what is written under them. One that was
//! left behind when its tenant moved is carried after it when it is due.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use identity::{AssetId, Env, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, ObjectKey, Partition, Version,
};

use super::{
    Area, Asset, Assets, Facts, Filename,
    place::{self, Home, unkeyed},
};
use crate::{
    NexusError,
    feed::moment,
    keys::{decode, encode},
};

/// How long an upload may wait to be registered.
pub const UNREGISTERED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// When a deletion that nobody finished is finished for them.
pub(super) const DELETION_DUE: Duration = Duration::from_secs(60);
/// When an artifact that nobody finished is deleted.
pub(super) const ARTIFACT_DUE: Duration = Duration::from_secs(60 * 60);
/// When an object that could not be deleted is tried again.
const RETRY_DUE: Duration = Duration::from_secs(10 * 60);
/// How often what is due is looked for.
const TEND_EVERY: Duration = Duration::from_secs(30);
/// How many notes are read at once.
const NOTES_READ: usize = 100;
/// How many pages of them are seen to in one round.
const PAGES_MAX: usize = 10;
/// How many objects are seen to at a time.
const AT_A_TIME: usize = 8;

/// The partition of notes. Each is in its tenant's database, though its name spans tenants: see [`noted_tenant`].
pub const CARE: &str = "asset_care";

/// Whose object a note in the partition [`CARE`] is about, by the note's id.
#[must_use]
pub fn noted_tenant(id: &str) -> Option<TenantId> {
    id.split('/').nth(1)?.parse().ok()
}

/// An object that has to be looked after.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    tenant: TenantId,
    env: Env,
    area: Area,
    asset: AssetId,
    filename: Filename,
}

/// A note as it was written: whoever relies on it expects it in this state.
pub(super) struct Noted {
    pub(super) key: DocKey,
    pub(super) version: Version,
}

/// What one round has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tended {
    /// Objects that were deleted, or found to be gone.
    pub deleted: usize,
    /// Notes that were dropped, because their assets are registered.
    pub kept: usize,
    /// Objects that could not be deleted; they are tried again.
    pub failed: usize,
}

/// Where notes are read in a round.
struct Round<'a> {
    documents: &'a Arc<dyn Documents>,
    /// Whether there are other databases, so that a note may be in one in which its tenant is not.
    is_one_of_many: bool,
}

enum Cared {
    Deleted,
    Kept,
    /// Others were faster.
    Elsewhere,
}

impl Note {
    pub(super) fn of(scope: &identity::Scope, asset: &AssetId, facts: &Facts) -> Self {
        Self {
            tenant: scope.tenant().clone(),
            env: scope.env(),
            area: facts.area,
            asset: asset.clone(),
            filename: facts.filename.clone(),
        }
    }
}

impl Assets {
    fn notes(&self) -> Partition {
        Partition::of_system(&self.deps.authority, CARE)
    }

    fn note_key(&self, note: &Note, due: Timestamp) -> DocKey {
        let Note {
            tenant, env, asset, ..
        } = note;
        let id = format!("{}/{tenant}/{env}/{asset}", moment(due));
        DocKey::new(&self.notes(), id)
    }

    /// Notes durably that an object has to be looked after from `due` on.
    pub(super) async fn note(&self, note: &Note, due: Timestamp) -> Result<Noted, NexusError> {
        let key = self.note_key(note, due);
        let batch = Batch::new().put(&key, encode(note)?);
        match self.deps.documents.commit(batch).await {
            Ok(version) => Ok(Noted { key, version }),
            Err(CommitError::Conflict(_)) => Err(NexusError::Contended),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Deletes an object that is not needed, and its note when nothing can bring it back.
    ///
    /// What fails here is done later: the note stays.
    pub(super) async fn discard(&self, area: Area, key: &ObjectKey, noted: &Noted, over: bool) {
        if let Err(error) = self.blobs(area).delete(key).await {
            tracing::warn!(%error, "an object could not be deleted; it is tried again");
            return;
        }
        if over && let Err(error) = self.forget(noted).await {
            tracing::debug!(%error, "a note of a deleted object stays until its time");
        }
    }

    async fn forget(&self, noted: &Noted) -> Result<(), CommitError> {
        let batch = Batch::new()
            .expect_version(&noted.key, noted.version)
            .delete(&noted.key);
        self.deps.documents.commit(batch).await.map(drop)
    }

    /// Looks after what is due, until the task is dropped.
    pub async fn tend(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.turn().await {
                tracing::warn!(%error, "objects could not be looked after");
            }
        }
    }

    /// One round of [`Assets::tend`]: what is due now, at most a thousand objects of each database.
    ///
    /// # Errors
    /// [`NexusError::Store`] when it is not known what is due in everyone's database.
    pub async fn turn(&self) -> Result<Tended, NexusError> {
        let mut tended = Tended::default();
        let each = match &self.gates {
            Some(gates) => gates.databases().await?,
            None => Vec::new(),
        };
        let Some((everyones, others)) = each.split_first() else {
            let round = Round::of_all(&self.deps.documents);
            self.turn_in(&round, &mut tended).await?;
            return Ok(tended.told());
        };
        self.turn_in(&Round::of_one(everyones), &mut tended).await?;
        for documents in others {
            let round = Round::of_one(documents);
            if let Err(error) = self.turn_in(&round, &mut tended).await {
                tracing::warn!(%error, "objects of a database could not be looked after");
            }
        }
        Ok(tended.told())
    }

    /// What is due in one database.
    async fn turn_in(&self, round: &Round<'_>, tended: &mut Tended) -> Result<(), NexusError> {
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let listing = Listing {
                prefix: String::new(),
                after: after.take(),
                limit: NOTES_READ,
            };
            let mut page = round.documents.list(&self.notes(), &listing).await?;
            let now = moment(self.deps.clock.now());
            page.retain(|note| note.id.split('/').next() <= Some(now.as_str()));
            after = page.last().map(|note| note.id.clone());
            let more = page.len() == NOTES_READ;
            let cared = stream::iter(page).map(|note| self.care(round, note));
            let mut cared = cared.buffer_unordered(AT_A_TIME);
            while let Some(outcome) = cared.next().await {
                tended.count(&outcome);
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Carries a note to where its tenant is now; whether it was elsewhere.
    async fn carry(&self, round: &Round<'_>, document: &Document) -> Result<bool, CommitError> {
        let key = DocKey::new(&self.notes(), document.id.as_str());
        if !round.is_one_of_many || self.deps.documents.get(&key).await?.is_some() {
            return Ok(false);
        }
        let put = Batch::new()
            .expect_absent(&key)
            .put(&key, document.value.clone());
        self.deps.documents.commit(put).await?;
        // If it was there after all, somebody has just seen to it, and will find nothing to do.
        let gone = Batch::new()
            .expect_version(&key, document.version)
            .delete(&key);
        round.documents.commit(gone).await?;
        Ok(true)
    }

    /// Sees to one note.
    async fn care(&self, round: &Round<'_>, document: Document) -> Result<Cared, NexusError> {
        let note: Note = decode(&document)?;
        match self.carry(round, &document).await {
            Ok(false) => {}
            Ok(true) => return Ok(Cared::Elsewhere),
            Err(refused) => return self.settled(Err(refused), Cared::Elsewhere),
        }
        let noted = Noted {
            key: DocKey::new(&self.notes(), document.id),
            version: document.version,
        };
        let home = Home::of_env(&self.deps.authority, &note.tenant, note.env);
        let (asset, upload) = (home.asset(&note.asset), home.upload(&note.asset));
        // In this order: registering moves it from the one to the other.
        let documents = &*self.deps.documents;
        let promised = place::read::<Facts>(documents, &upload).await?;
        if place::read::<Asset>(documents, &asset).await?.is_some() {
            return self.settled(self.forget(&noted).await, Cared::Kept);
        }
        let retry = self.note_key(&note, self.deps.clock.now().plus(RETRY_DUE));
        let batch = Batch::new()
            .expect_version(&noted.key, noted.version)
            .expect_absent(&asset);
        let batch = match promised {
            Some(promised) => batch
                .expect_version(&upload, promised.version)
                .delete(&upload),
            None => batch.expect_absent(&upload),
        };
        let batch = batch.delete(&noted.key).put(&retry, encode(&note)?);
        // From here on nobody registers it any more.
        let version = match documents.commit(batch).await {
            Ok(version) => version,
            Err(refused) => return self.settled(Err(refused), Cared::Elsewhere),
        };
        let Note { tenant, env, .. } = &note;
        let authority = &self.deps.authority;
        let (area, filename) = (note.area, note.filename.as_str());
        let place = (tenant, *env);
        let key = ObjectKey::of_tenant(authority, place, area.in_keys(), &note.asset, filename);
        self.blobs(area).delete(&key.map_err(unkeyed)?).await?;
        let noted = Noted {
            key: retry,
            version,
        };
        self.settled(self.forget(&noted).await, Cared::Deleted)
    }

    /// What comes of a batch that others may have made needless.
    fn settled(&self, outcome: Result<(), CommitError>, done: Cared) -> Result<Cared, NexusError> {
        match outcome {
            Ok(()) => Ok(done),
            Err(CommitError::Conflict(_)) => Ok(Cared::Elsewhere),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

impl<'a> Round<'a> {
    const fn of_all(documents: &'a Arc<dyn Documents>) -> Self {
        Self {
            documents,
            is_one_of_many: false,
        }
    }

    const fn of_one(documents: &'a Arc<dyn Documents>) -> Self {
        Self {
            documents,
            is_one_of_many: true,
        }
    }
}

impl Tended {
    fn told(self) -> Self {
        metrics::counter!("tenantry_assets_objects_deleted_total")
            .increment(u64::try_from(self.deleted).unwrap_or(u64::MAX));
        self
    }

    fn count(&mut self, outcome: &Result<Cared, NexusError>) {
        match outcome {
            Ok(Cared::Deleted) => self.deleted += 1,
            Ok(Cared::Kept) => self.kept += 1,
            Ok(Cared::Elsewhere) => {}
            Err(error) => {
                tracing::warn!(%error, "an object could not be looked after; it is tried again");
                self.failed += 1;
            }
        }
    }
}
